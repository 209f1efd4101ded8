"""What the tests of web frameworks share."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

import millpond
from conftest import docs_page
from recorder import Recorder

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACE_ID = TRACEPARENT.split("-")[1]


def logged(server: Recorder) -> list[dict[str, Any]]:
    """All records so far."""
    assert millpond.flush(5)
    return list(server.records)


def requests(server: Recorder) -> list[dict[str, Any]]:
    """The records of requests among them."""
    return [record for record in logged(server) if record.get("logger") == "millpond.request"]


def the_request(server: Recorder) -> dict[str, Any]:
    """The only one."""
    (record,) = requests(server)
    return record


def with_message(server: Recorder, message: str) -> dict[str, Any]:
    """The only record with this message."""
    (record,) = (record for record in logged(server) if record["message"] == message)
    return record


class Page:
    """The files of a page of the documentation, run in this process against the server of the test."""

    def __init__(self, name: str, server: Recorder, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        docs_page(name).write(directory)
        self._directory = directory
        monkeypatch.setenv("MILLPOND_ENDPOINT", server.url)
        monkeypatch.setenv("MILLPOND_API_KEY", "k")
        monkeypatch.syspath_prepend(directory)

    def run(self, name: str) -> dict[str, Any]:
        """Runs a file; what it defined."""
        return runpy.run_path(str(self._directory / name), run_name=name.removesuffix(".py"))

"""What the tests of the drop-ins for Streamlogia share."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import pytest

from millpond.compat.streamlogia import LogIngestorClient
from recording import Recorder

PROJECT = "7f1f8f68-6a0c-4f0e-9a0b-0b6a3a0b1c2d"
QUIET: dict[str, Any] = {"console": False, "batch_size": 100}


@contextlib.contextmanager
def at_its_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """Where the drop-in sends in the block."""
    for name in [name for name in os.environ if name.startswith(("STREAMLOGIA_", "LOGINGESTOR_"))]:
        monkeypatch.delenv(name)
    recording = Recorder()
    monkeypatch.setenv("STREAMLOGIA_API_URL", recording.address)
    yield recording
    recording.close()


@contextlib.contextmanager
def quiet_client() -> Iterator[LogIngestorClient]:
    made = LogIngestorClient("k", PROJECT, **QUIET)
    yield made
    made.close()


def entries(recorder: Recorder) -> list[dict[str, Any]]:
    """All that came."""
    return [entry for request in recorder.requests for entry in request.json]


def messages(recorder: Recorder) -> list[str]:
    return [entry["message"] for entry in entries(recorder)]

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

import millpond
from recorder import Recorder
from running import Start

collect_ignore = ["recorder.py", "running.py"]


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("MILLPOND_"):
            monkeypatch.delenv(name)


@pytest.fixture
def server() -> Iterator[Recorder]:
    recorder = Recorder()
    yield recorder
    recorder.close()


@pytest.fixture
def client(server: Recorder) -> Iterator[Recorder]:
    """The package, sending to a server of its own."""
    millpond.init(service="tests", endpoint=server.url, api_key="k", batch_age_s=0.05)
    yield server
    millpond.close(2.0)


class Program:
    """Python programs in a process of their own, with the package set up by the environment."""

    def __init__(self, server: Recorder, directory: Path) -> None:
        self.server = server
        self._directory = directory

    def run(
        self, code: str, *, timeout_s: float = 30.0, check: bool = True, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        script = self._directory / "program.py"
        script.write_text(textwrap.dedent(code), encoding="utf-8")
        variables = {
            **os.environ,
            "MILLPOND_ENDPOINT": self.server.url,
            "MILLPOND_API_KEY": "k",
            "MILLPOND_SERVICE": "program",
            **environment,
        }
        done = subprocess.run(
            [sys.executable, "-W", "error", str(script)],
            env=variables,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        if check:
            assert done.returncode == 0, done.stderr
        return done


@pytest.fixture
def program(server: Recorder, tmp_path: Path) -> Program:
    return Program(server, tmp_path)


@pytest.fixture
def start(server: Recorder, tmp_path: Path) -> Iterator[Start]:
    """Starts programs; what still runs when the test ends is killed."""
    starting = Start(server, tmp_path)
    yield starting
    starting.close()

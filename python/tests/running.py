"""Programs that run while the test does other things: servers, workers, and what these start."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from recorder import Recorder

#: What a test waits for comes within so many seconds, or never.
PATIENCE_S = 30.0

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


class Running:
    """One program and all that it starts, which ends with the test. Its output goes to a file."""

    def __init__(self, arguments: Iterable[str], directory: Path, environment: dict[str, str]) -> None:
        self._file = directory / f"{time.monotonic_ns()}.out"
        with self._file.open("wb") as output:
            self.process = subprocess.Popen(
                list(arguments),
                cwd=directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # A group of its own, so that what it starts can be told to end as well.
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return self._file.read_text(encoding="utf-8", errors="replace")

    def wait_for_output(self, pattern: str, count: int = 1) -> list[str]:
        """What the pattern's group was in the output, as soon as it was there so many times."""

        def is_there() -> bool:
            return len(re.findall(pattern, self.output)) >= count

        eventually(is_there, lambda: f"{pattern!r} is not in the output {count} times:\n{self.output}", self)
        return re.findall(pattern, self.output)

    def is_running(self) -> bool:
        return self.process.poll() is None

    def tell(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        """Its exit status; it must end."""
        try:
            return self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it does not end:\n{self.output}") from None

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.tell(number)
        return self.wait()

    def kill(self) -> None:
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # Nobody of the group is left.
        self.process.wait()


class Start:
    """Starts Python programs that send to the server of the test."""

    def __init__(self, server: Recorder, directory: Path) -> None:
        self.server = server
        self.directory = directory
        self._running: list[Running] = []

    def file(self, name: str, text: str) -> Path:
        path = self.directory / name
        path.write_text(text, encoding="utf-8")
        return path

    def __call__(self, *arguments: str, **environment: str) -> Running:
        """``python ARGUMENTS``, in the directory of the files."""
        variables = {
            **os.environ,
            "MILLPOND_ENDPOINT": self.server.url,
            "MILLPOND_API_KEY": "k",
            "MILLPOND_SERVICE": "program",
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            **environment,
        }
        running = Running([sys.executable, *arguments], self.directory, variables)
        self._running.append(running)
        return running

    def close(self) -> None:
        for running in self._running:
            running.kill()


def eventually(
    condition: Callable[[], bool], what: Callable[[], str] | str, running: Running | None = None, pause_s: float = 0.02
) -> None:
    """Waits for the condition; in vain as well if the program ends before it holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        ended = running is not None and not running.is_running()
        if (ended and not condition()) or time.monotonic() > deadline:
            raise AssertionError(what if isinstance(what, str) else what())
        time.sleep(pause_s)


def get(port: int, path: str) -> str:
    """The answer to one request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read().decode()
        assert response.status == 200, body
        return body
    finally:
        connection.close()


def messages(server: Recorder, prefix: str = "") -> list[str]:
    """What the program logged itself, not what its server or worker said by ``logging``: that has a function."""
    own = (record for record in server.records if "function" not in record.get("fields", {}))
    return [record["message"] for record in own if record["message"].startswith(prefix)]


def each_once(server: Recorder, expected: Iterable[str], prefix: str = "") -> None:
    """Every record has arrived, none of them twice, and no other one of that prefix."""
    wanted, found = Counter(expected), Counter(messages(server, prefix))
    assert found == wanted, {"lost": wanted - found, "too many": found - wanted}


def is_spooled(directory: Path, text: str) -> bool:
    """Whether a record with this text is in a file of the spool, whence no signal takes it."""
    for path in directory.rglob("*.seg"):
        try:
            if text.encode() in path.read_bytes():
                return True
        except FileNotFoundError:
            pass  # It was delivered meanwhile.
    return False

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import millpond
import recording
from log_server import LogServer
from recorder import Recorder
from running import Start
from shipping import Made

collect_ignore = [
    "ingesting.py",
    "log_server.py",
    "logiscout.py",
    "logtide.py",
    "recorder.py",
    "recording.py",
    "running.py",
    "shipping.py",
    "web.py",
]


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("MILLPOND_"):
            monkeypatch.delenv(name)
    if importlib.util.find_spec("zstandard") is None:
        monkeypatch.setenv("MILLPOND_COMPRESSION", "gzip")  # What the recording server can read there.


@pytest.fixture
def server() -> Iterator[Recorder]:
    recorder = Recorder()
    yield recorder
    recorder.close()


@pytest.fixture
def client(server: Recorder) -> Iterator[Recorder]:
    """The package, sending to a server of its own."""
    millpond.init(service="tests", endpoint=server.url, api_key="k", batch_age_s=0.05, capture_logging=False)
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
        return self.run_file(script, timeout_s=timeout_s, check=check, **environment)

    def run_file(
        self, script: Path, *, timeout_s: float = 30.0, check: bool = True, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Runs a file that is there already, in its directory."""
        places = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
        variables = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(os.path.abspath, places)),
            "MILLPOND_ENDPOINT": self.server.url,
            "MILLPOND_API_KEY": "k",
            "MILLPOND_SERVICE": "program",
            **environment,
        }
        done = subprocess.run(
            [sys.executable, "-W", "error", str(script)],
            cwd=script.parent,
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


#: Where the pages of the package's documentation are.
DOCS = Path(__file__).parents[2] / "docs" / "python"
_BLOCK = re.compile(r"^( *)```python\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_NAMED = re.compile(r"# ([\w./-]+\.py)\n")


@dataclass(frozen=True)
class DocsPage:
    """The programs of a page: a block that starts with a comment such as ``# app.py`` is that file, the other blocks
    are, in their order, ``page.py``."""

    files: dict[str, str]

    def write(self, directory: Path) -> None:
        """Writes the files into the directory."""
        for name, code in self.files.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(code, encoding="utf-8")


def docs_page(name: str) -> DocsPage:
    """The page ``docs/python/NAME.md``; the test is skipped where there is no documentation."""
    if not DOCS.is_dir():
        pytest.skip("the documentation is not part of an installed package")
    return page_at(DOCS / f"{name}.md")


def page_at(path: Path) -> DocsPage:
    """The page in this file."""
    files: dict[str, str] = {}
    for indent, block in _BLOCK.findall(path.read_text(encoding="utf-8")):
        code = re.sub(f"^{indent}", "", block, flags=re.MULTILINE)
        named = _NAMED.match(code)
        if named:
            files[named[1]] = code
        else:
            files["page.py"] = f"{files['page.py']}\n{code}" if "page.py" in files else code
    return DocsPage(files)


@pytest.fixture
def logs() -> Iterator[LogServer]:
    """A server that has logs to read."""
    log_server = LogServer()
    yield log_server
    log_server.close()


@pytest.fixture
def peer() -> Iterator[recording.Recorder]:
    """A server that is not Millpond's."""
    server = recording.Recorder()
    yield server
    server.close()


@pytest.fixture
def made(peer: recording.Recorder) -> Iterator[Made]:
    shippers = Made(peer)
    yield shippers
    shippers.close()


@pytest.fixture
def start(server: Recorder, tmp_path: Path) -> Iterator[Start]:
    """Starts programs; what still runs when the test ends is killed."""
    starting = Start(server, tmp_path)
    yield starting
    starting.close()

"""Runs scenarios: programs in a process of their own, with an original package or with the drop-in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TARGET = ROOT / os.environ.get("CARGO_TARGET_DIR", "target")
PATIENCE_S = 60.0

#: How the names of settings begin, ours and the originals'.
SETTINGS = ("MILLPOND_", "STREAMLOGIA_", "LOGINGESTOR_", "LOGTIDE_", "TIMBERLOGS_", "LOGISCOUT_", "OTEL_", "COMPAT_")

#: The import name of the package in each environment of `requirements/`, where it is not the environment's.
PACKAGES = {"streamlogia_0_1": "logingestor"}


@dataclass
class Run:
    """What came of a program."""

    stdout: str
    stderr: str
    status: int
    #: What it gave to `given.report`.
    report: Any


class Running:
    """A program that may still run."""

    def __init__(self, arguments: list[str], directory: Path, variables: dict[str, str]) -> None:
        self._report = directory / "report.json"
        self.process = subprocess.Popen(
            arguments,
            cwd=directory,
            env={**variables, "COMPAT_REPORT": str(self._report)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(self, *, check: bool = True, timeout_s: float = PATIENCE_S) -> Run:
        """Waits for its end, which must be a good one unless `check` is false."""
        try:
            stdout, stderr = self.process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            stdout, stderr = self.process.communicate()
            raise AssertionError(f"it does not end within {timeout_s} s:\n{stdout}\n{stderr}") from None
        status = self.process.returncode
        assert status == 0 or not check, f"it ended with status {status}:\n{stdout}\n{stderr}"
        report = json.loads(self._report.read_text(encoding="utf-8")) if self._report.exists() else None
        return Run(stdout, stderr, status, report)


class Programs:
    """Starts scenarios; what still runs when the test ends is killed."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._started: list[Running] = []

    def start(
        self,
        scenario: str,
        variant: str,
        venv: str,
        *arguments: str,
        address: str = "http://127.0.0.1:9",
        key: str = "key",
        **environment: str,
    ) -> Running:
        """Starts a file below this folder. `original` runs with the Python of this environment, `ours` with the one
        that runs the tests; a further `environment` may be given."""
        command = [python(venv) if variant == "original" else sys.executable, str(HERE / "bootstrap.py")]
        command += [variant, PACKAGES.get(venv, venv), str(HERE / scenario), *arguments]
        return self._start(command, variant, {"COMPAT_ADDRESS": address, "COMPAT_KEY": key, **environment})

    def run(self, scenario: str, variant: str, venv: str, *arguments: str, check: bool = True, **options: str) -> Run:
        """Starts it and waits for its end."""
        return self.start(scenario, variant, venv, *arguments, **options).finish(check=check)

    def seed(
        self,
        file: str,
        *requests: tuple[str, str, Any],
        address: str,
        key: str,
        check: bool = True,
        **environment: str,
    ) -> Run:
        """Runs a program of a seed page, which imports the drop-in by its own name and may import `given`. If it makes
        a web application that is asked `requests`: method, path, and JSON or `None`. The statuses are reported."""
        command = [sys.executable, str(HERE / "seeds" / file)]
        if requests:
            command = [sys.executable, str(HERE / "asking.py"), command[-1], json.dumps(requests)]
        places = [str(HERE / "scenarios"), surroundings("ours").get("PYTHONPATH", "")]
        variables = {"COMPAT_ADDRESS": address, "COMPAT_KEY": key, "PYTHONPATH": os.pathsep.join(filter(None, places))}
        return self._start(command, "ours", {**variables, **environment}).finish(check=check)

    def close(self) -> None:
        for running in self._started:
            if running.process.poll() is None:
                running.process.kill()
                running.process.communicate()

    def _start(self, command: list[str], variant: str, variables: dict[str, str]) -> Running:
        directory = self._directory / f"{len(self._started)}-{variant}"
        directory.mkdir(parents=True)
        running = Running(command, directory, {**surroundings(variant), "COMPAT_VARIANT": variant, **variables})
        self._started.append(running)
        return running


def python(venv: str) -> str:
    """The Python of an environment below `target/compat/`."""
    path = TARGET / "compat" / venv / "bin" / "python"
    assert path.exists(), f"{path} is missing: `cargo xtask test --only compat` makes it"
    return str(path)


def surroundings(variant: str) -> dict[str, str]:
    """The environment of a program, without settings that whoever runs the tests has."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(SETTINGS)}
    places = kept.pop("PYTHONPATH", "")
    if variant == "ours" and places:
        kept["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, places.split(os.pathsep)))
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1", "NO_PROXY": "127.0.0.1"}

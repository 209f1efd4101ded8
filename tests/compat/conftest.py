"""What the tests of the drop-ins share: a server, a recorder, and programs that run with either package."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from comparing import Allowed, Shape, comparable, differences, judge
from programs import Programs, Run
from recording import Recorder, Request
from serving import Project, Server

collect_ignore = ["asking.py", "bootstrap.py", "surface.py"]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for all tests."""
    running = Server(tmp_path_factory.mktemp("server"))
    yield running
    running.close()


@pytest.fixture
def project(server: Server) -> Project:
    """A project of this test's own, with its key."""
    return server.project()


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    recording = Recorder()
    yield recording
    recording.close()


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    starting = Programs(tmp_path)
    yield starting
    starting.close()


@dataclass
class Side:
    """What came of one of the two."""

    run: Run
    requests: list[Request]


class SideBySide:
    """Runs a scenario with both packages, each against a recorder of its own, and compares what they sent."""

    def __init__(self, programs: Programs) -> None:
        self._programs = programs

    def __call__(
        self,
        scenario: str,
        venv: str,
        shape: Shape,
        *arguments: str,
        script: Callable[[Recorder], object] | None = None,
        allowed: Sequence[Allowed] = (),
        **environment: str,
    ) -> dict[str, Side]:
        """`script` tells each recorder how to answer; `environment` is for the programs."""
        sides = {
            variant: self._side(variant, scenario, venv, arguments, script, environment)
            for variant in ("original", "ours")
        }
        original, ours = (comparable(shape, side.requests, side.run.report) for side in sides.values())
        judge(shape, differences(original, ours), allowed)
        return sides

    def _side(
        self,
        variant: str,
        scenario: str,
        venv: str,
        arguments: Sequence[str],
        script: Callable[[Recorder], object] | None,
        environment: dict[str, str],
    ) -> Side:
        recording = Recorder()
        try:
            if script is not None:
                script(recording)
            run = self._programs.run(scenario, variant, venv, *arguments, address=recording.address, **environment)
        finally:
            recording.close()
        return Side(run, recording.requests)


@pytest.fixture
def side_by_side(programs: Programs) -> SideBySide:
    return SideBySide(programs)


class SameSurface:
    """Compares what a package shows with what its drop-in shows; the drop-in may have more."""

    def __init__(self, programs: Programs) -> None:
        self._programs = programs

    def __call__(self, venv: str, package: str, shape: Shape, allowed: Sequence[Allowed] = ()) -> None:
        original, ours = (
            # Without an address, since that would be a constant of the one and no constant of the other.
            self._programs.run("surface.py", variant, venv, package, address="").report
            for variant in ("original", "ours")
        )
        judge(shape, differences(original, _trimmed(original, ours)), allowed)


def _trimmed(original: Any, ours: Any) -> Any:
    """Ours, without members and bases that the original does not have."""
    if isinstance(original, dict) and isinstance(ours, dict):
        trimmed = {name: _trimmed(inner, ours[name]) for name, inner in original.items() if name in ours}
        if "bases" in trimmed:
            trimmed["bases"] = [base for base in ours["bases"] if base in original["bases"]]
        return trimmed
    return ours


@pytest.fixture
def same_surface(programs: Programs) -> SameSurface:
    return SameSurface(programs)

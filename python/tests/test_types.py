"""The types that the package promises are those that it has."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import millpond

pytest.importorskip("mypy", reason="mypy is not installed")
PACKAGE = Path(millpond.__file__).parent
CONSUMER = Path(__file__).parent / "typing" / "consumer.py"


def check(*arguments: str, directory: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=directory, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(sys.version_info < (3, 10), reason="the last stubtest for 3.9 fails at the standard library")
def test_the_stubs_are_those_of_the_module(tmp_path: Path) -> None:
    allowed = Path(__file__).parents[1] / "stubtest.allow"
    check("mypy.stubtest", "--allowlist", str(allowed), "millpond", directory=tmp_path)


def test_the_package_is_strictly_typed(tmp_path: Path) -> None:
    check("mypy", "--strict", "--package", "millpond", directory=tmp_path)


def test_right_calls_are_accepted_and_wrong_ones_are_not(tmp_path: Path) -> None:
    """The wrong ones are marked, and a mark on a call that is accepted is an error too."""
    check("mypy", "--strict", str(CONSUMER), directory=tmp_path)


def test_what_is_public_is_listed() -> None:
    assert set(millpond.__all__) <= set(dir(millpond))
    assert (PACKAGE / "py.typed").exists()

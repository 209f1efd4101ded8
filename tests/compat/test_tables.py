"""The tables of `docs/compat/` are true to the tests and to the pages that users come from."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from programs import HERE, ROOT
from seed_features import FEATURES
from tables import SYSTEMS, rows

OUTCOMES = ("works", "better", "differs")


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_row_has_an_outcome_and_tests_that_exist(system: str) -> None:
    found = rows(system)
    features = [row.feature for row in found]
    assert sorted(features) == sorted(set(features)), "a feature has two rows"
    for row in found:
        assert row.here in OUTCOMES, f"{row.feature}: {row.here!r}, expected one of {', '.join(OUTCOMES)}"
        assert row.note or row.here == "works", f"{row.feature}: a row that is `{row.here}` says how"
        assert row.tests, f"{row.feature}: no test"
        missing = [test for test in row.tests if not _exists(test)]
        assert not missing, f"{row.feature}: there is no {missing}"


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_feature_of_the_seed_page_has_a_row(system: str) -> None:
    features = {row.feature for row in rows(system)}
    assert not [feature for feature in FEATURES[system] if feature not in features]


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_test_of_a_system_is_named_by_a_row(system: str) -> None:
    named = {test for row in rows(system) for test in row.tests}
    there = [f"{file.name}::{name}" for file in sorted(HERE.glob(f"test_{system}*.py")) for name in _python_tests(file)]
    assert not [test for test in there if test not in named]


def _exists(test: str) -> bool:
    """`FILE.py::NAME`, of this folder or the package's tests, or `PATH.rs::NAME`, from the root."""
    file, name = test.split("::")
    if file.endswith(".rs"):
        path = ROOT / file
        return path.is_file() and f"fn {name}(" in path.read_text(encoding="utf-8")
    places = [folder / file for folder in (HERE, ROOT / "python" / "tests")]
    return any(name in _python_tests(path) for path in places if path.is_file())


def _python_tests(path: Path) -> list[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = (node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))
    return [function.name for function in functions if function.name.startswith("test_")]

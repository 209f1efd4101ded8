"""The original import names mean the drop-ins once that is installed."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import millpond.compat
from conftest import Program

#: A drop-in in miniature, so that these tests need none of the real ones.
PREAMBLE = """
import sys, types
import millpond.compat as compat
compat.NAMES = ("toy", "other")
compat.__path__.append(sys.path[0] + "/drop_ins")
"""


@pytest.fixture
def toy(program: Program, tmp_path: Path) -> Program:
    files = {
        "drop_ins/toy/__init__.py": "from .client import Client\n",
        "drop_ins/toy/client.py": "from millpond.compat._address import address\nclass Client: pass\n"
        "URL = address('toy', 'https://hosted')\n",
        "drop_ins/toy/middleware/__init__.py": "",
        "drop_ins/toy/middleware/flask.py": "from ..client import Client\n",
        "drop_ins/other.py": "value = 1\n",
        # What stands for an original that is installed.
        "toy/__init__.py": "raise AssertionError('the original was imported')\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return program


def test_a_module_is_the_same_under_both_names(toy: Program) -> None:
    toy.run(
        PREAMBLE
        + """
compat.install("toy")
assert "millpond.compat.toy" not in sys.modules, "imported before anybody asked"
import toy, toy.client
import millpond.compat.toy, millpond.compat.toy.client
assert toy is millpond.compat.toy
assert toy.client is millpond.compat.toy.client
assert toy.__name__ == toy.__spec__.name == "millpond.compat.toy"
assert toy.Client.__module__ == "millpond.compat.toy.client"
"""
    )


def test_a_submodule_is_found_lazily_and_by_its_own_name_alone(toy: Program) -> None:
    toy.run(
        PREAMBLE
        + """
compat.install("toy")
from toy.middleware.flask import Client
assert "toy.client" not in sys.modules and "millpond.compat.toy.client" in sys.modules
import millpond.compat.toy.middleware.flask as flask
assert sys.modules["toy.middleware.flask"] is flask and flask.Client is Client
import importlib
assert importlib.import_module("toy.client") is sys.modules["millpond.compat.toy.client"]
"""
    )


def test_a_drop_in_that_was_imported_before_is_the_one(toy: Program) -> None:
    toy.run(
        PREAMBLE
        + """
import millpond.compat.toy as before
compat.install("toy"); compat.install("toy")
import toy
assert toy is before
compat.install("toy")
"""
    )


def test_without_a_name_all_of_them_are_installed(toy: Program) -> None:
    toy.run(PREAMBLE + "compat.install()\nimport toy, other\nassert other.value == 1")


def test_what_is_not_named_stays_as_it_was(toy: Program) -> None:
    done = toy.run(PREAMBLE + "compat.install('other')\nimport toy", check=False)
    assert "the original was imported" in done.stderr


def test_a_module_that_neither_has_is_not_found(toy: Program) -> None:
    done = toy.run(PREAMBLE + "compat.install('toy')\nimport toy.nothing", check=False)
    assert "ModuleNotFoundError: No module named 'toy.nothing'" in done.stderr


def test_an_original_that_was_imported_already_is_an_error(toy: Program) -> None:
    done = toy.run(PREAMBLE + "sys.modules['toy'] = types.ModuleType('toy')\ncompat.install('toy')", check=False)
    assert "RuntimeError: 'toy' was imported before, expected install() to come before its first import" in done.stderr


def test_an_unknown_name_is_an_error_that_tells_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"no drop-in for 'logtide', expected one of logingestor, .*logtide_sdk"):
        millpond.compat.install("logtide")


def test_the_address_is_the_given_one_before_the_environment_before_the_hosted(toy: Program) -> None:
    url = "import toy\nassert toy.client.URL == {!r}, toy.client.URL"
    given = "compat.install('toy', address='http://127.0.0.1:1/')\n"
    toy.run(PREAMBLE + given + url.format("http://127.0.0.1:1"), MILLPOND_ENDPOINT="http://127.0.0.1:2/")
    toy.run(
        PREAMBLE + "compat.install('toy')\n" + url.format("http://127.0.0.1:2"), MILLPOND_ENDPOINT="http://127.0.0.1:2/"
    )
    toy.run(PREAMBLE + "compat.install('toy')\n" + url.format("https://hosted"), MILLPOND_ENDPOINT="")


def test_an_address_that_is_none_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"address is '127.0.0.1', expected one such as 'http://127.0.0.1:4480'"):
        millpond.compat.install("timberlogs", address="127.0.0.1")


def test_the_drop_ins_are_written_for_python_3_9() -> None:
    files = [file for file in Path(millpond.compat.__path__[0]).rglob("*.py") if file.stat().st_size]
    names = {file.relative_to(millpond.compat.__path__[0]).parts[0].removesuffix(".py") for file in files}
    assert names.issuperset(millpond.compat.NAMES)
    for file in files:
        source = file.read_text(encoding="utf-8")
        ast.parse(source, feature_version=(3, 9))
        # `X | None` in an annotation is an error there, if it is evaluated.
        assert "from __future__ import annotations\n" in source or "def " not in source, file

"""The local variables of an exception's frames, where they are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import millpond
from recorder import Recorder


@pytest.fixture
def client(server: Recorder) -> Iterator[Recorder]:
    millpond.init(service="tests", endpoint=server.url, api_key="k", batch_age_s=0.05, exception_locals=True)
    yield server
    millpond.close(2.0)


def frames(server: Recorder, call: Any) -> list[dict[str, Any]]:
    before = len(server.records)
    try:
        call()
    except Exception:
        millpond.get_logger("errors").exception("failed")
    assert millpond.flush(5)
    stacktrace = server.wait_for(before + 1)[before]["exception"]["stacktrace"]
    assert isinstance(stacktrace, list)
    return stacktrace


def test_they_come_with_their_frame_and_secrets_are_withheld(client: Recorder) -> None:
    def pay(amount: int, password: str) -> None:
        request = {"headers": {"Set-Cookie": "s"}, "Api-Key": "k", "after": 1}
        raise ValueError(amount, len(password), len(request))

    *_, last = frames(client, lambda: pay(5, password="hunter2"))
    assert last["locals"] == {
        "amount": 5,
        "password": "[REDACTED]",
        "request": {"headers": {"Set-Cookie": "[REDACTED]"}, "Api-Key": "[REDACTED]", "after": 1},
    }
    assert "hunter2" not in str(client.records[-1])


def test_they_are_shallow_and_cut(client: Recorder) -> None:
    def fail() -> None:
        long = "x" * 100_000
        many = list(range(100_000))
        deep = {"a": {"b": {"c": 1}}}
        itself: list[Any] = []
        itself.append(itself)
        raise ValueError(len(long), len(many), len(deep), len(itself))

    variables = frames(client, fail)[-1]["locals"]
    assert variables["long"].endswith("… (100000 bytes)")
    assert len(variables["long"]) < 600
    assert len(variables["many"]) < 300
    assert variables["many"][-1] == "…"
    assert variables["deep"] == {"a": {"b": "<nested too deep>"}}
    assert variables["itself"] == ["<cycle>"]


def test_a_variable_that_can_not_be_printed_costs_only_itself(client: Recorder) -> None:
    class Silent:
        def __repr__(self) -> str:
            raise RuntimeError

    def fail() -> None:
        silent, number = Silent(), 1
        raise ValueError(number, type(silent))

    assert frames(client, fail)[-1]["locals"]["silent"] == "<unprintable Silent>"
    assert frames(client, fail)[-1]["locals"]["number"] == 1


def test_there_are_no_more_than_fifty_of_a_frame(client: Recorder) -> None:
    names = [f"v{n}" for n in range(200)]
    namespace: dict[str, Any] = {}
    exec(f"def fail():\n  {' = '.join(names)} = 1\n  raise ValueError", namespace)
    last = frames(client, namespace["fail"])[-1]
    assert list(last["locals"]) == names[:50]
    assert last["locals_omitted"] == 150


def test_those_of_a_module_are_not_local(client: Recorder) -> None:
    namespace = {"secret_of_the_module": 1}
    last = frames(client, lambda: exec("raise ValueError", namespace))[-1]
    assert last["function"] == "<module>"
    assert "locals" not in last


def test_only_the_innermost_frames_have_them_and_the_record_arrives(client: Recorder) -> None:
    def recurse(depth: int, load: str) -> None:
        if depth == 0:
            raise ValueError
        recurse(depth - 1, load)

    stacktrace = frames(client, lambda: recurse(500, "\x00" * 10_000))
    assert len(stacktrace) == 100
    assert [frame["locals"]["depth"] for frame in stacktrace if "locals" in frame] == list(range(15, -1, -1))


def test_the_variables_are_left_as_they_were(client: Recorder) -> None:
    def fail() -> None:
        value = 1
        try:
            value = 2
            raise ValueError
        except ValueError:
            value = 3
            millpond.get_logger("errors").exception("inner")
            assert value == 3
            raise

    frames(client, fail)

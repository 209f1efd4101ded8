"""Exceptions arrive as structure."""

from __future__ import annotations

import builtins
import sys
from typing import Any

import pytest

import millpond
from recorder import Recorder


def arrived(server: Recorder, error: Any) -> dict[str, Any]:
    before = len(server.records)
    millpond.get_logger("errors").error("failed", exc_info=error)
    assert millpond.flush(5)
    exception = server.wait_for(before + 1)[before]["exception"]
    assert isinstance(exception, dict)
    return exception


def raised(make: Any) -> BaseException:
    try:
        make()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def fail(message: str = "bad") -> None:
    raise ValueError(message)


def test_type_message_and_frames_outermost_first(client: Recorder) -> None:
    exception = arrived(client, raised(fail))
    assert exception["type"] == "ValueError"
    assert exception["message"] == "bad"
    assert [frame["function"] for frame in exception["stacktrace"]] == ["raised", "fail"]
    assert exception["stacktrace"][-1]["file"] == __file__
    assert exception["stacktrace"][-1]["line"] == fail.__code__.co_firstlineno + 1
    assert "cause" not in exception


def test_the_exception_being_handled_is_found(client: Recorder) -> None:
    log = millpond.get_logger("errors")
    try:
        fail()
    except ValueError:
        log.exception("one")
        log.error("two", exc_info=True)
        log.error("three", exc_info=sys.exc_info())
    log.exception("nothing is being handled")
    log.error("x", exc_info="yes")
    log.error("x", exc_info=(1, 2))
    millpond.flush(5)
    records = client.wait_for(6)
    assert [record.get("exception", {}).get("type") for record in records] == ["ValueError"] * 3 + [None] * 3
    assert [record["level"] for record in records] == ["error"] * 6


def test_causes_and_contexts_are_followed_as_python_prints_them(client: Recorder) -> None:
    def explicit() -> None:
        try:
            fail("inner")
        except ValueError as error:
            raise KeyError("outer") from error

    def implicit() -> None:
        try:
            fail("inner")
        except ValueError:
            raise KeyError("outer")  # noqa: B904

    def suppressed() -> None:
        try:
            fail("inner")
        except ValueError:
            raise KeyError("outer") from None

    for make in (explicit, implicit):
        exception = arrived(client, raised(make))
        assert exception["type"] == "KeyError"
        assert exception["cause"]["type"] == "ValueError"
        assert exception["cause"]["message"] == "inner"
    assert "cause" not in arrived(client, raised(suppressed))


def test_a_chain_that_comes_back_to_itself_ends(client: Recorder) -> None:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    exception = arrived(client, first)
    assert exception["cause"]["message"] == "second"
    assert "cause" not in exception["cause"]
    first.__cause__ = first
    assert "cause" not in arrived(client, first)


def test_a_chain_of_any_length_leaves_a_record_that_the_server_takes(client: Recorder) -> None:
    last = ValueError("0")
    for number in range(1, 500):
        following = ValueError(str(number))
        following.__cause__ = last
        last = following
    exception = arrived(client, last)
    length = 0
    while exception:
        length += 1
        exception = exception.get("cause")  # type: ignore[assignment]
    assert length == 50


def test_a_deep_recursion_shows_both_ends(client: Recorder) -> None:
    def recurse(depth: int) -> None:
        if depth == 0:
            fail("at the bottom")
        recurse(depth - 1)

    exception = arrived(client, raised(lambda: recurse(300)))
    assert len(exception["stacktrace"]) == 100
    assert exception["frames_omitted"] == 300 + 4 - 100
    assert exception["stacktrace"][0]["function"] == "raised"
    assert exception["stacktrace"][-1]["function"] == "fail"


def test_an_exception_that_can_not_be_printed(client: Recorder) -> None:
    class Silent(Exception):
        def __str__(self) -> str:
            raise RuntimeError

        __repr__ = __str__

    assert arrived(client, Silent())["message"] == "<unprintable Silent>"


if sys.version_info >= (3, 11):
    Group = builtins.ExceptionGroup
else:
    Group = getattr(pytest.importorskip("exceptiongroup"), "ExceptionGroup")  # noqa: B009


def test_groups(client: Recorder) -> None:
    exception = arrived(client, Group("several", [ValueError("inner"), Group("nested", [KeyError("k")])]))
    assert exception["type"].split(".")[-1] == "ExceptionGroup"
    assert exception["exceptions"][0]["message"] == "inner"
    assert exception["exceptions"][1]["exceptions"][0]["type"] == "KeyError"
    assert "exceptions_omitted" not in exception


def test_a_large_group_says_what_it_leaves_out(client: Recorder) -> None:
    exception = arrived(client, Group("many", [ValueError(str(n)) for n in range(1000)]))
    assert len(exception["exceptions"]) == 49
    assert exception["exceptions_omitted"] == 951


def test_notes_are_texts(client: Recorder) -> None:
    class Silent:
        def __repr__(self) -> str:
            raise RuntimeError

    error = ValueError("x")
    for notes, expected in (
        (["a note", 5, Silent()], ["a note", "5", "<unprintable Silent>"]),
        (("a", "b"), ["a", "b"]),
        ("no list", ["no list"]),
        ([], []),
    ):
        error.__notes__ = notes
        assert arrived(client, error)["notes"] == expected
    error.__notes__ = ["n"] * 1000
    assert len(arrived(client, error)["notes"]) == 32


def test_a_syntax_error_says_where(client: Recorder) -> None:
    exception = arrived(client, raised(lambda: compile("x = (", "page.py", "exec")))
    assert exception["type"] == "SyntaxError"
    assert exception["syntax"]["file"] == "page.py"
    assert exception["syntax"]["line"] == 1
    assert exception["syntax"]["text"].startswith("x = (")
    assert "syntax" not in arrived(client, SyntaxError("made by hand"))


def test_the_traceback_of_a_triple_is_used_if_the_exception_has_none(client: Recorder) -> None:
    error = raised(fail)
    traceback = error.__traceback__
    error.__traceback__ = None
    assert arrived(client, error)["stacktrace"] == []
    exception = arrived(client, (type(error), error, traceback))
    assert [frame["function"] for frame in exception["stacktrace"]] == ["raised", "fail"]
    assert error.__traceback__ is None


def test_an_exception_that_lies_about_itself(client: Recorder) -> None:
    class Liar(Exception):
        __cause__ = property(lambda self: Liar("again"))
        __notes__ = property(lambda self: 1 / 0)
        exceptions = (5,)

    exception = arrived(client, Liar("x"))
    assert exception["message"] == "x"
    length = 0
    while exception:
        length += 1
        exception = exception.get("cause")  # type: ignore[assignment]
    assert length <= 50

    class Quitter(Exception):
        __cause__ = property(lambda self: sys.exit(3))

    with pytest.raises(SystemExit):
        millpond.get_logger("errors").error("x", exc_info=Quitter())


def test_a_recursion_error_of_thousands_of_frames(client: Recorder) -> None:
    def recurse() -> None:
        recurse()

    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(5000)
    try:
        error = raised(recurse)
    finally:
        sys.setrecursionlimit(limit)
    exception = arrived(client, error)
    assert exception["type"] == "RecursionError"
    assert len(exception["stacktrace"]) == 100
    assert exception["frames_omitted"] > 4000


def test_a_message_of_any_length_leaves_room_for_the_frames(client: Recorder) -> None:
    exception = arrived(client, raised(lambda: fail("x" * 10_000_000)))
    assert len(exception["message"]) < 70_000
    assert exception["message"].endswith("… (10000000 bytes)")
    assert exception["stacktrace"][-1]["function"] == "fail"


def test_local_variables_are_left_out_unless_they_are_asked_for(client: Recorder) -> None:
    exception = arrived(client, raised(fail))
    assert all("locals" not in frame for frame in exception["stacktrace"])

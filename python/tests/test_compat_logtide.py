"""What logtide-sdk loses, leaks or raises, and its drop-in does not."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import dataclasses
import json
import math
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from logtide import INGEST, entries, logged, options
from millpond.compat.logtide_sdk import (
    AsyncLogTideClient,
    ClientOptions,
    DsnParseError,
    LogEntry,
    LogLevel,
    LogTideClient,
    PayloadLimitsOptions,
    QueryOptions,
    get_current_scope,
    parse_dsn,
    push_scope,
    serialize_exception,
    set_tag,
)
from millpond.compat.logtide_sdk._retry import classify_failure
from millpond.compat.logtide_sdk.json_encoder import logtide_json_dumps
from millpond.compat.logtide_sdk.payload_limits import apply_payload_limits
from recording import Answer, Recorder


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    recording = Recorder()
    yield recording
    recording.close()


@pytest.fixture
def client(recorder: Recorder) -> Iterator[LogTideClient]:
    made = LogTideClient(options(recorder))
    yield made
    made.close()


# What callers give stays theirs.


def test_metadata_of_the_caller_is_left_alone(client: LogTideClient) -> None:
    metadata = {"nested": {"password": "x" * 20_000}}
    before = copy.deepcopy(metadata)
    with push_scope() as scope:
        scope.set_tag("request", "1")
        scope.set_user({"id": "u1"})
        client.info("svc", "m", metadata)
    assert metadata == before


def test_an_entry_of_the_caller_is_left_alone(client: LogTideClient) -> None:
    entry = LogEntry("svc", LogLevel.INFO, "m", metadata={"a": 1})
    before = copy.deepcopy(entry)
    client.set_trace_id("trace")
    client.log(entry)
    assert entry == before


# No log call raises because of what it is given.


class Broken:
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


def cyclic() -> dict[str, Any]:
    value: dict[str, Any] = {}
    value["self"] = [value]
    return value


def deep() -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(5000):
        value = {"in": value}
    return value


@pytest.mark.parametrize(
    ("given", "arrives"),
    [
        ({"text": "half \ud800"}, {"text": "half \ufffd"}),
        ({"a": math.nan, "b": [math.inf, -math.inf]}, {"a": "NaN", "b": ["Infinity", "-Infinity"]}),
        (cyclic(), {"self": [{"self": "<circular reference>"}]}),
        (5, {"data": 5}),
        ([("a", 1)], {"data": [["a", 1]]}),
        ("a text", {"data": "a text"}),
        ({"broken": Broken()}, {"broken": "<unprintable Broken>"}),
        ({(1, 2): "key", None: "none"}, {"(1, 2)": "key", "null": "none"}),
    ],
)
def test_odd_metadata_arrives(client: LogTideClient, recorder: Recorder, given: Any, arrives: Any) -> None:
    assert logged(client, recorder, given) == arrives


def test_metadata_nested_too_deep_is_cut(client: LogTideClient, recorder: Recorder) -> None:
    assert "<nested too deep>" in json.dumps(logged(client, recorder, deep()))


def test_an_exception_can_be_logged_at_any_level(client: LogTideClient, recorder: Recorder) -> None:
    assert logged(client, recorder, ValueError("no"))["exception"]["message"] == "no"


@pytest.mark.parametrize(
    ("name", "level"), [("info", "info"), ("WARNING", "warn"), ("fatal", "critical"), ("trace", "debug")]
)
def test_a_level_may_be_a_text(client: LogTideClient, recorder: Recorder, name: str, level: str) -> None:
    client.log(LogEntry("svc", name, "m"))  # type: ignore[arg-type]
    client.flush()
    assert entries(recorder)[0]["level"] == level


def test_what_is_no_text_becomes_one(client: LogTideClient, recorder: Recorder) -> None:
    client.log(LogEntry(5, LogLevel.INFO, ValueError("no"), trace_id=7))  # type: ignore[arg-type]
    client.flush()
    entry = entries(recorder)[0]
    assert [entry["service"], entry["message"], entry["trace_id"]] == ["5", "no", "7"]


def test_what_is_no_entry_is_counted_as_dropped(client: LogTideClient) -> None:
    client.log({"message": "m"})  # type: ignore[arg-type]
    assert client.get_metrics().logs_dropped == 1
    client.reset_metrics()
    assert client.get_metrics().logs_dropped == 0


def test_a_hook_that_returns_nonsense_keeps_the_entry(recorder: Recorder) -> None:
    client = LogTideClient(options(recorder, before_send=lambda _entry: "nonsense"))
    client.info("svc", "kept")
    client.close()
    assert [entry["message"] for entry in entries(recorder)] == ["kept"]


def test_a_time_with_an_offset_is_sent_in_utc(client: LogTideClient, recorder: Recorder) -> None:
    client.log(LogEntry("svc", LogLevel.INFO, "m", time="2026-01-02T03:04:05.678901+02:00"))
    client.flush()
    assert entries(recorder)[0]["time"] == "2026-01-02T01:04:05.678901Z"


# Exceptions.


def test_causes_that_go_round_in_a_circle_end() -> None:
    first, second = ValueError("first"), KeyError("second")
    first.__cause__, second.__cause__ = second, first
    described = serialize_exception(first)
    assert described["cause"]["type"] == "KeyError"
    assert "cause" not in described["cause"]


def test_no_more_than_ten_causes_are_described() -> None:
    error = ValueError("0")
    for n in range(50):
        outer = ValueError(str(n))
        outer.__cause__ = error
        error = outer
    described, depth = serialize_exception(error), 0
    while "cause" in described:
        described, depth = described["cause"], depth + 1
    assert depth == 10


def test_a_recursion_error_keeps_the_ends_of_its_stack() -> None:
    def again() -> None:
        again()

    try:
        again()
    except RecursionError as error:
        frames = serialize_exception(error)["stacktrace"]
    assert len(frames) == 100
    assert [frames[0]["function"], frames[-1]["function"]] == [
        "test_a_recursion_error_keeps_the_ends_of_its_stack",
        "again",
    ]


def test_an_exception_without_a_text_has_a_message() -> None:
    class Silent(Exception):
        __str__ = Broken.__str__

    assert serialize_exception(Silent())["message"] == "<unprintable Silent>"


# Payload limits.


def test_fields_are_excluded_in_tuples_and_objects_too() -> None:
    @dataclasses.dataclass
    class Login:
        user: str
        password: str

    value = {"tuple": ({"password": 1},), "login": Login("jane", "hunter2")}
    limited = apply_payload_limits(value, "", PayloadLimitsOptions(exclude_fields=["password"]))
    assert limited == {
        "tuple": [{"password": "[EXCLUDED]"}],
        "login": {"user": "jane", "password": "[EXCLUDED]"},
    }


def test_fields_that_a_class_does_not_show_are_not_written() -> None:
    import attrs

    @attrs.define
    class Login:
        user: str
        password: str = attrs.field(repr=False)

    assert logtide_json_dumps(Login("jane", "hunter2")) == '{"user":"jane"}'


def test_large_numbers_are_exact(client: LogTideClient, recorder: Recorder) -> None:
    numbers = {"fits": 2**63, "does not": 2**64 + 1}
    assert logged(client, recorder, numbers) == {"fits": 2**63, "does not": "18446744073709551617"}


def test_arrays_are_written_whole(client: LogTideClient, recorder: Recorder) -> None:
    import numpy

    values = {"array": numpy.arange(20), "number": numpy.float64(1.5), "nested": [numpy.int64(7)]}
    assert logged(client, recorder, values) == {"array": list(range(20)), "number": 1.5, "nested": [7]}


def test_a_dictionary_that_another_thread_changes_is_no_problem(client: LogTideClient) -> None:
    shared, done = {str(n): n for n in range(1000)}, threading.Event()

    def change() -> None:
        n = 0
        while not done.is_set():
            shared[f"new {n}"] = shared.pop(next(iter(shared)))
            n += 1

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(200):
            client.info("svc", "m", {"shared": shared})
    finally:
        done.set()
        thread.join()
    assert client.get_metrics().logs_dropped == 0


# Trace ids and scopes.


def test_a_trace_id_is_that_of_its_thread(client: LogTideClient, recorder: Recorder) -> None:
    with client.with_trace_id("mine"):
        thread = threading.Thread(target=client.info, args=("svc", "in another thread"))
        thread.start()
        thread.join()
        contextvars.copy_context().run(client.info, "svc", "in a copy of the context")
    client.flush()
    assert [entry.get("trace_id") for entry in entries(recorder)] == [None, "mine"]


def test_a_trace_id_is_that_of_its_task_with_the_async_client_too(recorder: Recorder) -> None:
    async def task(client: AsyncLogTideClient, name: str) -> None:
        with client.with_trace_id(name):
            await asyncio.sleep(0)
            await client.info("svc", name)
        with client.with_new_trace_id():
            assert client.get_trace_id() not in (None, name)

    async def main() -> None:
        async with AsyncLogTideClient(options(recorder)) as client:
            await asyncio.gather(*(task(client, name) for name in "abc"))

    asyncio.run(main())
    assert [entry["trace_id"] for entry in entries(recorder)] == [entry["message"] for entry in entries(recorder)]


def test_tasks_do_not_see_each_other_s_tags() -> None:
    async def task(name: str) -> dict[str, str]:
        set_tag(name, "set")
        await asyncio.sleep(0)
        return get_current_scope().tags

    async def main() -> list[dict[str, str]]:
        set_tag("main", "set")
        return await asyncio.gather(task("a"), task("b"))

    assert asyncio.run(main()) == [{"main": "set", "a": "set"}, {"main": "set", "b": "set"}]


def test_a_pushed_scope_is_shared_with_what_it_starts() -> None:
    async def main() -> dict[str, str]:
        with push_scope() as scope:
            await asyncio.gather(asyncio.to_thread(set_tag, "thread", "set"))
            return scope.tags

    assert asyncio.run(main()) == {"thread": "set"}


# The rest.


@pytest.mark.parametrize("dsn", ["http://k@h:port", "http://k@", "k@h", "", None])
def test_what_is_no_dsn_is_refused_as_one(dsn: Any) -> None:
    with pytest.raises(DsnParseError):
        parse_dsn(dsn)


def test_a_dsn_may_have_an_ipv6_address() -> None:
    assert parse_dsn("https://key@[::1]:4480/base/").api_url == "https://[::1]:4480/base"


def test_the_text_of_options_shows_no_key() -> None:
    assert "lp_secret" not in repr(ClientOptions(api_key="lp_secret", dsn="https://lp_secret@host"))


def test_a_retry_after_that_is_no_time_is_none() -> None:
    class Failed(Exception):
        def __init__(self, status: int, after: str) -> None:
            self.status, self.headers = status, {"Retry-After": after}

    cases = [(429, "7"), (503, "inf"), (503, "-1"), (503, "Wed, 21 Oct 2015 07:28:00 GMT"), (400, "")]
    assert [classify_failure(Failed(*case)) for case in cases] == [
        (True, 7.0),
        (True, None),
        (True, None),
        (True, None),
        (False, None),
    ]


def test_debug_tells_what_the_client_does(recorder: Recorder, capsys: pytest.CaptureFixture[str]) -> None:
    recorder.answer(INGEST, Answer(503, "busy"))
    client = LogTideClient(options(recorder, debug=True, retry_delay_ms=1))
    client.info("svc", "m")
    client.flush()
    client.close()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"[LogTide] Client initialized: {recorder.address}"
    assert lines[1].startswith("[LogTide] Failed to send 1 logs (attempt 1): ")
    assert lines[2] == "[LogTide] Sent 1 logs so far, dropped 0"
    assert lines[-1] == "[LogTide] Client closed"


def test_without_debug_nothing_is_printed(client: LogTideClient, capsys: pytest.CaptureFixture[str]) -> None:
    client.info("svc", "m")
    client.close()
    assert capsys.readouterr() == ("", "")


def test_in_local_mode_nothing_is_sent(recorder: Recorder) -> None:
    client = LogTideClient(options(recorder, local_mode=True))
    client.info("svc", "m")
    client.close()
    assert recorder.requests == []
    unset = LogTideClient(ClientOptions(local_mode="if_unset_api_key"))
    unset.info("svc", "m")
    unset.flush()
    unset.stream(lambda _log: None)()
    with pytest.raises(AssertionError, match="local mode"):
        unset.query(QueryOptions())

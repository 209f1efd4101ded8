"""What logtide-sdk loses, leaks or raises, and its drop-in does not."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import dataclasses
import json
import math
import os
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from conftest import Program
from millpond.compat.logtide_sdk import (
    AsyncLogTideClient,
    CircuitState,
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
from recording import Answer, Recorder, Request

INGEST = "/api/v1/ingest"


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    recording = Recorder()
    yield recording
    recording.close()


def options(recorder: Recorder, **more: Any) -> ClientOptions:
    return ClientOptions(**{"api_url": recorder.address, "api_key": "lp_key", "flush_interval": 0, **more})


@pytest.fixture
def client(recorder: Recorder) -> Iterator[LogTideClient]:
    made = LogTideClient(options(recorder))
    yield made
    made.close()


def entries(recorder: Recorder) -> list[dict[str, Any]]:
    """All that came. What is no JSON, such as `NaN`, fails."""
    logs = (json.loads(request.body, parse_constant=_refuse)["logs"] for request in recorder.requests)
    return [entry for batch in logs for entry in batch]


def _refuse(word: str) -> None:
    raise AssertionError(f"{word} is no JSON")


def logged(client: LogTideClient, recorder: Recorder, metadata: Any) -> dict[str, Any]:
    """The metadata that arrives, without the stamp."""
    client.info("svc", "m", metadata)
    client.flush()
    found = entries(recorder)[-1]["metadata"]
    del found["sdk"]
    return found


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


# Delivery.


@pytest.fixture
def stuck(recorder: Recorder) -> Iterator[threading.Event]:
    """The server answers when this is set."""
    answers = threading.Event()

    def script(_request: Request) -> Answer:
        answers.wait(20)
        return Answer()

    recorder.always(INGEST, script)
    yield answers
    answers.set()


def test_no_log_call_waits_for_the_server(recorder: Recorder, stuck: threading.Event) -> None:
    client = LogTideClient(options(recorder, batch_size=100))
    for n in range(500):
        client.info("svc", str(n))
    recorder.wait_for(1)
    assert client.get_metrics().logs_sent == 0, "the server has not answered yet"
    stuck.set()
    client.flush()
    assert client.get_metrics().logs_sent == 500
    client.close()


@pytest.mark.parametrize("kind", ["LogTideClient", "AsyncLogTideClient"])
def test_a_client_that_nobody_closes_delivers_at_the_end(recorder: Recorder, program: Program, kind: str) -> None:
    program.run(
        f"""
        import asyncio
        from millpond.compat.logtide_sdk import ClientOptions, {kind}
        client = {kind}(ClientOptions({recorder.address!r}, "k"))
        call = client.info("svc", "left over")
        if call is not None:
            asyncio.run(call)
        """
    )
    assert [entry["message"] for entry in entries(recorder)] == ["left over"]


def test_no_log_call_of_the_async_client_waits_for_the_server(recorder: Recorder, stuck: threading.Event) -> None:
    async def main() -> None:
        client = AsyncLogTideClient(options(recorder, batch_size=100))
        for n in range(500):
            await client.info("svc", str(n))
        assert client.get_metrics().logs_sent == 0
        # One flush is on its way when it is closed.
        flushing = asyncio.ensure_future(client.flush())
        await asyncio.sleep(0)
        stuck.set()
        await client.close()
        await flushing

    asyncio.run(main())
    assert sorted(int(entry["message"]) for entry in entries(recorder)) == list(range(500))


def test_a_request_has_no_more_entries_than_logtide_takes(recorder: Recorder, stuck: threading.Event) -> None:
    client = LogTideClient(options(recorder, batch_size=5000))
    for n in range(2500):
        client.info("svc", str(n))
    stuck.set()
    client.close()
    sizes = [len(request.json["logs"]) for request in recorder.requests]
    assert max(sizes) == 1000
    assert sum(sizes) == 2500


def test_an_entry_that_is_refused_costs_no_other(recorder: Recorder) -> None:
    def script(request: Request) -> Answer:
        bad = any(entry["message"] == "" for entry in request.json["logs"])
        return Answer(400, {"error": "Validation error", "details": {}}) if bad else Answer()

    recorder.always(INGEST, script)
    client = LogTideClient(options(recorder))
    for n in range(100):
        client.info("svc", "" if n == 37 else str(n))
    client.close()
    metrics = client.get_metrics()
    assert [metrics.logs_sent, metrics.logs_dropped] == [99, 1]


def test_a_server_that_is_busy_gets_everything_later(recorder: Recorder) -> None:
    recorder.answer(INGEST, Answer(503), Answer(429, headers={"retry-after": "0"}))
    client = LogTideClient(options(recorder, retry_delay_ms=1))
    client.info("svc", "m")
    client.flush()
    metrics = client.get_metrics()
    assert [metrics.logs_sent, metrics.errors, metrics.retries, metrics.logs_dropped] == [1, 2, 2, 0]
    assert metrics.avg_latency_ms > 0
    client.close()


def test_after_all_retries_a_batch_is_dropped_and_counted(recorder: Recorder) -> None:
    recorder.always(INGEST, Answer(500))
    client = LogTideClient(options(recorder, retry_delay_ms=1, max_retries=2, circuit_breaker_threshold=100))
    client.info("svc", "m")
    client.flush()
    metrics = client.get_metrics()
    assert [metrics.logs_sent, metrics.errors, metrics.retries, metrics.logs_dropped] == [0, 3, 2, 1]
    client.close()


def test_the_breaker_opens_and_closes_and_loses_nothing(recorder: Recorder) -> None:
    recorder.answer(INGEST, Answer(500), Answer(500))
    client = LogTideClient(
        options(recorder, retry_delay_ms=1, circuit_breaker_threshold=2, circuit_breaker_reset_ms=300)
    )
    assert client.get_circuit_breaker_state() is CircuitState.CLOSED
    client.info("svc", "m")
    client.flush()
    recorder.wait_for(3)
    client.flush()
    assert client.get_circuit_breaker_state() is CircuitState.CLOSED
    assert client.get_metrics().circuit_breaker_trips == 1
    client.close()


@pytest.mark.parametrize("status", [400, 401, 404])
def test_what_is_refused_does_not_open_the_breaker(recorder: Recorder, status: int) -> None:
    recorder.always(INGEST, Answer(status, {"error": "no"}))
    client = LogTideClient(options(recorder, circuit_breaker_threshold=2))
    for _ in range(4):
        client.info("svc", "m")
        client.flush()
    metrics = client.get_metrics()
    assert [metrics.logs_dropped, metrics.errors, metrics.retries] == [4, 4, 0]
    assert client.get_circuit_breaker_state() is CircuitState.CLOSED
    client.close()


def test_a_full_buffer_drops_the_newest_and_counts_them(recorder: Recorder, stuck: threading.Event) -> None:
    client = LogTideClient(options(recorder, batch_size=10, max_buffer_size=50))
    for n in range(200):
        client.info("svc", str(n))
    dropped = client.get_metrics().logs_dropped
    assert dropped >= 100
    stuck.set()
    client.close()
    assert len(entries(recorder)) == 200 - dropped


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_sends_its_own_logs_and_none_of_the_parent(recorder: Recorder) -> None:
    client = LogTideClient(options(recorder))
    client.info("svc", "parent")
    child = os.fork()
    if child == 0:
        try:
            client.info("svc", "child")
            client.flush()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    client.close()
    assert sorted(entry["message"] for entry in entries(recorder)) == ["child", "parent"]


def test_after_the_end_a_log_is_ignored(client: LogTideClient, recorder: Recorder) -> None:
    client.close()
    client.info("svc", "late")
    client.flush()
    client.close()
    assert recorder.requests == []
    assert client.get_metrics().logs_dropped == 0


# Reading.


@pytest.fixture
def new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("new_york")
def test_times_without_a_zone_are_those_of_this_machine(client: LogTideClient, recorder: Recorder) -> None:
    recorder.always("*", Answer(body={"logs": [], "total": 0}))
    aware = datetime(2026, 1, 2, 3, tzinfo=timezone(timedelta(hours=2)))
    client.query(QueryOptions(from_time=datetime(2026, 1, 2, 3), to_time=aware))
    query = recorder.requests[0].query
    assert query["from"] == ["2026-01-02T08:00:00+00:00"]
    assert query["to"] == ["2026-01-02T03:00:00+02:00"]


def test_a_trace_id_with_a_slash_can_be_asked_for(client: LogTideClient, recorder: Recorder) -> None:
    recorder.always("*", Answer(body=[{"id": "1"}]))
    assert client.get_by_trace_id("a/b c?") == [{"id": "1"}], "a list is taken, too"
    assert recorder.requests[0].path == "/api/v1/logs/trace/a%2Fb%20c%3F"


def test_a_slash_at_the_end_of_the_address_does_no_harm(recorder: Recorder) -> None:
    client = LogTideClient(options(recorder, api_url=f"{recorder.address}/"))
    client.info("svc", "m")
    client.close()
    assert [request.path for request in recorder.requests] == [INGEST]


def test_an_error_has_the_response(client: LogTideClient, recorder: Recorder) -> None:
    recorder.always("*", Answer(403, {"error": "Forbidden"}, {"x-more": "1"}))
    with pytest.raises(OSError, match="403") as caught:
        client.query(QueryOptions())
    response = caught.value.response  # type: ignore[attr-defined]
    assert type(caught.value).__name__ == "HTTPError"
    assert [response.status_code, response.json(), response.headers["x-more"]] == [403, {"error": "Forbidden"}, "1"]


def test_a_stream_without_events_can_be_stopped(client: LogTideClient, recorder: Recorder) -> None:
    recorder.always("/api/v1/logs/stream", Answer(chunks=[": hello\n\n"]))
    stop = client.stream(lambda _log: None)
    recorder.wait_for(1)
    stop()
    for thread in threading.enumerate():
        if thread.name == "logtide-stream":
            thread.join(20)
            assert not thread.is_alive()


def test_a_stream_that_is_refused_says_so(client: LogTideClient, recorder: Recorder) -> None:
    recorder.always("/api/v1/logs/stream", Answer(401, {"error": "Unauthorized"}))
    told, errors = threading.Event(), []

    def on_error(error: Exception) -> None:
        errors.append(error)
        told.set()

    client.stream(lambda _log: None, on_error)
    assert told.wait(20)
    assert errors[0].response.status_code == 401


def test_an_async_stream_that_is_refused_raises(recorder: Recorder) -> None:
    recorder.always("/api/v1/logs/stream", Answer(401, {"error": "Unauthorized"}))

    async def main() -> None:
        async with AsyncLogTideClient(options(recorder)) as client:
            await client.stream(lambda _log: None)

    with pytest.raises(Exception, match="401") as caught:
        asyncio.run(main())
    assert caught.value.status == 401  # type: ignore[attr-defined]


def test_a_connection_that_ends_is_made_again(client: LogTideClient, recorder: Recorder) -> None:
    stream = {"content-type": "text/event-stream"}
    recorder.answer("/api/v1/logs/stream", Answer(body='data: {"message":"first"}\n\n', headers=stream))
    recorder.always("/api/v1/logs/stream", Answer(chunks=['data: {"message":"second"}\n\n']))
    heard, both = [], threading.Event()

    def on_log(log: dict[str, Any]) -> None:
        heard.append(log["message"])
        if len(heard) == 2:
            both.set()

    stop = client.stream(on_log)
    assert both.wait(20)
    stop()
    assert heard == ["first", "second"]


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

"""How the drop-in for logtide-sdk delivers and reads: what the original loses, blocks or gets wrong."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from conftest import Program
from logtide import INGEST, entries, options
from millpond.compat.logtide_sdk import (
    AsyncLogTideClient,
    CircuitState,
    LogTideClient,
    QueryOptions,
)
from millpond.compat.logtide_sdk import async_client as async_client_module
from millpond.compat.logtide_sdk import client as client_module
from recording import Answer, Recorder, Request


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
    # Below a base, since the recorder's HTTP server makes one slash of those that a path begins with.
    client = LogTideClient(options(recorder, api_url=f"{recorder.address}/base/"))
    client.info("svc", "m")
    client.close()
    assert [request.path for request in recorder.requests] == [f"/base{INGEST}"]


def test_a_client_that_is_closed_in_an_outage_says_that_it_drops(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    recorder.always(INGEST, Answer(503))
    for of in (client_module, async_client_module):
        monkeypatch.setattr(of, "CLOSE_TIMEOUT_S", 0.1)
    client = LogTideClient(options(recorder, retry_delay_ms=60_000, max_retries=100))
    client.info("svc", "m")
    client.close()
    assert capfd.readouterr().err.count("logs that could not be delivered are dropped") == 1

    async def main() -> None:
        async with AsyncLogTideClient(options(recorder, retry_delay_ms=60_000, max_retries=100)) as client:
            await client.info("svc", "m")

    asyncio.run(main())
    assert capfd.readouterr().err.count("logs that could not be delivered are dropped") == 1


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

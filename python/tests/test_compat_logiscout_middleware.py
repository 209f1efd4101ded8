"""The middlewares of the drop-in for logiscout-logger, and its parts for chains of one's own."""

from __future__ import annotations

import asyncio
import datetime
import json
import uuid
from collections.abc import Iterator
from typing import Any, cast

import pytest
import structlog

from logiscout import answer, asgi, asgi_answer, in_production, log, messages, not_set_up, payloads, the_payload, wsgi
from millpond.compat import logiscout_logger as logiscout
from millpond.compat.logiscout_logger import _payloads
from millpond.compat.logiscout_logger.buffer import (
    add_log_to_buffer,
    flush_buffer,
    get_current_buffer,
    initialize_buffer,
    set_access_log_data,
    start_buffer,
)
from millpond.compat.logiscout_logger.events import LogEvent, RequestLogPayload
from millpond.compat.logiscout_logger.processors import (
    BatchManager,
    TransportProcessor,
    build_log_event,
    filter_warning_and_above,
    push_to_request_buffer,
    remove_internal_fields,
)
from millpond.compat.logiscout_logger.transports.base import Transport
from recorder import Recorder


@pytest.fixture(autouse=True)
def _not_set_up() -> Iterator[None]:
    with not_set_up():
        yield


@pytest.fixture
def production(server: Recorder, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    with in_production(server, monkeypatch) as recorder:
        yield recorder


# Middleware


@pytest.mark.parametrize("given", ["abc-1", None])
def test_the_response_tells_the_correlation_id(production: Recorder, given: str | None) -> None:
    _, headers = wsgi(answer, **({} if given is None else {"HTTP_X_CORRELATION_ID": given}))
    scope_headers = [] if given is None else [(b"X-Correlation-Id", given.encode())]
    start = asyncio.run(asgi(asgi_answer, headers=scope_headers))[0]
    of_wsgi, of_asgi = (payload["correlationId"] for payload in payloads(production))
    assert headers == [("X-Correlation-ID", of_wsgi)]
    assert start["headers"] == [(b"x-correlation-id", of_asgi.encode())]
    assert given is None or {of_wsgi, of_asgi} == {given}


def test_a_correlation_id_that_is_none_is_replaced_for_the_application_too(production: Recorder) -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["headers"])
        await asgi_answer(scope, receive, send)

    asyncio.run(asgi(app, headers=[(b"x-correlation-id", b"x" * 5000), (b"a", b"b")]))
    correlation_id = the_payload(production)["correlationId"]
    assert uuid.UUID(correlation_id)
    assert seen == [[(b"a", b"b"), (b"x-correlation-id", correlation_id.encode())]]


def test_a_wsgi_response_is_passed_on_part_by_part_and_closed(production: Recorder) -> None:
    made: list[str] = []

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        try:
            for name in ("first", "second"):
                made.append(name)
                log.info(name)
                yield name.encode()
        finally:
            log.info("closed")

    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/"}
    response = logiscout.wsgiConfiguration(app)(environ, lambda *_: None)
    assert next(iter(response)) == b"first"
    assert made == ["first"]
    assert payloads(production) == []
    response.close()  # type: ignore[attr-defined]
    assert messages(the_payload(production)) == ["first", "closed"]


def test_an_exception_is_a_500_and_goes_on(production: Recorder) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        log.info("m")
        raise ValueError("x")

    async def asgi_app(scope: Any, receive: Any, send: Any) -> None:
        app(None, None)

    with pytest.raises(ValueError):
        wsgi(app)
    with pytest.raises(ValueError):
        asyncio.run(asgi(asgi_app))
    assert [payload["request"]["statusCode"] for payload in payloads(production)] == [500, 500]


def test_websockets_and_the_lifespan_pass_through(production: Recorder) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        log.info(scope["type"])
        await send({"type": f"{scope['type']}.shutdown.complete"})

    for kind in ("websocket", "lifespan"):
        assert asyncio.run(asgi(app, type=kind)) == [{"type": f"{kind}.shutdown.complete"}]
    # Nothing was flushed here: the end of the lifespan did it.
    sent = [payload for body in production.records for payload in body["payloads"]]
    assert [(messages(payload), payload["request"]) for payload in sent] == [(["websocket"], {}), (["lifespan"], {})]


def test_one_more_middleware_does_not_begin_the_request_again(production: Recorder) -> None:
    wsgi_inner, asgi_inner = logiscout.wsgiConfiguration(answer), logiscout.asgiConfiguration(asgi_answer)

    def app(environ: Any, start_response: Any) -> Any:
        log.info("between")
        return wsgi_inner(environ, start_response)

    async def asgi_app(scope: Any, receive: Any, send: Any) -> None:
        log.info("between")
        await asgi_inner(scope, receive, send)

    wsgi(app)
    asyncio.run(asgi(asgi_app))
    assert [messages(payload) for payload in payloads(production)] == [["between", "answered"]] * 2


def test_a_path_of_wsgi_is_text(production: Recorder) -> None:
    wsgi(answer, PATH_INFO="/gr\u00c3\u00bcn")
    assert the_payload(production)["request"] == {"method": "GET", "path": "/grün", "statusCode": 200}


def test_what_others_bound_for_structlog_stays_and_what_the_request_bound_goes(production: Recorder) -> None:
    structlog.contextvars.bind_contextvars(region="eu", tenant="none")
    inside: list[Any] = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        structlog.contextvars.bind_contextvars(tenant="acme", user=7)
        inside.append(structlog.contextvars.get_contextvars())
        return answer(environ, start_response)

    wsgi(app)
    assert structlog.contextvars.get_contextvars() == {"region": "eu", "tenant": "none"}
    payload = the_payload(production)
    assert payload["logs"][0]["metadata"] == {"region": "eu", "tenant": "acme", "user": 7}
    assert inside[0]["correlation_id"] == payload["correlationId"]
    assert (inside[0]["http_method"], inside[0]["url_path"]) == ("GET", "/orders")


# Parts for chains of one's own


class Kept(Transport):
    def __init__(self) -> None:
        self.events: list[LogEvent] = []
        self.bodies: list[dict[str, Any]] = []

    def send(self, event: LogEvent) -> None:
        self.events.append(event)

    def send_batch_of_batches(self, batch: dict[str, Any]) -> None:
        self.bodies.append(batch)


def test_a_structlog_chain_of_ones_own_sends_with_the_request(production: Recorder) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        for send in (True, False):
            event: dict[str, Any] = {"event": "mine", "level": "error", "logger": "own", "a": 1, "_send": send}
            event = push_to_request_buffer(None, "error", build_log_event(None, "error", event))
            assert set(remove_internal_fields(None, "error", event)) == {"event", "level", "logger", "a"}
        return answer(environ, start_response)

    wsgi(app)
    mine, answered = the_payload(production)["logs"]
    assert (mine["message"], mine["level"], mine["loggerName"], mine["metadata"]) == ("mine", "error", "own", {"a": 1})
    assert answered["message"] == "answered"


def test_a_transport_of_ones_own_gets_what_it_is_to_send() -> None:
    transport = Kept()
    event = build_log_event(None, "info", {"event": "m", "timestamp": "2026-01-02T03:04:05Z"})
    TransportProcessor(transport)(None, "info", event)
    assert transport.events[0].timestamp == datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
    manager = BatchManager(transport, max_logs=2)
    manager.add_payload(RequestLogPayload("c", "s", "e", 1.5, {}, [{"message": str(n)} for n in range(3)]))
    assert [messages(body["payloads"][0]) for body in transport.bodies] == [["0", "1"], ["2"]]


def test_a_filter_drops_what_is_below_its_level() -> None:
    event = {"level": "error"}
    assert filter_warning_and_above(None, "error", event) is event
    with pytest.raises(structlog.DropEvent):
        filter_warning_and_above(None, "info", {"level": "info"})


def test_a_request_that_is_gathered_by_hand_is_given_back() -> None:
    initialize_buffer("cid")
    start_buffer()
    add_log_to_buffer({"message": "m"})
    set_access_log_data("GET", "/x", 200, 1.5)
    shown = cast("dict[str, Any]", get_current_buffer())
    payload = cast(RequestLogPayload, flush_buffer())
    assert (payload.correlationId, payload.durationMS, payload.logs) == ("cid", 1.5, [{"message": "m"}])
    assert payload.request == shown["request"] == {"method": "GET", "path": "/x", "statusCode": 200}
    assert (payload.startedAt, payload.endedAt) == (shown["started_at"], shown["ended_at"])
    assert get_current_buffer() is None and flush_buffer() is None


def test_a_log_that_is_too_large_keeps_its_logger_and_its_exception() -> None:
    long = "x" * (2 << 20)
    for message, metadata, exception in [(long, {}, None), ("m", {"text": long}, {"traceback": "t"})]:
        event = LogEvent(datetime.datetime.now(), "error", message, "l", metadata, {"traceback": "t"})
        shown = json.loads(str(_payloads.written(event)))
        assert (shown["level"], shown["loggerName"], shown["message"][:1]) == ("error", "l", message[:1])
        assert shown.get("exception") == exception


def test_a_slice_has_room_in_a_body() -> None:
    head = _payloads.head("c" * 128, "s", "e", 1.5, {"method": "GET", "path": "\x00" * 100_000, "statusCode": 200})
    large = _payloads.written(LogEvent(datetime.datetime.now(), "info", "m", "l", {"text": "\x00" * 10_000_000}))
    (payload,) = _payloads.slices(head, [large])
    body = len(large) + len(json.dumps({**payload, "logs": []}))
    assert body < _payloads.BODY_BYTES_MAX

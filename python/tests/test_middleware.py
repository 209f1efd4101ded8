"""The ASGI middleware: by hand for what a framework hides, under FastAPI for what it adds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import fastapi
import httpx
import pytest
from fastapi.responses import StreamingResponse

import millpond
from millpond.middleware import ASGIMiddleware
from recorder import Recorder

HEADER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
log = millpond.get_logger("app")


def logged(server: Recorder) -> list[dict[str, Any]]:
    assert millpond.flush(5)
    return list(server.records)


def make_app() -> fastapi.FastAPI:
    app = fastapi.FastAPI()
    app.add_middleware(ASGIMiddleware)

    @app.get("/orders/{number}")
    async def order(number: int) -> dict[str, Any]:
        log.info("looked up", number=number)
        if number == 404:
            raise fastapi.HTTPException(404)
        if number == 500:
            raise ZeroDivisionError("a bug")
        return {"headers": millpond.outgoing_headers()}

    @app.get("/sync")
    def sync() -> str:
        log.info("in a thread")
        return "ok"

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[str]:
            for number in range(3):
                await asyncio.sleep(0.02)
                log.info("part")
                yield str(number)

        return StreamingResponse(parts())

    @app.get("/health")
    async def health() -> str:
        log.info("healthy")
        return "ok"

    @app.get("/background")
    async def background(tasks: fastapi.BackgroundTasks) -> str:
        tasks.add_task(lambda: log.info("afterwards"))
        return "ok"

    return app


async def get(app: Any, path: str, **headers: str) -> httpx.Response:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=("10.1.2.3", 99))
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        return await client.get(path, headers=headers)


def request(app: Any, path: str, **headers: str) -> httpx.Response:
    return asyncio.run(get(app, path, **headers))


def test_a_request_is_logged_once_with_everything_that_matters(client: Recorder) -> None:
    response = request(
        make_app(), "/orders/7?x=1", **{"user-agent": "tests", "traceparent": HEADER, "x-request-id": "r-1"}
    )
    inner, outer = logged(client)
    assert response.headers["x-request-id"] == "r-1"
    assert outer["message"] == "GET /orders/7 200"
    assert outer["level"] == "info"
    assert outer["logger"] == "millpond.request"
    fields = outer["fields"]
    assert fields.pop("duration_ms") > 0
    assert fields == {
        "method": "GET",
        "path": "/orders/7",
        "route": "/orders/{number}",
        "status": 200,
        "ip": "10.1.2.3",
        "user_agent": "tests",
        "parent_span_id": "00f067aa0ba902b7",
    }
    for record in (inner, outer):
        assert record["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"
        assert record["request_id"] == "r-1"
        assert record["span_id"] == outer["span_id"] != "00f067aa0ba902b7"
    sent = response.json()["headers"]
    assert sent == {"traceparent": f"00-{outer['trace_id']}-{outer['span_id']}-01", "x-request-id": "r-1"}


def test_ids_are_made_where_there_are_none_or_bad_ones(client: Recorder) -> None:
    app = make_app()
    first = request(app, "/sync", **{"x-correlation-id": "c-1", "traceparent": "rubbish"})
    second = request(app, "/sync", **{"x-request-id": "with space"})
    assert first.headers["x-request-id"] == "c-1"
    assert len(second.headers["x-request-id"]) == 32
    records = logged(client)
    assert [record["request_id"] for record in records] == ["c-1", "c-1"] + [second.headers["x-request-id"]] * 2
    assert records[0]["trace_id"] == records[1]["trace_id"] != records[2]["trace_id"] == records[3]["trace_id"]
    assert len(records[0]["trace_id"]) == 32


@pytest.mark.parametrize(
    ("path", "status", "level"), [("/orders/404", 404, "warn"), ("/nowhere", 404, "warn"), ("/orders/x", 422, "warn")]
)
def test_the_status_makes_the_level(client: Recorder, path: str, status: int, level: str) -> None:
    assert request(make_app(), path).status_code == status
    record = logged(client)[-1]
    assert (record["level"], record["fields"]["status"]) == (level, status)


def test_an_unhandled_exception_is_recorded_and_raised_on(client: Recorder) -> None:
    # Outside of Starlette's own error handling, where there is no response yet.
    app = make_app()
    app.user_middleware.clear()
    for wrapped in (make_app(), ASGIMiddleware(app)):
        with pytest.raises(ZeroDivisionError):
            transport = httpx.ASGITransport(wrapped)

            async def send(transport: httpx.ASGITransport = transport) -> None:
                async with httpx.AsyncClient(transport=transport, base_url="http://shop") as http:
                    await http.get("/orders/500")

            asyncio.run(send())
    records = [record for record in logged(client) if record["logger"] == "millpond.request"]
    assert len(records) == 2
    for record in records:
        assert record["level"] == "error"
        assert record["fields"]["status"] == 500
        assert record["exception"]["type"] == "ZeroDivisionError"
        assert record["exception"]["stacktrace"][-1]["function"].endswith("order")


def test_a_streamed_response_is_neither_held_back_nor_logged_early(client: Recorder) -> None:
    assert request(make_app(), "/stream").text == "012"
    records = logged(client)
    assert [record["message"] for record in records] == ["part", "part", "part", "GET /stream 200"]
    assert records[-1]["fields"]["duration_ms"] >= 55
    assert len({record["trace_id"] for record in records}) == 1


def test_a_background_task_shares_the_ids(client: Recorder) -> None:
    request(make_app(), "/background")
    records = logged(client)
    assert {record["message"] for record in records} == {"afterwards", "GET /background 200"}
    assert len({record["request_id"] for record in records}) == 1


def test_health_checks_are_not_logged_but_what_they_log_is(client: Recorder) -> None:
    response = request(make_app(), "/health")
    assert "x-request-id" in response.headers
    (record,) = logged(client)
    assert (record["message"], record["request_id"]) == ("healthy", response.headers["x-request-id"])


def test_requests_at_the_same_time_keep_their_ids_apart(client: Recorder) -> None:
    app = make_app()

    async def many() -> None:
        await asyncio.gather(
            *(get(app, f"/orders/{number}", **{"x-request-id": f"r-{number}"}) for number in range(30))
        )

    asyncio.run(many())
    for record in logged(client):
        number = record["fields"].get("number", record["fields"].get("path", "").rpartition("/")[2])
        assert record["request_id"] == f"r-{number}"


def scope(**more: Any) -> dict[str, Any]:
    return {"type": "http", "method": "GET", "path": "/x", "headers": [], **more}


async def nothing() -> dict[str, Any]:
    return {"type": "http.disconnect"}


async def ignore(_: Any) -> None:
    pass


def test_a_client_that_goes_away_is_seen(client: Recorder) -> None:
    async def app(_scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        assert (await receive())["type"] == "http.disconnect"

    asyncio.run(ASGIMiddleware(app)(scope(), nothing, ignore))
    (record,) = logged(client)
    assert record["level"] == "warn"
    assert record["fields"]["status"] == 499
    assert record["fields"]["disconnected"] is True


def test_a_request_that_is_cancelled_is_logged_and_cancelled(client: Recorder) -> None:
    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        await asyncio.sleep(60)

    async def main() -> None:
        task = asyncio.ensure_future(ASGIMiddleware(app)(scope(), nothing, ignore))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    (record,) = logged(client)
    assert (record["level"], record["message"]) == ("warn", "GET /x -")


def test_a_stream_that_is_cancelled_is_no_success(client: Recorder) -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [("content-type", "as text")]})
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(ASGIMiddleware(app)(scope(headers=[("X-Request-ID", "r-1")]), nothing, ignore))
    (record,) = logged(client)
    assert (record["level"], record["request_id"]) == ("warn", "r-1")
    assert (record["fields"]["status"], record["fields"]["cancelled"]) == (200, True)


def test_a_websocket_passes_through_untouched(client: Recorder) -> None:
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope, receive, send))

    asyncio.run(ASGIMiddleware(app)({"type": "websocket"}, nothing, ignore))
    assert seen == [({"type": "websocket"}, nothing, ignore)]
    assert logged(client) == []


def test_the_lifespan_passes_through_and_its_end_flushes(client: Recorder) -> None:
    sent: list[tuple[str, int]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert receive is nothing
        await send({"type": "lifespan.startup.complete"})
        log.info("stopping")
        await send({"type": "lifespan.shutdown.complete"})

    async def send(message: Any) -> None:
        sent.append((message["type"], len(client.records)))

    millpond.init(service="tests", endpoint=client.url, batch_age_s=60)
    asyncio.run(ASGIMiddleware(app)({"type": "lifespan"}, nothing, send))
    assert sent == [("lifespan.startup.complete", 0), ("lifespan.shutdown.complete", 1)]


def test_a_request_id_that_the_application_set_stays(client: Recorder) -> None:
    sent = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": [(b"X-Request-Id", b"mine")]})
        await send({"type": "http.response.body"})

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(ASGIMiddleware(app)(scope(), nothing, send))
    assert sent[0]["headers"] == [(b"X-Request-Id", b"mine")]

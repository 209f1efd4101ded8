"""The ASGI middleware: by hand for what a framework hides, under FastAPI for what it adds."""

from __future__ import annotations

import asyncio
import contextvars
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import fastapi
import httpx
import pytest
from fastapi.responses import JSONResponse, StreamingResponse

import millpond
from millpond.middleware import HEALTH_PATHS, ASGIMiddleware
from recorder import Recorder
from web import TRACEPARENT, Page, logged, requests, the_request, with_message

log = millpond.get_logger("app")


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
        make_app(), "/orders/7?x=1", **{"user-agent": "tests", "traceparent": TRACEPARENT, "x-request-id": "r-1"}
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


class Server:
    """As an ASGI server calls an application, without a socket."""

    def __init__(self, *received: dict[str, Any], gone_after: int | None = None) -> None:
        self._received = list(received)
        self._gone_after = gone_after
        self.sent: list[Any] = []

    async def receive(self) -> dict[str, Any]:
        return self._received.pop(0) if self._received else {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        if self._gone_after is not None and len(self.sent) >= self._gone_after:
            raise OSError("client is gone")
        self.sent.append(message)

    def call(self, app: Any, **more: Any) -> None:
        asyncio.run(app(scope(**more), self.receive, self.send))

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.sent[0]["headers"])


def answering(*messages: Any) -> Any:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)

    return app


START = {"type": "http.response.start", "status": 200, "headers": []}
END = {"type": "http.response.body", "body": b"x"}


@pytest.mark.parametrize(
    "messages",
    [
        ({"type": "http.response.early_hint", "links": [b"</a>"]}, START, END),
        ({**START, "trailers": True}, END, {"type": "http.response.trailers", "headers": [(b"a", b"b")]}),
        (START, {"type": "http.response.pathsend", "path": "/tmp/x"}),
        (START, {"type": "http.response.zerocopysend", "file": 3}),
        ({"type": "http.response.debug", "info": {}}, START, END),
    ],
)
def test_messages_of_extensions_pass_through_as_they_are(client: Recorder, messages: Any) -> None:
    server = Server()
    server.call(ASGIMiddleware(answering(*messages)))
    for sent, message in zip(server.sent, messages):
        if message["type"] == "http.response.start":
            assert {**sent, "headers": []} == message
        else:
            assert sent is message
    record = the_request(client)
    assert (record["level"], record["fields"]["status"]) == ("info", 200)
    assert "disconnected" not in record["fields"]


def test_the_correlation_id_is_answered_only_if_there_was_one(client: Recorder) -> None:
    both, none = Server(), Server()
    app = ASGIMiddleware(answering(START, END))
    both.call(app, headers=[(b"x-request-id", b"r-1"), (b"x-correlation-id", b"c-1")])
    none.call(app)
    assert both.headers == {b"x-request-id": b"r-1", b"x-correlation-id": b"c-1"}
    assert list(none.headers) == [b"x-request-id"]
    first, second = requests(client)
    assert (first["request_id"], first["fields"]["correlation_id"]) == ("r-1", "c-1")
    assert "correlation_id" not in second["fields"]


def test_headers_may_have_any_bytes_or_be_missing(client: Recorder) -> None:
    app = ASGIMiddleware(answering(START, END))
    for agent in (b"\xff\xfe", "Ünïcode".encode(), "Ünïcode".encode("latin-1"), b"a" * 9000):
        Server().call(app, headers=[(b"user-agent", agent), (b"traceparent", b"\xff"), (b"x-request-id", b"\xe9")])
    without = scope()
    del without["headers"]
    asyncio.run(app(without, Server().receive, Server().send))
    agents = [record["fields"].get("user_agent") for record in requests(client)]
    assert agents == ["ÿþ", "Ünïcode", "Ünïcode", "a" * 2048, None]


def test_the_root_path_is_part_of_the_path_once(client: Recorder) -> None:
    app = ASGIMiddleware(answering(START, END))
    Server().call(app, path="/api/x", root_path="/api")
    Server().call(app, path="/x", root_path="/api")
    Server().call(app, path="/api/health", root_path="/api")
    assert [record["fields"]["path"] for record in requests(client)] == ["/api/x", "/api/x"]


def test_an_exception_in_the_middle_of_a_stream_keeps_the_status_that_was_sent(client: Recorder) -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send(START)
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        raise ValueError("torn")

    with pytest.raises(ValueError, match="torn"):
        Server().call(ASGIMiddleware(app))
    record = the_request(client)
    assert (record["level"], record["fields"]["status"], record["exception"]["type"]) == ("error", 200, "ValueError")


def test_a_send_that_fails_because_the_client_is_gone_is_no_failure(client: Recorder) -> None:
    app = fastapi.FastAPI()

    @app.get("/x")
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[str]:
            for _ in range(9):
                yield "part"

        return StreamingResponse(parts())

    with pytest.raises(Exception):  # noqa: B017 - OSError, or what Starlette makes of it
        asyncio.run(
            ASGIMiddleware(app)(
                {**scope(query_string=b"", http_version="1.1"), "asgi": {"version": "3.0", "spec_version": "2.4"}},
                Server().receive,
                Server(gone_after=2).send,
            )
        )
    record = the_request(client)
    assert (record["level"], record["fields"]["status"]) == ("warn", 499)
    assert record["fields"]["disconnected"] is True
    assert "exception" not in record


def test_a_background_task_that_fails_is_recorded_with_the_request(client: Recorder) -> None:
    app = fastapi.FastAPI()
    app.add_middleware(ASGIMiddleware)

    @app.get("/")
    async def background(tasks: fastapi.BackgroundTasks) -> str:
        async def fail() -> None:
            raise KeyError("afterwards")

        tasks.add_task(fail)
        return "ok"

    assert request(app, "/").status_code == 200
    record = the_request(client)
    assert (record["level"], record["fields"]["status"], record["exception"]["type"]) == ("error", 200, "KeyError")


def test_a_request_that_passes_two_middlewares_is_recorded_once(client: Recorder) -> None:
    assert request(ASGIMiddleware(make_app()), "/sync").status_code == 200
    assert the_request(client)["fields"]["route"] == "/sync"


def test_the_route_has_the_prefixes_of_routers_and_mounts(client: Recorder) -> None:
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Mount, Route

    async def view(_request: Any) -> PlainTextResponse:
        return PlainTextResponse("ok")

    inner = Starlette(routes=[Route("/items/{item}", view)])
    app = Starlette(
        routes=[
            Route("/a/{x}", view),
            Mount("/tenants/{tenant}", app=inner),
            Mount("/one", routes=[Mount("/two", routes=[Route("/three", view)])]),
            Mount("/files", app=PlainTextResponse("file")),
        ]
    )
    app.add_middleware(ASGIMiddleware)
    for path in ("/a/7", "/tenants/t1/items/5", "/one/two/three", "/files/x/y.css", "/tenants/t1/no", "/no"):
        request(app, path)
    assert [record["fields"].get("route") for record in requests(client)] == [
        "/a/{x}",
        "/tenants/{tenant}/items/{item}",
        "/one/two/three",
        "/files/{path}",
        "/tenants/{tenant}/{path}",
        None,
    ]


def test_the_route_of_fastapi_has_the_prefixes_of_included_routers(client: Recorder) -> None:
    inner, outer = fastapi.APIRouter(prefix="/inner"), fastapi.APIRouter()

    @inner.get("/x/{x}")
    def view(x: int) -> int:
        return x

    outer.include_router(inner, prefix="/mid/{mid}")
    app, mounted = fastapi.FastAPI(), fastapi.FastAPI()
    app.include_router(outer, prefix="/top")
    mounted.include_router(outer)
    app.mount("/sub", mounted)
    app.add_middleware(ASGIMiddleware)
    for path in ("/top/mid/1/inner/x/2", "/sub/mid/1/inner/x/2", "/docs"):
        assert request(app, path).status_code == 200
    assert [record["fields"]["route"] for record in requests(client)] == [
        "/top/mid/{mid}/inner/x/{x}",
        "/sub/mid/{mid}/inner/x/{x}",
        "/docs",
    ]


def test_paths_are_skipped_as_they_are_by_beginning_or_by_pattern(client: Recorder) -> None:
    app = ASGIMiddleware(answering(START, END), skip_paths=["/exact", "/static/*", re.compile(r"\.ico$")])
    for path in ("/exact", "/exact/", "/static/a/b.css", "/favicon.ico", "/exactly", "/static", "/health"):
        Server().call(app, path=path)
    assert [record["fields"]["path"] for record in requests(client)] == ["/exactly", "/static", "/health"]


def test_a_health_check_that_fails_is_recorded(client: Recorder) -> None:
    for path in HEALTH_PATHS:
        Server().call(ASGIMiddleware(answering(START, END)), path=path)
    Server().call(ASGIMiddleware(answering({**START, "status": 404}, END)), path="/health")
    Server().call(ASGIMiddleware(answering({**START, "status": 503}, END)), path="/health")

    async def fails(*_: Any) -> None:
        raise ValueError

    with pytest.raises(ValueError):
        Server().call(ASGIMiddleware(fails), path="/livez")
    assert [record["message"] for record in requests(client)] == ["GET /health 503", "GET /livez 500"]


@pytest.mark.parametrize(
    ("options", "peer", "headers", "ip"),
    [
        ({}, "10.0.0.1", [(b"x-forwarded-for", b"1.1.1.1")], "10.0.0.1"),
        ({"trusted_proxies": "10.0.0.0/8"}, "9.9.9.9", [(b"x-forwarded-for", b"1.1.1.1")], "9.9.9.9"),
        ({"trusted_proxies": "10.0.0.0/8"}, "10.0.0.1", [(b"x-forwarded-for", b"6.6.6.6, 1.1.1.1")], "1.1.1.1"),
        ({"trusted_proxies": "10.0.0.0/8"}, "10.0.0.1", [(b"x-forwarded-for", b"1.1.1.1, 10.9.9.9:80")], "1.1.1.1"),
        (
            {"trusted_proxies": ["10.0.0.1"]},
            "10.0.0.1",
            [(b"x-forwarded-for", b"6.6.6.6"), (b"x-forwarded-for", b"1.1.1.1")],
            "1.1.1.1",
        ),
        ({"trusted_proxies": "10.0.0.0/8"}, "10.0.0.1", [(b"x-forwarded-for", b"1.1.1.1, rubbish")], "10.0.0.1"),
        ({"trusted_proxies": "10.0.0.0/8"}, "::ffff:10.0.0.1", [(b"x-forwarded-for", b"2001:db8::1")], "2001:db8::1"),
        ({"trusted_proxies": "10.0.0.0/8"}, "10.0.0.1", [], "10.0.0.1"),
        ({"trusted_proxies": "unix"}, None, [(b"x-forwarded-for", b"1.1.1.1")], "1.1.1.1"),
        ({"trusted_proxies": "10.0.0.0/8"}, None, [(b"x-forwarded-for", b"1.1.1.1")], None),
        ({"trusted_proxies": "10.0.0.0/8"}, "10.0.0.1", [(b"forwarded", b"for=1.1.1.1")], "10.0.0.1"),
        (
            {"trusted_proxies": "10.0.0.0/8", "forwarded_header": "Forwarded"},
            "10.0.0.1",
            [(b"forwarded", b'for=6.6.6.6, by=x;For="[2001:db8::1]:4711";proto=https, for=10.0.0.2')],
            "2001:db8::1",
        ),
    ],
)
def test_only_a_trusted_proxy_names_the_client(
    client: Recorder, options: Any, peer: str | None, headers: Any, ip: str | None
) -> None:
    app = ASGIMiddleware(answering(START, END), **options)
    Server().call(app, client=None if peer is None else (peer, 1), headers=headers)
    assert the_request(client)["fields"].get("ip") == ip


@pytest.mark.parametrize(
    "options",
    [
        {"trusted_proxies": ["proxy.local"]},
        {"forwarded_header": "x-real-ip"},
        {"skip_paths": [7]},
        {"capture_body": -1},
        {"capture_body": "yes"},
    ],
)
def test_a_wrong_option_is_refused(options: Any) -> None:
    with pytest.raises(millpond.ConfigurationError, match=next(iter(options))):
        ASGIMiddleware(answering(), **options)


def test_headers_are_recorded_on_request_and_redacted(client: Recorder) -> None:
    headers = [
        (b"authorization", b"Bearer abc"),
        (b"cookie", b"a=b"),
        (b"x-api-key", b"secret-key"),
        (b"accept", b"a"),
        (b"accept", b"b"),
    ]
    start = {**START, "headers": [(b"Set-Cookie", b"session=1"), (b"x-kind", b"k")]}
    Server().call(ASGIMiddleware(answering(start, END), capture_headers=True), headers=headers)
    Server().call(ASGIMiddleware(answering(start, END), capture_headers=["Accept", "Cookie"]), headers=headers)
    Server().call(ASGIMiddleware(answering(start, END)), headers=headers)
    everything, some, none = (record["fields"] for record in requests(client))
    assert everything["request_headers"] == {
        "authorization": "[REDACTED]",
        "cookie": "[REDACTED]",
        "x-api-key": "[REDACTED]",
        "accept": "a, b",
    }
    assert everything["response_headers"].pop("x-request-id")
    assert everything["response_headers"] == {"set-cookie": "[REDACTED]", "x-kind": "k"}
    assert some["request_headers"] == {"cookie": "[REDACTED]", "accept": "a, b"}
    assert "request_headers" not in none and "response_headers" not in none


@pytest.mark.parametrize(
    ("content_type", "body", "recorded"),
    [
        (
            "application/json; charset=utf-8",
            b'{"user": {"password": "p", "name": "n"}, "ids": [1, 2]}',
            {"user": {"password": "[REDACTED]", "name": "n"}, "ids": [1, 2]},
        ),
        ("application/problem+json", b'{"token": "t", "title": "x"}', {"token": "[REDACTED]", "title": "x"}),
        ("application/json", b'{"password": "hunt', "[18 bytes of application/json]"),
        ("application/json", b'{"password": "' + b"x" * 200 + b'"}', "[216 bytes of application/json]"),
        ("application/json", b"[" * 90, "[90 bytes of application/json]"),
        ("application/json", b"\xff", "[1 bytes of application/json]"),
        (
            "application/x-www-form-urlencoded",
            b"password=p&name=n&tag=1&tag=2",
            {"password": "[REDACTED]", "name": "n", "tag": ["1", "2"]},
        ),
        ("text/plain; charset=latin-1", "grün".encode("latin-1"), "grün"),
        ("text/plain; charset=nonsense", b"x", "[1 bytes of text/plain]"),
        ("text/plain", b"x" * 150, "x" * 100 + "… [150 bytes]"),
        ("image/png", b"\x89PNG", "[4 bytes of image/png]"),
        ("multipart/form-data; boundary=x", b"--x--", "[5 bytes of multipart/form-data]"),
        ("", b"abc", "[3 bytes of application/octet-stream]"),
    ],
)
def test_bodies_are_recorded_on_request_and_redacted(
    client: Recorder, content_type: str, body: bytes, recorded: object
) -> None:
    header = [(b"content-type", content_type.encode())] if content_type else []
    seen = []

    async def echo(_scope: Any, receive: Any, send: Any) -> None:
        parts = []
        while True:
            message = await receive()
            seen.append(message)
            parts.append(message["body"])
            if not message.get("more_body"):
                break
        await send({**START, "headers": header})
        for part in parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body"})

    half = len(body) // 2
    received = (
        {"type": "http.request", "body": body[:half], "more_body": True},
        {"type": "http.request", "body": body[half:]},
    )
    server = Server(*received)
    server.call(ASGIMiddleware(echo, capture_body=100), headers=header)
    # Neither held back nor changed.
    assert [id(message) for message in seen] == [id(message) for message in received]
    assert b"".join(message["body"] for message in server.sent[1:-1]) == body
    fields = the_request(client)["fields"]
    assert fields["request_body"] == recorded
    assert fields["response_body"] == recorded
    assert "request_headers" not in fields


def test_a_compressed_body_is_recorded_by_its_size(client: Recorder) -> None:
    start = {**START, "headers": [(b"content-type", b"application/json"), (b"content-encoding", b"gzip")]}
    Server().call(ASGIMiddleware(answering(start, END), capture_body=True))
    fields = the_request(client)["fields"]
    assert fields["response_body"] == "[1 bytes of application/json, gzip]"
    assert "request_body" not in fields


def test_what_the_application_adds_to_the_context_is_in_the_record(client: Recorder) -> None:
    app = fastapi.FastAPI()
    app.add_middleware(ASGIMiddleware)

    @app.middleware("http")
    async def tenant(request: fastapi.Request, call_next: Any) -> Any:
        with millpond.context(tenant="t-1"):
            return await call_next(request)

    @app.get("/")
    async def index() -> JSONResponse:
        log.info("inside")
        return JSONResponse({})

    request(app, "/")
    inside, outer = logged(client)
    assert inside["fields"]["tenant"] == "t-1"
    assert inside["request_id"] == outer["request_id"]
    assert millpond.current_context() == {}


def test_tasks_and_threads_of_a_request_share_its_ids(client: Recorder) -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await asyncio.gather(*(asyncio.create_task(step(number)) for number in range(3)))
        await asyncio.get_running_loop().run_in_executor(None, contextvars.copy_context().run, work)
        await send(START)
        await send(END)

    async def step(number: int) -> None:
        log.info("step", number=number)

    def work() -> None:
        log.info("work")

    Server().call(ASGIMiddleware(app))
    records = logged(client)
    assert len(records) == 5
    assert len({(record["request_id"], record["trace_id"], record["span_id"]) for record in records}) == 1


def test_the_documentation_works(client: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = Page("asgi", client, tmp_path, monkeypatch)
    app = page.run("shop.py")["app"]
    response = request(app, "/orders/7")
    assert request(app, "/health").status_code == 200
    looked_up, mailed = with_message(client, "order looked up"), with_message(client, "mail sent")
    assert the_request(client)["fields"]["route"] == "/orders/{number}"
    assert {looked_up["request_id"], mailed["request_id"]} == {response.headers["x-request-id"]}
    assert request(page.run("plain.py")["app"], "/").status_code == 204
    assert with_message(client, "GET / 204")["service"] == "plain"

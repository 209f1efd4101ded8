"""The handler, the processor and the middlewares of the drop-in for logtide-sdk, where the originals fall short."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import pytest

from conftest import Program
from logtide import entries
from millpond.compat.logtide_sdk import AsyncLogTideClient, ClientOptions, LogTideClient, LogTideHandler
from millpond.compat.logtide_sdk.middleware import LogTideFlaskMiddleware, LogTideStarletteMiddleware
from millpond.compat.logtide_sdk.structlog import LogTideProcessor
from recording import Recorder


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    recording = Recorder()
    yield recording
    recording.close()


@pytest.fixture
def client(recorder: Recorder) -> Iterator[LogTideClient]:
    made = LogTideClient(ClientOptions(recorder.address, "lp_key", flush_interval=0))
    yield made
    made.close()


@pytest.fixture
def asynchronous(recorder: Recorder) -> Iterator[AsyncLogTideClient]:
    made = AsyncLogTideClient(ClientOptions(recorder.address, "lp_key", flush_interval=0))
    yield made
    asyncio.run(made.close())


def record(**members: Any) -> logging.LogRecord:
    return logging.makeLogRecord({"name": "shop", "msg": "m", "levelno": 30, "levelname": "WARNING", **members})


def test_a_record_has_the_time_at_which_it_was_made(client: LogTideClient, recorder: Recorder) -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 678901, timezone.utc)
    LogTideHandler(client, "svc").handle(record(created=moment.timestamp()))
    client.flush()
    assert entries(recorder)[0]["time"] == "2026-01-02T03:04:05.678901Z"


def test_extra_fields_are_kept_and_take_no_place(client: LogTideClient, recorder: Recorder) -> None:
    LogTideHandler(client, "svc").handle(record(order=17, logger="its own"))
    client.flush()
    metadata = entries(recorder)[0]["metadata"]
    assert [metadata["order"], metadata["logger"], metadata["extra_logger"]] == [17, "shop", "its own"]


def test_a_handler_at_the_root_does_not_hear_of_its_own_requests(client: LogTideClient, recorder: Recorder) -> None:
    root, handler = logging.getLogger(), LogTideHandler(client, "svc")
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        logging.getLogger("shop").debug("the only one")
        client.flush()
        client.flush()
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    assert [entry["message"] for entry in entries(recorder)] == ["the only one"]


def test_handler_and_processor_take_the_async_client_too(asynchronous: AsyncLogTideClient, recorder: Recorder) -> None:
    LogTideHandler(asynchronous, "svc").handle(record())
    LogTideProcessor(asynchronous, "svc")(None, "info", {"event": "event"})
    asyncio.run(asynchronous.flush())
    assert [entry["message"] for entry in entries(recorder)] == ["m", "event"]


@pytest.mark.parametrize(
    ("method", "level", "sent"),
    [
        ("info", "fatal", "critical"),
        ("exception", None, "error"),
        ("info", "notice", "info"),
        ("warning", None, "warn"),
        ("msg", "unheard of", "info"),
    ],
)
def test_every_level_of_structlog_is_sent(
    client: LogTideClient, recorder: Recorder, method: str, level: str | None, sent: str
) -> None:
    event = {"event": "m"} if level is None else {"event": "m", "level": level}
    LogTideProcessor(client, "svc")(None, method, event)
    client.flush()
    assert entries(recorder)[0]["level"] == sent


def test_an_event_keeps_its_time_and_all_its_keys(client: LogTideClient, recorder: Recorder) -> None:
    event = {"event": 5, "timestamp": "2026-01-02T03:04:05.678901Z", "process": 7, "name": "jane", "exc_info": "odd"}
    passed = LogTideProcessor(client, "svc")(None, "info", dict(event))
    client.flush()
    assert passed == event
    entry = entries(recorder)[0]
    assert [entry["message"], entry["time"]] == ["5", "2026-01-02T03:04:05.678901Z"]
    metadata = {name: entry["metadata"][name] for name in ("process", "name", "exc_info")}
    assert metadata == {"process": 7, "name": "jane", "exc_info": "odd"}


def test_flask_raises_what_a_view_raises_in_tests(client: LogTideClient, recorder: Recorder) -> None:
    import flask

    app = flask.Flask("shop")
    app.testing = True
    LogTideFlaskMiddleware(app, client, "svc")

    @app.route("/fails")
    def fails() -> str:
        raise ValueError("no such order")

    with pytest.raises(ValueError, match="no such order"):
        app.test_client().get("/fails")
    client.flush()
    assert [entry["message"] for entry in entries(recorder)] == [
        "GET /fails",
        "Request error: GET /fails - no such order",
    ]


def test_a_streamed_response_of_flask_is_not_read(client: LogTideClient, recorder: Recorder) -> None:
    import flask

    app = flask.Flask("shop")
    LogTideFlaskMiddleware(app, client, "svc", include_body=True)

    @app.route("/streamed")
    def streamed() -> flask.Response:
        return flask.Response((part for part in ("[1", "]")), mimetype="application/json")

    assert app.test_client().get("/streamed").json == [1]
    client.flush()
    assert "response_body" not in entries(recorder)[1]["metadata"]


def test_a_middleware_takes_the_async_client_too(asynchronous: AsyncLogTideClient, recorder: Recorder) -> None:
    from starlette.applications import Starlette

    app = Starlette()
    app.add_middleware(LogTideStarletteMiddleware, client=asynchronous, service_name="svc")

    async def main() -> None:
        scope = {"type": "http", "method": "GET", "path": "/orders", "query_string": b"", "headers": []}

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(_message: Any) -> None:
            pass

        await app(scope, receive, send)
        await asynchronous.flush()

    asyncio.run(main())
    assert [entry["level"] for entry in entries(recorder)] == ["info", "warn"]


def test_django_under_asgi_logs_as_under_wsgi(recorder: Recorder, program: Program) -> None:
    program.run(
        f"""
        import asyncio, logging
        import django
        from django.conf import settings
        from millpond.compat.logtide_sdk import ClientOptions, LogTideClient
        settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="x", LOGGING_CONFIG=None,
            MIDDLEWARE=["millpond.compat.logtide_sdk.middleware.LogTideDjangoMiddleware"],
            LOGTIDE_CLIENT=LogTideClient(ClientOptions({recorder.address!r}, "k", flush_interval=0)))
        django.setup()
        logging.disable(logging.CRITICAL)
        from django.test import AsyncClient
        from django.urls import path
        async def fails(request):
            raise ValueError("no such order")
        urlpatterns = [path("fails", fails)]
        async def main():
            web = AsyncClient(raise_request_exception=False)
            assert (await web.get("/fails")).status_code == 500
            assert (await web.get("/missing")).status_code == 404
        asyncio.run(main())
        settings.LOGTIDE_CLIENT.close()
        """
    )
    found = [(entry["level"], entry["message"].partition(" (")[0]) for entry in entries(recorder)]
    assert found == [
        ("info", "GET /fails"),
        ("error", "Request error: GET /fails - no such order"),
        ("error", "GET /fails 500"),
        ("info", "GET /missing"),
        ("warn", "GET /missing 404"),
    ]

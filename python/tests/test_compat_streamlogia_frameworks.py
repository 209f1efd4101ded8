"""The drop-in for Streamlogia behind ``logging``, Flask and ASGI applications, where the original loses track."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ingesting import PROJECT, QUIET, at_its_server, entries, messages, quiet_client
from millpond.compat import streamlogia
from millpond.compat.streamlogia import LogIngestorClient
from recording import Recorder


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    with at_its_server(monkeypatch) as recording:
        yield recording


@pytest.fixture
def client(recorder: Recorder) -> Iterator[LogIngestorClient]:
    with quiet_client() as made:
        yield made


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, as it was before."""
    logger = logging.getLogger()
    level, handlers = logger.level, list(logger.handlers)
    levels = {name: logging.getLogger(name).level for name in streamlogia._CHATTER}
    yield logger
    logger.setLevel(level)
    logger.handlers[:] = handlers
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


def handled(client: LogIngestorClient) -> logging.Logger:
    logger = logging.getLogger("tests.streamlogia")
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    logger.handlers[:] = [client.logging_handler()]
    return logger


def test_the_handler_leaves_the_callers_meta_as_it_is(recorder: Recorder, client: LogIngestorClient) -> None:
    meta = {"order": 1}
    try:
        raise ValueError("no such order")
    except ValueError:
        handled(client).exception("failed", extra={"meta": meta})
    client.flush()
    assert meta == {"order": 1}
    sent = entries(recorder)[0]["meta"]
    assert sent["order"] == 1 and sent["exception"].startswith("Traceback (most recent call last):\n")


def test_a_traceback_is_sent_once_and_can_be_found_by_its_last_line(
    recorder: Recorder, client: LogIngestorClient
) -> None:
    try:
        raise ValueError("no such order")
    except ValueError:
        handled(client).exception("failed")
    client.flush()
    assert messages(recorder) == ["failed\nValueError: no such order"]
    assert recorder.requests[0].body.count(b"Traceback") == 1


def test_a_record_says_where_it_comes_from(recorder: Recorder, client: LogIngestorClient) -> None:
    handled(client).info("here", extra={"user": "u1", "meta": {"line": "mine"}})
    client.flush()
    meta = entries(recorder)[0]["meta"]
    assert meta["logger"] == "tests.streamlogia" and meta["file"] == __file__ and meta["user"] == "u1"
    assert meta["function"] == "test_a_record_says_where_it_comes_from" and meta["thread"] == "MainThread"
    assert meta["line"] == "mine", "what the caller says goes first"


def test_a_level_between_is_the_one_below(recorder: Recorder, client: LogIngestorClient) -> None:
    logger = handled(client)
    logger.setLevel(1)
    for level in (5, 15, 25, 35, 45, 60):
        logger.log(level, "x")
    client.flush()
    assert [entry["level"] for entry in entries(recorder)] == ["DEBUG", "DEBUG", "INFO", "WARN", "ERROR", "ERROR"]


def test_a_record_that_cannot_be_formatted_raises_nothing_into_the_application(
    recorder: Recorder, client: LogIngestorClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    logger = handled(client)
    logger.info("%d", "no number")
    logger.info("next")
    client.flush()
    assert messages(recorder) == ["next"]


def test_init_twice_sends_each_record_once(recorder: Recorder, root: logging.Logger) -> None:
    clients = [streamlogia.init(source="s", api_key="k", project_id=PROJECT, **QUIET) for _ in range(2)]
    logging.getLogger("app").info("once")
    for client in clients:
        client.close()
    assert messages(recorder) == ["once"]


def test_the_level_of_init_may_be_a_name(recorder: Recorder, root: logging.Logger) -> None:
    client = streamlogia.init(log_level="WARNING", api_key="k", project_id=PROJECT, **QUIET)  # type: ignore[arg-type]
    logging.getLogger("app").info("below")
    logging.getLogger("app").warning("sent")
    client.close()
    assert messages(recorder) == ["sent"]


def test_init_twice_logs_each_request_once(recorder: Recorder, root: logging.Logger) -> None:
    from flask import Flask

    app = Flask("app")
    clients = [streamlogia.init(app, api_key="k", project_id=PROJECT, **QUIET) for _ in range(2)]
    app.test_client().get("/")
    for client in clients:
        client.close()
    assert len([message for message in messages(recorder) if message.startswith("GET / 404")]) == 1


def test_init_at_debug_leaves_out_what_libraries_say_of_themselves(recorder: Recorder, root: logging.Logger) -> None:
    logging.getLogger("urllib3").setLevel(logging.DEBUG)
    client = streamlogia.init(api_key="k", project_id=PROJECT, **QUIET)
    asyncio.run(asyncio.sleep(0))
    logging.getLogger("app").debug("mine")
    logging.getLogger("urllib3").debug("asked for")
    client.close()
    assert messages(recorder) == ["mine", "asked for"]


def test_an_answer_of_an_earlier_hook_of_flask_is_not_replaced(recorder: Recorder, client: LogIngestorClient) -> None:
    from flask import Flask, abort

    app = Flask("app")

    @app.before_request
    def authorize() -> None:
        time.sleep(0.02)
        abort(401)

    client.flask_middleware(app)
    assert app.test_client().get("/secret").status_code == 401
    client.flush()
    (entry,) = entries(recorder)
    assert entry["level"] == "WARN" and entry["meta"]["status"] == 401
    assert 20 <= entry["meta"]["duration_ms"] < 20_000, "in milliseconds, and what comes before counts"
    assert entry["message"].startswith("GET /secret 401 (")


def asked(client: LogIngestorClient, app: Any, kind: str = "http", **changes: Any) -> list[str]:
    """Sends the application one request through the middleware; the types of what it sent."""
    scope = {"type": kind, "method": "GET", "path": "/boom", "headers": [], "client": None, **changes}
    sent: list[str] = []

    async def send(message: Any) -> None:
        sent.append(message["type"])

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def ask() -> None:
        await client.asgi_middleware()(app)(scope, receive, send)

    asyncio.run(ask())
    return sent


def test_an_unhandled_exception_of_asgi_is_logged_and_raised(recorder: Recorder, client: LogIngestorClient) -> None:
    async def app(*_: object) -> None:
        raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        asked(client, app)
    client.flush()
    (entry,) = entries(recorder)
    assert entry["level"] == "ERROR" and entry["message"].startswith("GET /boom 500 (")
    assert entry["meta"]["exception"].endswith("RuntimeError: boom\n")
    assert entry["meta"]["status"] == 500 and "millpond" not in entry["meta"]["exception"]


def test_an_exception_after_the_status_is_an_error_with_that_status(
    recorder: Recorder, client: LogIngestorClient
) -> None:
    async def app(_scope: object, _receive: object, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("halfway")

    with pytest.raises(RuntimeError):
        asked(client, app)
    client.flush()
    (entry,) = entries(recorder)
    assert (entry["level"], entry["meta"]["status"]) == ("ERROR", 200)


def test_an_answer_is_logged_when_it_ends_and_passes_part_by_part(
    recorder: Recorder, client: LogIngestorClient
) -> None:
    async def app(_scope: object, _receive: object, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.sleep(0.02)
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        await send({"type": "http.response.body", "body": b"b"})
        client.info("in the background")

    assert asked(client, app) == ["http.response.start", "http.response.body", "http.response.body"]
    client.flush()
    assert messages(recorder)[1] == "in the background"
    assert messages(recorder)[0].startswith("GET /boom 200 (")
    assert 20 <= entries(recorder)[0]["meta"]["duration_ms"] < 20_000


def test_websockets_pass(recorder: Recorder, client: LogIngestorClient) -> None:
    async def app(_scope: object, _receive: object, send: Any) -> None:
        await send({"type": "websocket.accept"})

    assert asked(client, app, "websocket") == ["websocket.accept"]
    client.flush()
    assert not recorder.requests


def test_the_end_of_an_asgi_application_waits_for_what_was_logged(
    recorder: Recorder, client: LogIngestorClient
) -> None:
    """A FastAPI application with a lifespan of its own calls no handler of its shutdown."""
    seen: list[list[str]] = []

    async def app(_scope: object, _receive: object, send: Any) -> None:
        client.info("at the end")
        await send({"type": "lifespan.shutdown.complete"})
        seen.append(messages(recorder))

    assert asked(client, app, "lifespan") == ["lifespan.shutdown.complete"]
    assert seen == [["at the end"]]

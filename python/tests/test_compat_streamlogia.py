"""The drop-ins for Streamlogia do better where the originals lose entries, or lose track."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import os
import signal
import sys
import time
import urllib.error
import uuid
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import pytest

from millpond.compat import logingestor, streamlogia
from millpond.compat.streamlogia import LogIngestorClient
from recording import Answer, Recorder, Request
from running import Start, eventually, needs_fork

PROJECT = "7f1f8f68-6a0c-4f0e-9a0b-0b6a3a0b1c2d"
QUIET: dict[str, Any] = {"console": False, "batch_size": 100}


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    for name in [name for name in os.environ if name.startswith(("STREAMLOGIA_", "LOGINGESTOR_"))]:
        monkeypatch.delenv(name)
    recording = Recorder()
    monkeypatch.setenv("STREAMLOGIA_API_URL", recording.address)
    yield recording
    recording.close()


@pytest.fixture
def client(recorder: Recorder) -> Iterator[LogIngestorClient]:
    made = LogIngestorClient("k", PROJECT, **QUIET)
    yield made
    made.close()


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


def entries(recorder: Recorder) -> list[dict[str, Any]]:
    """All that came."""
    return [entry for request in recorder.requests for entry in request.json]


def messages(recorder: Recorder) -> list[str]:
    return [entry["message"] for entry in entries(recorder)]


@pytest.mark.parametrize("failure", [Answer(500), Answer(429, headers={"Retry-After": "0"}), Answer(is_lost=True)])
def test_a_batch_that_failed_is_sent_again(recorder: Recorder, failure: Answer) -> None:
    recorder.answer("/v1/ingest", failure)
    errors: list[Exception] = []
    client = LogIngestorClient("k", PROJECT, on_error=errors.append, **QUIET)
    client.info("important")
    client.flush()
    client.close()
    assert messages(recorder) == ["important", "important"]
    keys = {request.headers["idempotency-key"] for request in recorder.requests}
    assert len(keys) == 1, "a server that knows the key stores it once"
    assert len(errors) == 1 and isinstance(errors[0], urllib.error.URLError)


def test_a_value_that_json_has_no_type_for_costs_no_entry(recorder: Recorder, client: LogIngestorClient) -> None:
    at = datetime(2026, 1, 31, tzinfo=timezone.utc)
    client.info("before")
    client.info("odd", meta={"at": at, "id": uuid.UUID(int=7), "object": object(), "nan": float("nan")})
    client.info("after")
    client.flush()
    assert messages(recorder) == ["before", "odd", "after"]
    meta = entries(recorder)[1]["meta"]
    assert meta["at"].startswith("2026-01-31T00:00:00") and meta["id"] == str(uuid.UUID(int=7))
    assert b"NaN" not in recorder.requests[0].body.replace(b'"NaN"', b"")


def test_an_entry_that_the_server_refuses_costs_no_other(recorder: Recorder) -> None:
    def picky(request: Request) -> Answer:
        return Answer(400 if any(not entry["message"] for entry in request.json) else 200)

    recorder.always("/v1/ingest", picky)
    client = LogIngestorClient("k", PROJECT, on_error=lambda _error: None, **QUIET)
    for message in ("a", "", "b", "c"):
        client.info(message)
    client.close()
    taken = [request for request in recorder.requests if all(entry["message"] for entry in request.json)]
    assert sorted(entry["message"] for request in taken for entry in request.json) == ["a", "b", "c"]


def test_many_entries_need_one_connection_and_keep_their_order(recorder: Recorder) -> None:
    client = LogIngestorClient("k", PROJECT, console=False)
    for number in range(300):
        client.info(str(number))
    client.close()
    assert messages(recorder) == [str(number) for number in range(300)]
    assert {request.connection for request in recorder.requests} == {0}


def test_a_log_call_waits_for_nobody(recorder: Recorder) -> None:
    """The server answers when all calls have returned."""
    returned = False

    def late(_request: Request) -> Answer:
        eventually(lambda: returned, "the calls did not return")
        return Answer()

    recorder.always("/v1/ingest", late)
    client = LogIngestorClient("k", PROJECT, console=False)
    for number in range(50):
        client.info(str(number))
    returned = True
    client.close()
    assert len(entries(recorder)) == 50
    assert len(recorder.requests) <= 2, "what waited for the first request goes together in the second"


def test_what_is_logged_before_the_end_of_the_program_arrives(recorder: Recorder, tmp_path: Any) -> None:
    run(
        tmp_path,
        recorder,
        "client = LogIngestorClient('k', 'p', batch_size=50, console=False)\n"
        "for number in range(20): client.info(str(number))",
    )
    assert messages(recorder) == [str(number) for number in range(20)]


@needs_fork
def test_a_forked_child_sends_its_own_entries_and_only_those(recorder: Recorder, tmp_path: Any) -> None:
    run(
        tmp_path,
        recorder,
        "import os\n"
        "client = LogIngestorClient('k', 'p', batch_size=50, console=False)\n"
        "client.info('parent')\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    client.info('child')\n"
        "    client.close()\n"
        "    os._exit(0)\n"
        "assert os.waitpid(child, 0)[1] == 0",
    )
    assert sorted(messages(recorder)) == ["child", "parent"]


def run(directory: Any, recorder: Recorder, code: str) -> None:
    import subprocess

    path = directory / "program.py"
    path.write_text(f"from millpond.compat.streamlogia import LogIngestorClient\n{code}\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_program_that_is_told_to_end_sends_what_it_logged(recorder: Recorder, start: Start) -> None:
    start.file(
        "waits.py",
        """
import signal
from millpond.compat.streamlogia import LogIngestorClient
LogIngestorClient("k", "p", batch_size=50).info("waiting")
signal.pause()
""",
    )
    running = start("waits.py")
    running.wait_for_output("waiting")
    assert running.stop() == -signal.SIGTERM
    assert messages(recorder) == ["waiting"]


def test_entries_after_close_are_sent(recorder: Recorder, client: LogIngestorClient) -> None:
    client.info("before")
    client.close()
    client.info("after")
    client.close()
    client.close()
    assert messages(recorder) == ["before", "after"]


def test_an_error_callback_that_raises_ends_nothing(recorder: Recorder, capfd: pytest.CaptureFixture[str]) -> None:
    def broken(_error: Exception) -> None:
        raise RuntimeError("broken")

    recorder.answer("/v1/ingest", Answer(500))
    client = LogIngestorClient("k", PROJECT, on_error=broken, **QUIET)
    client.info("one")
    client.flush()
    client.info("two")
    client.close()
    assert set(messages(recorder)) == {"one", "two"}
    assert "broken" in capfd.readouterr().err


def test_errors_are_printed_where_nobody_asks_for_them(recorder: Recorder, capsys: pytest.CaptureFixture[str]) -> None:
    recorder.answer("/v1/ingest", Answer(400))
    client = LogIngestorClient("k", PROJECT, **QUIET)
    client.info("refused")
    client.close()
    assert "[streamlogia] HTTP Error 400: Bad Request\n" in capsys.readouterr().err


def test_the_client_of_0_1_prints_errors_under_its_own_name(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MILLPOND_ENDPOINT", recorder.address)
    recorder.answer("/v1/ingest", Answer(400))
    client = logingestor.LogIngestorClient("k", PROJECT, **QUIET)
    client.info("refused")
    client.close()
    assert "[logingestor] HTTP Error 400: Bad Request\n" in capsys.readouterr().err


def test_a_flush_waits_for_one_attempt(recorder: Recorder) -> None:
    recorder.always("/v1/ingest", Answer(503))
    errors: list[Exception] = []
    client = LogIngestorClient("k", PROJECT, on_error=errors.append, **QUIET)
    client.info("x")
    client.flush()
    assert (len(recorder.requests), len(errors)) == (1, 1)
    recorder.always("/v1/ingest", Answer())
    client.close()


def test_meta_is_sent_as_it_was_when_it_was_logged(recorder: Recorder, client: LogIngestorClient) -> None:
    meta = {"step": 1, "inner": {"a": 1}}
    client.info("x", meta=meta)
    meta["step"] = 2
    meta["inner"]["a"] = 2  # type: ignore[index]
    client.flush()
    assert entries(recorder)[0]["meta"] == {"step": 1, "inner": {"a": 1}}


def test_messages_and_tags_of_other_types_become_text(recorder: Recorder, client: LogIngestorClient) -> None:
    client.info(4711, tags=(1, "b"))  # type: ignore[arg-type]
    client.info("x", tags="alone", meta=[1])  # type: ignore[arg-type]
    client.flush()
    first, second = entries(recorder)
    assert (first["message"], first["tags"]) == ("4711", ["1", "b"])
    assert (second["tags"], second["meta"]) == (["alone"], {"value": [1]})


def test_the_console_is_the_stream_of_the_moment(recorder: Recorder) -> None:
    client = LogIngestorClient("k", PROJECT, batch_size=100)
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        client.info("said", meta={"a": 1})
        client.warn("warned")
    client.close()
    assert (out.getvalue(), err.getvalue()) == ("[INFO] said {'a': 1}\n", "[WARN] warned {}\n")


def test_a_console_that_is_gone_is_no_error(
    recorder: Recorder, client: LogIngestorClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    loud = LogIngestorClient("k", PROJECT, batch_size=100)
    monkeypatch.setattr(sys, "stdout", None)
    loud.info("said")
    loud.close()
    assert messages(recorder) == ["said"]


def test_a_large_entry_keeps_what_the_server_insists_on(recorder: Recorder, client: LogIngestorClient) -> None:
    client.info("m" * (3 << 20), tags=["t"], meta={"a": 1})
    client.flush()
    (entry,) = entries(recorder)
    assert (entry["projectId"], entry["level"], entry["source"]) == (PROJECT, "INFO", "unknown")
    assert entry["timestamp"] and entry["message"].startswith("mmm")
    assert len(recorder.requests[0].body) < 1 << 20


def test_tags_that_can_not_be_read_cost_no_entry(recorder: Recorder, client: LogIngestorClient) -> None:
    client.info("kept", tags=(1 // 0 for _ in "a"))  # type: ignore[arg-type]
    client.flush()
    assert [(entry["message"], entry["tags"]) for entry in entries(recorder)] == [("kept", [])]


def test_an_answer_without_a_body_is_a_success(recorder: Recorder) -> None:
    errors: list[Exception] = []
    recorder.always("/v1/ingest", Answer(204, b""))
    client = LogIngestorClient("k", PROJECT, on_error=errors.append, **QUIET)
    client.info("stored")
    client.flush()
    assert client.ingest([]) == {}
    client.close()
    assert not errors


def test_ingest_takes_odd_values_too(recorder: Recorder, client: LogIngestorClient) -> None:
    recorder.always("/v1/ingest", Answer(body={"ingested": 1, "ids": ["i"]}))
    assert client.ingest([{"meta": {"id": uuid.UUID(int=7), "nan": float("nan")}}]) == {"ingested": 1, "ids": ["i"]}
    assert entries(recorder) == [{"meta": {"id": str(uuid.UUID(int=7)), "nan": "NaN"}}]


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


def test_the_environment_of_the_documentation_is_read_too(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGINGESTOR_API_KEY", "documented")
    monkeypatch.setenv("LOGINGESTOR_PROJECT_ID", "its project")
    client = LogIngestorClient(**QUIET)
    client.info("x")
    client.close()
    assert entries(recorder)[0]["projectId"] == "its project"
    assert recorder.requests[0].headers["authorization"] == "Bearer documented"


def test_a_missing_key_is_named_with_its_variable(recorder: Recorder) -> None:
    with pytest.raises(ValueError, match=r"^api_key is missing, .* in STREAMLOGIA_API_KEY$"):
        LogIngestorClient(project_id=PROJECT)
    with pytest.raises(ValueError, match=r"^project_id is missing, .* in STREAMLOGIA_PROJECT_ID$"):
        LogIngestorClient("k", "")


def test_an_address_that_is_none_is_refused_at_once(recorder: Recorder) -> None:
    with pytest.raises(ValueError, match="h:1"):
        LogIngestorClient("k", PROJECT, base_url="h:1")


def test_odd_options_are_taken_as_they_were(recorder: Recorder) -> None:
    for options in ({"batch_size": 0}, {"batch_size": -1}, {"flush_interval": 0, "batch_size": 2}):
        client = LogIngestorClient("k", PROJECT, console=False, **options)  # type: ignore[arg-type]
        client.info("x")
        client.close()
    assert messages(recorder) == ["x", "x", "x"]


def test_a_batch_goes_when_it_is_full(recorder: Recorder) -> None:
    client = LogIngestorClient("k", PROJECT, batch_size=3, flush_interval=3600, console=False)
    for message in ("a", "b"):
        client.info(message)
    assert not recorder.requests
    client.info("c")
    recorder.wait_for(1)
    assert messages(recorder) == ["a", "b", "c"]
    client.close()


def test_a_batch_that_does_not_fill_goes_after_the_interval(recorder: Recorder) -> None:
    client = LogIngestorClient("k", PROJECT, batch_size=100, flush_interval=0.05, console=False)
    client.info("x")
    recorder.wait_for(1)
    client.close()


def test_the_client_of_0_1_asks_where_to_send(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILLPOND_ENDPOINT", recorder.address)
    client = logingestor.LogIngestorClient("k", PROJECT, **QUIET)
    client.info("x")
    client.close()
    assert messages(recorder) == ["x"]
    assert logingestor.DEFAULT_BASE_URL == "https://api.streamlogia.com"

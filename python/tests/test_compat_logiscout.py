"""What the drop-in for logiscout-logger does with logs, where the original loses them."""

from __future__ import annotations

import asyncio
import contextvars
import datetime
import decimal
import io
import json
import logging
import signal
import threading
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

import millpond
from conftest import Program
from logiscout import answer, asgi, asgi_answer, in_production, log, messages, not_set_up, payloads, the_payload, wsgi
from millpond.compat import logiscout_logger as logiscout
from millpond.compat.logiscout_logger import _setup, buffer
from millpond.compat.logiscout_logger.transports import http
from recorder import Recorder
from running import Start, eventually


@pytest.fixture(autouse=True)
def _not_set_up() -> Iterator[None]:
    with not_set_up():
        yield


@pytest.fixture
def production(server: Recorder, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    with in_production(server, monkeypatch) as recorder:
        yield recorder


# Logs and requests


def test_logs_outside_of_a_request_are_sent_each_under_an_id_of_its_own(production: Recorder) -> None:
    log.info("started", port=80)
    log.error("failed")
    first, second = payloads(production)
    assert first["correlationId"] != second["correlationId"]
    assert first["request"] == {} and first["durationMS"] is None
    assert first["startedAt"] == first["endedAt"]
    assert first["logs"][0]["metadata"] == {"port": 80}
    assert production.headers[0]["authorization"] == "Bearer lgs_token"
    assert production.headers[0]["path"] == "/ingest"


def test_a_job_that_binds_a_correlation_id_has_its_logs_under_it(production: Recorder) -> None:
    log.bind(correlation_id="job-1").info("bound")
    with structlog.contextvars.bound_contextvars(correlation_id="job-2"):
        log.info("in structlog's context")
    assert [payload["correlationId"] for payload in payloads(production)] == ["job-1", "job-2"]


def test_each_payload_names_its_service_and_environment(production: Recorder) -> None:
    wsgi(answer)
    assert the_payload(production)["serviceName"] == "shop"
    assert the_payload(production)["environment"] == "production"


def test_a_request_of_a_thousand_logs_arrives_whole_in_slices_with_one_head(production: Recorder) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        for number in range(1001):
            log.info(f"{number}")
        return answer(environ, start_response)

    wsgi(app)
    slices = payloads(production)
    assert [len(payload["logs"]) for payload in slices] == [200] * 5 + [2]
    assert len({json.dumps({**payload, "logs": None}) for payload in slices}) == 1
    assert [name for payload in slices for name in messages(payload)] == [*map(str, range(1001)), "answered"]


def test_large_logs_are_cut_into_bodies_that_the_original_server_takes(production: Recorder) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        for _ in range(10):
            log.info("large", text="x" * 300_000)
        log.info("too large", text="x" * 3_000_000)
        return answer(environ, start_response)

    wsgi(app)
    sent = [entry for payload in payloads(production) for entry in payload["logs"]]
    assert len(sent) == 12
    assert {entry["loggerName"] for entry in sent} == {"shop.orders"}
    assert all(int(headers["content-length"]) <= 1 << 20 for headers in production.headers)


def test_no_value_of_metadata_stops_the_logs(production: Recorder) -> None:
    order = uuid.uuid4()
    values = {"items": [1]}
    log.info(
        "odd",
        when=datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc),
        order=order,
        total=decimal.Decimal("1.50"),
        tags={"a"},
        share=float("nan"),
        lock=threading.Lock(),
        values=values,
    )
    values["items"].append(2)
    log.info("after")
    odd, after = payloads(production)
    metadata = odd["logs"][0]["metadata"]
    assert metadata.pop("lock").startswith("<unlocked")
    assert metadata == {
        "when": "2026-01-02T00:00:00+00:00",
        "order": str(order),
        "total": "1.50",
        "tags": ["a"],
        "share": "NaN",
        "values": {"items": [1]},
    }
    assert messages(after) == ["after"]


def test_metadata_may_have_any_name(production: Recorder) -> None:
    log.info("m", event="e", level="l", logger="n", timestamp="t", correlation_id="c", http_method="h", url_path="u")
    assert set(payloads(production)[0]["logs"][0]["metadata"]) == {
        "event", "level", "logger", "timestamp", "correlation_id", "http_method", "url_path",
    }  # fmt: skip


def test_no_call_of_a_logger_raises(production: Recorder) -> None:
    class Hostile:
        def __repr__(self) -> str:
            raise ValueError

    logiscout.get_logger(5).info(Hostile(), value=Hostile(), exc_info=5, stack_info=Hostile())  # type: ignore[arg-type]
    logiscout.get_logger("").error(b"bytes", exc_info=(None, None, None))  # type: ignore[arg-type]
    first, second = (payload["logs"][0] for payload in payloads(production))
    assert (first["loggerName"], first["message"]) == ("5", "<unprintable Hostile>")
    assert (second["loggerName"], second["message"], second["exception"]) == ("root", "b'bytes'", None)


def test_a_server_that_fails_holds_no_request_up_and_costs_no_log(production: Recorder) -> None:
    production.status = 503
    for _ in range(300):
        assert wsgi(answer)[0] == b"ok"
    eventually(lambda: bool(production.failures), "nothing was sent at 200 logs")
    production.status = 200
    assert sum(len(payload["logs"]) for payload in payloads(production)) == 300


def test_two_hundred_logs_are_sent_at_once(production: Recorder) -> None:
    for number in range(200):
        log.info(f"{number}")
    production.wait_for(1)


def test_a_batch_waits_thirty_seconds_and_never_for_a_request(
    server: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[dict[str, Any]] = []

    class Shipper(millpond.Shipper):
        def __init__(self, url: str, **options: Any) -> None:
            made.append(options)
            super().__init__(url, **options)

    monkeypatch.setattr(http, "Shipper", Shipper)
    with in_production(server, monkeypatch):
        wsgi(answer)
        assert server.records == []
        assert len(payloads(server)) == 1
    assert [options["batch_age_s"] for options in made] == [30.0]


def test_logs_of_a_long_request_do_not_wait_for_its_end(production: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffer.requestBuffer, "_WAIT_S", -1.0)

    def app(environ: Any, start_response: Any) -> list[bytes]:
        log.info("early")
        early = the_payload(production)
        assert (early["endedAt"], early["durationMS"]) == (None, None)
        assert early["request"] == {"method": "GET", "path": "/orders"}
        start_response("200 OK", [])
        return [b""]

    wsgi(app)


def test_a_late_log_goes_by_itself_under_the_head_of_its_request(production: Recorder) -> None:
    async def run() -> None:
        tasks = []
        is_answered = asyncio.Event()

        async def late() -> None:
            await is_answered.wait()
            log.info("late")

        async def app(scope: Any, receive: Any, send: Any) -> None:
            tasks.append(asyncio.ensure_future(late()))
            await asgi_answer(scope, receive, send)

        await asgi(app)
        is_answered.set()
        await tasks[0]

    asyncio.run(run())
    first, second = payloads(production)
    assert (messages(first), messages(second)) == (["answered"], ["late"])
    assert {**first, "logs": None} == {**second, "logs": None}
    assert first["request"]["statusCode"] == 200


def test_a_plain_thread_of_a_request_has_its_logs_sent(production: Recorder) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        thread = threading.Thread(target=log.info, args=("in a thread",))
        thread.start()
        thread.join()
        return answer(environ, start_response)

    wsgi(app)
    assert sorted(map(messages, payloads(production))) == [["answered"], ["in a thread"]]


def test_threads_with_a_copy_of_the_context_add_to_one_request_at_once(production: Recorder) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        def work() -> None:
            for _ in range(250):
                log.info("m")

        threads = [threading.Thread(target=contextvars.copy_context().run, args=(work,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return answer(environ, start_response)

    wsgi(app)
    slices = payloads(production)
    assert sum(len(payload["logs"]) for payload in slices) == 1001
    assert len({payload["correlationId"] for payload in slices}) == 1


def test_a_forked_child_sends_its_own_logs_and_none_of_its_parent(production: Recorder, program: Program) -> None:
    done = program.run(
        """
        import os
        from millpond.compat.logiscout_logger import PROD, get_logger, init, wsgiConfiguration

        init(api_token="t", service_name="s", env=PROD)
        log = get_logger("fork")
        log.info("before")

        def app(environ, start_response):
            log.info("parent")
            child = os.fork()
            if child == 0:
                log.info("child")
                from millpond.compat.logiscout_logger.logger import get_batch_manager
                get_batch_manager().flush()
                os._exit(0)
            os.waitpid(child, 0)
            start_response("200 OK", [])
            return [b""]

        wsgiConfiguration(app)({"REQUEST_METHOD": "GET", "PATH_INFO": "/"}, lambda *_: None).close()
        """
    )
    assert done.returncode == 0
    sent = [entry["message"] for body in production.records for p in body["payloads"] for entry in p["logs"]]
    assert sorted(sent) == ["before", "child", "parent"]


def test_the_end_of_the_program_sends_everything(production: Recorder, program: Program) -> None:
    program.run(
        """
        from millpond.compat.logiscout_logger import PROD, get_logger, init
        init(api_token="t", service_name="s", env=PROD)
        for number in range(1000):
            get_logger("exit").info(str(number))
        """
    )
    assert sum(len(p["logs"]) for body in production.records for p in body["payloads"]) == 1000


def test_a_program_that_is_told_to_end_sends_everything(production: Recorder, start: Start) -> None:
    start.file(
        "waits.py",
        """
import signal
from millpond.compat.logiscout_logger import PROD, get_logger, init
init(api_token="t", service_name="s", env=PROD)
get_logger("waits").info("waiting")
signal.pause()
""",
    )
    running = start("waits.py")
    running.wait_for_output("waiting")
    assert running.stop() == -signal.SIGTERM
    assert messages(production.records[0]["payloads"][0]) == ["waiting"]


# What stays here


def test_what_is_bound_not_to_be_sent_stays_here(production: Recorder, capsys: pytest.CaptureFixture[str]) -> None:
    quiet = log.bind(send=False, token="t")
    quiet.info("secret")
    quiet.bind(more=1).critical("secret too")
    log.info("secret as well", False)
    log.info("sent")
    quiet.bind(send=True).info("sent after all")
    assert [messages(payload) for payload in payloads(production)] == [["sent"], ["sent after all"]]
    assert capsys.readouterr().err.count("secret") == 3


def test_development_sends_nothing_and_needs_no_token(
    server: Recorder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MILLPOND_ENDPOINT", server.url)
    logiscout.init(service_name="shop", env=logiscout.DEV)
    log.debug("shown")
    assert wsgi(answer)[0] == b"ok"
    assert _setup.current().batch_manager is None
    assert server.records == []
    assert "[debug    ] shown                          [shop.orders]" in capsys.readouterr().err


def test_the_first_init_counts(production: Recorder) -> None:
    logiscout.init(api_token="other", service_name="other", env=logiscout.DEV)
    log.info("m")
    assert the_payload(production)["serviceName"] == "shop"


def test_production_that_can_not_send_says_so() -> None:
    with pytest.warns(RuntimeWarning, match="api_token is empty"):
        logiscout.init(api_token="", service_name="s", env=logiscout.PROD)
    _setup.use(_setup.NONE)
    with pytest.warns(RuntimeWarning, match="env is 'PROD', expected DEV or PROD"):
        logiscout.init(api_token="t", service_name="s", env="PROD")  # type: ignore[arg-type]


# Console


def test_a_line_for_people_has_no_colours_outside_of_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise KeyError("missing")
    except KeyError:
        log.error("failed\n2026 forged", reason="two words", code=7, exc_info=True)
    first, *rest = capsys.readouterr().err.splitlines()
    assert first.endswith(r"Z [error    ] failed\n2026 forged            [shop.orders] code=7 reason='two words'")
    assert rest[0] == "Traceback (most recent call last):"
    assert rest[-1] == "KeyError: 'missing'"


def test_a_terminal_has_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr("sys.stderr", terminal)
    log.warning("m")
    assert "\x1b[33m" in terminal.getvalue()


def test_the_applications_logging_is_used_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    class Keep(logging.Handler):
        records: list[logging.LogRecord] = []  # noqa: RUF012

        def emit(self, record: logging.LogRecord) -> None:
            self.records.append(record)

    logger = logging.getLogger("shop")
    handler = Keep()
    logger.addHandler(handler)
    logger.setLevel(logging.WARNING)
    try:
        log.info("below")
        log.warning("100 %")
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
    (record,) = handler.records
    assert "100 %" in record.getMessage()
    assert (record.name, record.funcName) == ("shop.orders", "test_the_applications_logging_is_used_as_it_is")
    assert capsys.readouterr().err == ""


def test_nothing_of_structlog_or_logging_is_set_up(production: Recorder) -> None:
    log.info("m")
    assert not structlog.is_configured()
    assert not logging.getLogger("shop.orders").handlers


def test_it_works_without_structlog(production: Recorder, program: Program) -> None:
    program.run(
        """
        import sys
        sys.modules["structlog"] = None
        from millpond.compat.logiscout_logger import PROD, get_logger, init, wsgiConfiguration

        init(api_token="t", service_name="s", env=PROD)

        def app(environ, start_response):
            get_logger("plain").info("m")
            start_response("200 OK", [])
            return [b""]

        wsgiConfiguration(app)({"REQUEST_METHOD": "GET", "PATH_INFO": "/"}, lambda *_: None).close()
        """
    )
    assert production.records[0]["payloads"][0]["logs"][0]["message"] == "m"

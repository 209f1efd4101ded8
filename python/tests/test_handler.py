"""The stdlib's records."""

from __future__ import annotations

import logging
import logging.config
import logging.handlers
import os
import queue
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

import millpond
from millpond._levels import from_stdlib
from recorder import Recorder


@pytest.fixture
def log(client: Recorder) -> Iterator[logging.Logger]:
    logger = logging.getLogger("shop.orders")
    logger.setLevel(1)
    logger.propagate = False
    handler = millpond.Handler()
    logger.addHandler(handler)
    yield logger
    logger.removeHandler(handler)


def logged(server: Recorder) -> list[dict[str, Any]]:
    assert millpond.flush(5)
    return list(server.records)


def test_a_record_arrives_with_all_it_knows(client: Recorder, log: logging.Logger) -> None:
    log.warning("took %d ms", 512, extra={"order_id": 4711, "trace_id": "t", "file": "mine"})
    (record,) = logged(client)
    assert record["level"] == "warn"
    assert record["message"] == "took 512 ms"
    assert record["logger"] == "shop.orders"
    assert record["trace_id"] == "t"
    fields = record["fields"]
    assert fields.pop("line") > 0
    assert fields == {
        "order_id": 4711,
        "file": "mine",
        "function": "test_a_record_arrives_with_all_it_knows",
        "thread": "MainThread",
        "process": os.getpid(),
    }
    assert abs(record["time"] - time.time_ns()) < 60e9


def test_levels_keep_their_order() -> None:
    assert [from_stdlib(number) for number in (0, 9, 10, 20, 25, 30, 40, 50, 99)] == [1, 1, 5, 9, 11, 13, 17, 21, 21]
    numbers = [from_stdlib(number) for number in range(100)]
    assert numbers == sorted(numbers)


def test_an_exception_is_structure_and_not_in_the_message(client: Recorder, log: logging.Logger) -> None:
    try:
        raise ValueError("bad")
    except ValueError:
        log.exception("failed")
    log.error("no exception here", exc_info=True)
    first, second = logged(client)
    assert first["message"] == "failed"
    assert first["exception"]["type"] == "ValueError"
    assert first["exception"]["stacktrace"][0]["file"] == __file__
    assert "exception" not in second


def test_arguments_that_do_not_fit_raise_nothing(client: Recorder, log: logging.Logger) -> None:
    log.info("%d", "no number")
    log.info("%s %s", "one")
    log.info(ValueError("as message"))
    assert [record["message"] for record in logged(client)] == ["%d", "%s %s", "as message"]


def test_the_context_is_on_stdlib_records_too(client: Recorder, log: logging.Logger) -> None:
    with millpond.context(request_id="r-1", shop="a"):
        log.info("m")
    (record,) = logged(client)
    assert record["request_id"] == "r-1"
    assert record["fields"]["shop"] == "a"


CONFIGURATION: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"millpond": {"class": "millpond.Handler", "level": "DEBUG"}},
    "loggers": {"configured": {"handlers": ["millpond"], "level": "DEBUG", "propagate": False}},
}


def test_dict_config_closes_handlers_and_they_go_on(client: Recorder, log: logging.Logger) -> None:
    logging.config.dictConfig(CONFIGURATION)
    logging.getLogger("configured").debug("one")
    held = logging.getLogger("configured").handlers[0]
    logging.config.dictConfig(CONFIGURATION)
    logging.getLogger("configured").debug("two")
    log.info("three")
    held.handle(logging.makeLogRecord({"msg": "four"}))
    assert [record["message"] for record in logged(client)] == ["one", "two", "three", "four"]


def test_a_flush_under_the_logging_lock_does_not_wait(log: logging.Logger) -> None:
    millpond.init(service="tests", endpoint="http://127.0.0.1:9", shutdown_timeout_s=0.1)
    log.info("m")
    handler = log.handlers[0]
    lock: Any = logging._lock  # type: ignore[attr-defined]
    with lock:
        started = time.monotonic()
        handler.flush()
        handler.close()
        assert time.monotonic() - started < 0.1
    millpond.close(0)


def test_a_slow_flush_holds_up_nobody(log: logging.Logger) -> None:
    millpond.init(service="tests", endpoint="http://127.0.0.1:9", shutdown_timeout_s=0.1)
    log.info("m")
    handler = log.handlers[0]
    flushing = threading.Thread(target=handler.flush)
    flushing.start()
    time.sleep(0.05)
    started = time.monotonic()
    log.info("m")
    assert time.monotonic() - started < 0.1
    assert flushing.is_alive()
    flushing.join()
    millpond.close(0)


def test_behind_a_queue_handler(client: Recorder, log: logging.Logger) -> None:
    records: queue.SimpleQueue[Any] = queue.SimpleQueue()
    listener = logging.handlers.QueueListener(records, millpond.Handler())
    listener.start()
    logger = logging.getLogger("queued")
    logger.propagate = False
    handler = logging.handlers.QueueHandler(records)
    logger.addHandler(handler)
    try:
        raise ValueError("bad")
    except ValueError:
        logger.exception("failed", extra={"order_id": 1})
    listener.stop()
    logger.removeHandler(handler)
    (record,) = logged(client)
    assert record["message"].startswith("failed")
    assert record["fields"]["order_id"] == 1


def test_a_broken_record_is_for_the_stdlib_to_report(
    client: Recorder, log: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    log.handlers[0].handle(logging.makeLogRecord({"msg": "m", "created": "never"}))
    assert "Logging error" in capsys.readouterr().err
    log.info("after")
    assert [record["message"] for record in logged(client)] == ["after"]


def test_a_filter_decides(client: Recorder, log: logging.Logger) -> None:
    log.handlers[0].addFilter(lambda record: record.levelno >= 40)
    log.info("no")
    log.error("yes")
    assert [record["message"] for record in logged(client)] == ["yes"]

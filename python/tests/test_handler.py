"""The stdlib's records."""

from __future__ import annotations

import asyncio
import logging
import logging.config
import logging.handlers
import os
import pickle
import queue
import sys
import threading
import time
import warnings
from collections import UserDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import millpond
from conftest import Program
from millpond._levels import from_stdlib
from recorder import Recorder
from running import PATIENCE_S, eventually


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
    millpond.init(service="tests", endpoint="http://127.0.0.1:9", shutdown_timeout_s=PATIENCE_S)
    log.info("m")
    handler = log.handlers[0]
    lock: Any = logging._lock  # type: ignore[attr-defined]
    with lock:
        started = time.monotonic()
        handler.flush()
        handler.close()
        assert time.monotonic() - started < PATIENCE_S
    millpond.close(0)


def test_a_slow_flush_holds_up_nobody(server: Recorder, log: logging.Logger) -> None:
    server.status = 503
    millpond.init(service="tests", endpoint=server.url, shutdown_timeout_s=PATIENCE_S)
    log.info("m")
    handler = log.handlers[0]
    flushing = threading.Thread(target=handler.flush)
    flushing.start()
    eventually(lambda: len(server.failures) > 0, "the flush sends nothing")
    log.info("m")
    assert flushing.is_alive()
    server.status = 200
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


def test_dict_config_passes_level_and_client(client: Recorder) -> None:
    class Other:
        def __init__(self) -> None:
            self.messages: list[Any] = []

        @property
        def sink(self) -> Any:
            return self

        def log(self, *record: Any) -> None:
            self.messages.append(record[1])

        def flush(self, _timeout_s: float) -> bool:
            return True

    other = Other()
    configuration = {
        **CONFIGURATION,
        "handlers": {"millpond": {"class": "millpond.Handler", "level": "ERROR", "client": other}},
    }
    logging.config.dictConfig(configuration)
    logging.getLogger("configured").warning("below")
    logging.getLogger("configured").error("above")
    assert other.messages == ["above"]
    assert logged(client) == []


def test_file_config(client: Recorder, tmp_path: Path) -> None:
    path = tmp_path / "logging.ini"
    path.write_text(
        "[loggers]\nkeys=root,filed\n[handlers]\nkeys=millpond\n[formatters]\nkeys=\n"
        "[logger_root]\nhandlers=\n"
        "[logger_filed]\nqualname=filed\npropagate=0\nlevel=INFO\nhandlers=millpond\n"
        "[handler_millpond]\nclass=millpond.Handler\nlevel=INFO\n"
    )
    logging.config.fileConfig(path, disable_existing_loggers=False)
    logging.getLogger("filed").info("m")
    logging.getLogger("filed").handlers.clear()
    assert [record["message"] for record in logged(client)] == ["m"]


def test_adapters_factories_and_stack_info(client: Recorder, log: logging.Logger) -> None:
    class Request(logging.LogRecord):
        def __init__(self, *args: Any, **named: Any) -> None:
            self.first = 1
            super().__init__(*args, **named)
            self.last = 2

    logging.setLogRecordFactory(Request)
    try:
        logging.LoggerAdapter(log, {"tenant": "t"}).info("m", stack_info=True)
    finally:
        logging.setLogRecordFactory(logging.LogRecord)
    (record,) = logged(client)
    fields = record["fields"]
    assert (fields["tenant"], fields["first"], fields["last"]) == ("t", 1, 2)
    assert fields["stack_info"].startswith("Stack (most recent call last):")


def test_extras_are_found_in_whatever_order_a_record_has_its_attributes(client: Recorder, log: logging.Logger) -> None:
    record = log.makeRecord("n", 20, "f", 1, "m", (), None, "g", {"order_id": 1})
    del record.process  # As those do who find it noise.
    log.handle(log.makeRecord("n", 20, "f", 1, "formatted before", (), None, "g", {"order_id": 2, "z": 0}))
    log.filters.append(lambda record: setattr(record, "message", "m") or True)  # type: ignore[func-returns-value]
    log.handle(log.makeRecord("n", 20, "f", 1, "formatted", (), None, "g", {"order_id": 3, "z": 0}))
    log.filters.clear()
    log.handlers[0].handle(record)
    fields = [record["fields"] for record in logged(client)]
    assert [said["order_id"] for said in fields] == [2, 3, 1]
    for said in fields:
        assert not {"message", "msg", "levelname", "taskName"} & set(said)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="new in 3.12")
def test_a_filter_may_return_another_record(client: Recorder, log: logging.Logger) -> None:
    log.handlers[0].addFilter(lambda record: logging.makeLogRecord({**vars(record), "msg": "another"}))
    log.info("one")
    assert [record["message"] for record in logged(client)] == ["another"]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="new in 3.12")
def test_the_task_is_named(client: Recorder, log: logging.Logger) -> None:
    async def work() -> None:
        log.info("m")

    async def start() -> None:
        await asyncio.create_task(work(), name="import orders")

    asyncio.run(start())
    log.info("m")
    first, second = logged(client)
    assert first["fields"]["task"] == "import orders"
    assert "task" not in second["fields"]


def test_a_record_from_another_process_keeps_where_it_came_from(client: Recorder, log: logging.Logger) -> None:
    sender = logging.handlers.SocketHandler("localhost", 0)
    try:
        raise ValueError("bad")
    except ValueError:
        record = log.makeRecord("worker", 40, "w.py", 7, "%s %s", ("a", 1), sys.exc_info(), "run", {"order_id": 1})  # type: ignore[arg-type]
    record.process, record.processName, record.created = 12345, "ForkPoolWorker-1", 1_700_000_000.5
    log.handle(logging.makeLogRecord(pickle.loads(sender.makePickle(record)[4:])))
    (arrived,) = logged(client)
    assert (arrived["message"], arrived["time"], arrived["logger"]) == ("a 1", 1_700_000_000_500_000_000, "worker")
    fields = arrived["fields"]
    assert (fields["process"], fields["process_name"], fields["order_id"]) == (12345, "ForkPoolWorker-1", 1)
    assert fields["exc_text"].endswith("ValueError: bad")


def test_a_queue_handler_leaves_the_traceback_out_of_the_message(client: Recorder, log: logging.Logger) -> None:
    records: queue.SimpleQueue[Any] = queue.SimpleQueue()
    try:
        raise ValueError("bad")
    except ValueError:
        record = log.makeRecord("n", 40, "f", 1, "failed: %d", (5,), sys.exc_info(), None)  # type: ignore[arg-type]
    logging.handlers.QueueHandler(records).handle(record)
    log.handle(records.get())
    (arrived,) = logged(client)
    assert arrived["message"] == "failed: 5"
    assert arrived["fields"]["exc_text"].startswith("Traceback (most recent call last):")


def test_warnings_arrive(client: Recorder) -> None:
    logger = logging.getLogger("py.warnings")
    handler = millpond.Handler()
    logger.addHandler(handler)
    logging.captureWarnings(True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            logging.captureWarnings(False)
            logging.captureWarnings(True)
            warnings.warn("old", DeprecationWarning, stacklevel=1)
            logging.captureWarnings(False)
    finally:
        logging.captureWarnings(False)
        logger.removeHandler(handler)
    (record,) = logged(client)
    assert record["level"] == "warn"
    assert "DeprecationWarning: old" in record["message"]


def test_levels_of_the_application_are_named(client: Recorder, log: logging.Logger) -> None:
    logging.addLevelName(25, "NOTICE")
    log.log(25, "m")
    log.log(30, "m")
    first, second = logged(client)
    assert (first["level"], first["fields"]["level_name"]) == ("info", "NOTICE")
    assert "level_name" not in second["fields"]


def test_errors_are_silent_where_the_application_says_so(
    client: Recorder, log: logging.Logger, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    log.handlers[0].handle(logging.makeLogRecord({"msg": "m", "levelno": 20, "created": "never"}))
    assert capsys.readouterr().err == ""


def test_arguments_of_every_shape(client: Recorder, log: logging.Logger) -> None:
    log.info("%(a)s", {"a": 1})
    log.info("%s", {})
    log.info("%s", UserDict(a=1))
    log.info("%(a)s", UserDict(a=2))
    log.handle(logging.makeLogRecord({"msg": "%s %s", "args": [1, 2], "levelno": 20}))
    log.info({"not": "text"})
    log.info(None)
    messages = [record["message"] for record in logged(client)]
    assert messages == ["1", "{}", "{'a': 1}", "2", "%s %s", "{'not': 'text'}", "None"]


def test_shutdown_of_logging_delivers(program: Program) -> None:
    program.run(
        """
        import logging, millpond
        millpond.init(batch_age_s=60)
        logging.basicConfig(handlers=[millpond.Handler()], level=logging.INFO)
        logging.info("before")
        logging.shutdown()
        logging.info("after")
        """
    )
    assert [record["message"] for record in program.server.wait_for(2)] == ["before", "after"]

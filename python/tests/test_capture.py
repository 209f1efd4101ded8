"""Records of stdlib loggers arrive without a handler, and the application's logging stays as it was."""

from __future__ import annotations

import copy
import logging
import logging.config
import logging.handlers
import os
import pickle
import queue
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import millpond
from conftest import Program
from millpond import _capture
from recorder import Recorder

ORIGINAL = logging.Logger.callHandlers


@pytest.fixture(autouse=True)
def captured(client: Recorder) -> Iterator[None]:
    _capture.capture()
    yield
    _capture.release()
    assert logging.Logger.callHandlers is ORIGINAL


@pytest.fixture
def log() -> Iterator[logging.Logger]:
    """A logger as uvicorn's: with an output of its own, and not propagating."""
    logger = logging.getLogger("shop.captured")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.addHandler(logging.NullHandler())
    yield logger
    logger.handlers.clear()
    logger.propagate = True


def messages(server: Recorder) -> list[str]:
    assert millpond.flush(5)
    return [record["message"] for record in server.records]


def test_every_logger_is_heard_as_far_as_its_level_and_filters_let(client: Recorder, log: logging.Logger) -> None:
    log.debug("%d of %s", 1, "two", extra={"order_id": 1})
    log.setLevel(logging.WARNING)
    log.info("below the level")
    log.addFilter(lambda record: "secret" not in record.msg)
    log.error("secret")
    logging.getLogger("never.configured").warning("too")
    log.filters.clear()
    assert messages(client) == ["1 of two", "too"]
    assert client.records[0]["logger"] == "shop.captured"
    assert client.records[0]["fields"]["order_id"] == 1


def test_the_root_logger_is_left_alone() -> None:
    root = logging.getLogger()
    assert not any(isinstance(handler, millpond.Handler) for handler in root.handlers)
    assert root.level == logging.WARNING


def test_last_resort_and_basic_config_work_as_before(program: Program) -> None:
    done = program.run(
        """
        import logging, millpond
        from millpond import _capture
        millpond.init()
        _capture.capture()
        logging.warning("for stderr")
        logging.getLogger("x").warning("unconfigured")
        logging.getLogger().handlers.clear()
        logging.basicConfig(format="as asked: %(message)s", level=logging.INFO)
        logging.info("configured")
        """
    )
    assert done.stderr.splitlines() == ["WARNING:root:for stderr", "WARNING:x:unconfigured", "as asked: configured"]
    records = program.server.wait_for(3)
    assert [record["message"] for record in records] == ["for stderr", "unconfigured", "configured"]


def test_a_later_dict_config_changes_nothing(client: Recorder, log: logging.Logger) -> None:
    configuration = {"version": 1, "disable_existing_loggers": True, "root": {"level": "INFO", "handlers": []}}
    before = logging.getLogger().level
    try:
        logging.config.dictConfig(configuration)
        log.info("disabled by it")
        logging.getLogger("made.after").info("heard")
    finally:
        logging.getLogger().setLevel(before)
        log.disabled = False
    assert messages(client) == ["heard"]


def test_capturing_twice_takes_once_and_releasing_twice_is_fine(client: Recorder, log: logging.Logger) -> None:
    _capture.capture()
    log.info("once")
    _capture.release()
    _capture.release()
    log.info("not")
    assert messages(client) == ["once"]


def test_ignored_names_are_skipped_with_those_below(client: Recorder, log: logging.Logger) -> None:
    _capture.capture(ignore=["noisy", "shop.captured.debug"])
    for name in ("noisy", "noisy.child", "noisyless", "shop.captured", "shop.captured.debug.deep"):
        logging.getLogger(name).warning(name)
    assert messages(client) == ["noisyless", "shop.captured"]


def test_a_handler_in_the_chain_does_not_send_it_again(client: Recorder, log: logging.Logger) -> None:
    log.addHandler(millpond.Handler())
    target = logging.handlers.MemoryHandler(10, target=millpond.Handler())
    log.addHandler(target)
    log.info("once")
    target.flush()
    target.close()
    assert messages(client) == ["once"]


def test_a_handler_with_a_client_of_its_own_gets_it_too(client: Recorder, log: logging.Logger) -> None:
    class Other:
        def __init__(self) -> None:
            self.taken: list[tuple[Any, ...]] = []

        @property
        def sink(self) -> Any:
            return self

        def log(self, *record: Any) -> None:
            self.taken.append(record)

        def flush(self, _timeout_s: float) -> bool:
            return True

    other = Other()
    log.addHandler(millpond.Handler(client=other))
    log.info("%s", "both")
    assert messages(client) == ["both"]
    assert [record[:2] for record in other.taken] == [(9, "both")]


def test_a_listener_behind_a_queue_does_not_send_it_again(client: Recorder, log: logging.Logger) -> None:
    records: queue.SimpleQueue[Any] = queue.SimpleQueue()
    listener = logging.handlers.QueueListener(records, millpond.Handler())
    log.addHandler(logging.handlers.QueueHandler(records))
    listener.start()
    try:
        raise ValueError("bad")
    except ValueError:
        log.exception("failed", extra={"order_id": 1})
    listener.stop()
    assert messages(client) == ["failed"]
    assert client.records[0]["exception"]["type"] == "ValueError"


def test_a_record_from_another_process_that_took_it_is_not_taken_again(client: Recorder, log: logging.Logger) -> None:
    seen: list[logging.LogRecord] = []
    log.addFilter(lambda record: seen.append(record) or True)  # type: ignore[func-returns-value]
    log.info("once")
    log.filters.clear()
    travelled = pickle.loads(pickle.dumps(seen[0]))
    assert type(travelled) is logging.LogRecord
    log.handle(travelled)
    assert messages(client) == ["once"]


def test_the_mark_is_no_attribute_that_a_formatter_would_print(log: logging.Logger) -> None:
    seen: list[logging.LogRecord] = []
    log.handlers[0].addFilter(seen.append)  # type: ignore[arg-type]
    log.handlers[0].handle = log.handlers[0].filter  # type: ignore[assignment, method-assign]
    log.info("m")
    (record,) = seen
    assert set(vars(record)) == set(vars(logging.makeLogRecord({})))
    assert isinstance(record, logging.LogRecord)
    twin = copy.copy(record)
    assert vars(twin) == vars(record)
    assert _capture.is_taken(twin)


def test_a_record_class_of_the_application_is_kept(client: Recorder, log: logging.Logger) -> None:
    class Braces(logging.LogRecord):
        def getMessage(self) -> str:  # noqa: N802
            return str(self.msg).format(*self.args) if isinstance(self.args, tuple) else self.msg

    log.addHandler(millpond.Handler())
    logging.setLogRecordFactory(Braces)
    try:
        log.info("{} of {}", 1, 2)
    finally:
        logging.setLogRecordFactory(logging.LogRecord)
    assert messages(client) == ["1 of 2"]


def test_other_patchers_before_and_after_are_kept(client: Recorder, log: logging.Logger) -> None:
    heard: list[str] = []

    def patch(name: str) -> Any:
        below = logging.Logger.callHandlers

        def patched(self: logging.Logger, record: logging.LogRecord) -> None:
            heard.append(name)
            below(self, record)

        logging.Logger.callHandlers = patched  # type: ignore[method-assign]
        return below

    inner = logging.Logger.callHandlers
    patch("after")
    log.info("one")
    _capture.capture()
    log.info("two")
    _capture.release()
    log.info("three")
    _capture.capture()
    log.info("four")
    _capture.release()
    assert heard == ["after"] * 4
    assert messages(client) == ["one", "two", "four"]
    # As the other one would end it.
    logging.Logger.callHandlers = inner  # type: ignore[method-assign]


def test_a_patcher_that_ends_by_restoring_what_was_before_us_is_survived(client: Recorder, log: logging.Logger) -> None:
    logging.Logger.callHandlers = ORIGINAL  # type: ignore[method-assign]
    log.info("lost to us")
    _capture.capture()
    log.info("heard again")
    assert messages(client) == ["heard again"]


class _Upward(logging.Logger):
    def callHandlers(self, record: logging.LogRecord) -> None:  # noqa: N802
        if record.msg != "held back":
            super().callHandlers(record)


class _Alone(logging.Logger):
    def callHandlers(self, record: logging.LogRecord) -> None:  # noqa: N802
        for handler in self.handlers:
            handler.handle(record)


def test_logger_classes_with_a_call_handlers_of_their_own(client: Recorder) -> None:
    _capture.capture()
    upward, alone = _Upward("upward"), _Alone("alone")
    upward.info("up")
    upward.info("held back")
    alone.info("alone")
    assert messages(client) == ["up", "alone"]
    _capture.release()
    alone.info("released")
    assert messages(client) == ["up", "alone"]


def test_what_breaks_here_does_not_reach_the_application(
    client: Recorder, log: logging.Logger, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    heard: list[logging.LogRecord] = []
    log.handlers[0].handle = heard.append  # type: ignore[assignment, method-assign]
    broken = {"msg": "m", "levelno": 20, "created": "never"}
    log.handle(logging.makeLogRecord(broken))
    assert "Logging error" in capsys.readouterr().err
    monkeypatch.setattr(logging, "raiseExceptions", False)
    log.handle(logging.makeLogRecord(broken))
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(logging, "raiseExceptions", True)
    with monkeypatch.context() as without:
        without.setattr(sys, "stderr", None)
        log.handle(logging.makeLogRecord(broken))
    assert len(heard) == 3


def test_a_value_that_logs_while_it_is_shown_ends(client: Recorder, log: logging.Logger) -> None:
    class Chatty:
        def __str__(self) -> str:
            log.info("asked: %s", self)
            return "chatty"

        __repr__ = __str__

    log.info("it is %s", Chatty())
    assert "it is chatty" in messages(client)


def test_many_threads_and_captures_at_once(client: Recorder, log: logging.Logger) -> None:
    def work(number: int) -> None:
        for step in range(50):
            _capture.capture()
            log.info("%d/%d", number, step)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(messages(client)) == sorted(f"{number}/{step}" for number in range(8) for step in range(50))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork there")
def test_a_child_goes_on_capturing(program: Program) -> None:
    program.run(
        """
        import logging, millpond, os
        from millpond import _capture
        millpond.init()
        _capture.capture()
        logging.warning("parent")
        child = os.fork()
        if child == 0:
            logging.warning("child")
            millpond.flush(5)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        """
    )
    assert sorted(record["message"] for record in program.server.wait_for(2)) == ["child", "parent"]


def test_sentry_and_this_hear_everything_in_either_order(program: Program) -> None:
    pytest.importorskip("sentry_sdk")
    code = """
        import logging, millpond, sentry_sdk
        from millpond import _capture
        crumbs = []
        def start_sentry():
            sentry_sdk.init(dsn=None, before_breadcrumb=lambda crumb, hint: crumbs.append(crumb["message"]))
        millpond.init()
        STEPS
        logging.getLogger("x").warning("both")
        logging.getLogger("x").error("of them")
        assert crumbs == ["both", "of them"], crumbs
    """
    program.run(code.replace("STEPS", "start_sentry(); _capture.capture()"))
    program.run(code.replace("STEPS", "_capture.capture(); start_sentry()"))
    assert [record["message"] for record in program.server.wait_for(4)] == ["both", "of them"] * 2

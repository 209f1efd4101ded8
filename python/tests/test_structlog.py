"""structlog's events, through its chain and without one."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import structlog

import millpond
import millpond.structlog
from conftest import Program
from millpond import _capture
from millpond._event import time_of
from recorder import Recorder


@pytest.fixture(autouse=True)
def _configuration() -> Iterator[None]:
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def log(client: Recorder) -> Any:
    millpond.structlog.configure()
    return structlog.get_logger("shop.orders")


def logged(server: Recorder) -> list[dict[str, Any]]:
    assert millpond.flush(5)
    return list(server.records)


def chain(*processors: Any, wrapper_class: Any = structlog.BoundLogger) -> list[str]:
    """Configures a chain that ends with a renderer; the lines that it writes."""
    written: list[str] = []

    class Lines:
        def __getattr__(self, _name: str) -> Any:
            return written.append

    structlog.configure(
        processors=[*processors, millpond.structlog.Processor(), structlog.processors.JSONRenderer(default=repr)],
        wrapper_class=wrapper_class,
        logger_factory=lambda *_: Lines(),
        cache_logger_on_first_use=False,
    )
    return written


def test_the_processor_sends_and_the_renderer_renders_as_before(client: Recorder) -> None:
    written = chain(structlog.stdlib.add_log_level)
    structlog.get_logger(order_id=1).warning("took long", duration_ms=512)
    (record,) = logged(client)
    assert (record["level"], record["message"]) == ("warn", "took long")
    assert record["fields"] == {"order_id": 1, "duration_ms": 512}
    assert json.loads(written[0]) == {"order_id": 1, "duration_ms": 512, "event": "took long", "level": "warning"}


def test_the_processor_changes_nothing_and_passes_on_the_same_dictionary(client: Recorder) -> None:
    event = {"event": "m", "level": "info", "logger": "n", "exc_info": True, "timestamp": 1e9, "positional_args": (1,)}
    before = dict(event)
    assert millpond.structlog.Processor()(None, "info", event) is event
    assert event == before


def test_the_processor_survives_what_is_no_mapping(client: Recorder) -> None:
    assert millpond.structlog.Processor()(None, "info", "rendered already") == "rendered already"  # type: ignore[arg-type,comparison-overlap]


def test_every_method_is_a_level(client: Recorder) -> None:
    chain()
    log = structlog.get_logger()
    names = ("trace", "debug", "info", "msg", "notice", "warn", "warning", "error", "exception", "critical", "fatal")
    for name in names:
        getattr(log, name)(name)
    log.audit("custom")
    records = logged(client)
    assert [record["level"] for record in records] == [
        "trace", "debug", "info", "info", "info", "warn", "warn", "error", "error", "critical", "critical", "info",
    ]  # fmt: skip
    assert [record.get("fields") for record in records] == [None] * 11 + [{"level_name": "audit"}]


def test_a_level_that_differs_from_the_method_stays_a_field(client: Recorder) -> None:
    chain()
    structlog.get_logger().info("m", level="gold")
    structlog.get_logger().msg("m", level="error")
    first, second = logged(client)
    assert (first["level"], first["fields"]) == ("info", {"level": "gold"})
    assert (second["level"], second.get("fields")) == ("error", None)


def test_exceptions_are_structure_and_their_text_a_field(client: Recorder) -> None:
    chain()
    log = structlog.get_logger()
    try:
        raise ValueError("bad")
    except ValueError as error:
        log.error("true", exc_info=True)
        log.error("object", exc_info=error)
        log.error("triple", exc_info=sys.exc_info())
        chain(structlog.processors.format_exc_info)
        log.error("text", exc_info=True)
    log.error("none", exc_info=False)
    records = logged(client)
    assert [record.get("exception", {}).get("message") for record in records] == ["bad", "bad", "bad", None, None]
    assert records[0]["exception"]["stacktrace"][0]["file"] == __file__
    assert records[3]["fields"]["exc_text"].endswith("ValueError: bad")
    assert "fields" not in records[4]


def test_the_stack_ends_where_the_application_logged(client: Recorder) -> None:
    chain()
    structlog.get_logger().info("m", stack_info=True)
    (record,) = logged(client)
    stack = record["fields"]["stack_info"]
    assert stack.startswith("Stack (most recent call last):")
    assert 'structlog.get_logger().info("m", stack_info=True)' in stack.splitlines()[-2] + stack.splitlines()[-1]


@pytest.mark.parametrize(
    ("stamp", "nanoseconds"),
    [
        (datetime(2024, 1, 2, 3, 4, 5, 678901, tzinfo=timezone.utc), 1704164645678901000),
        (datetime(2024, 1, 2, 4, 4, 5, tzinfo=timezone(timedelta(hours=1))), 1704164645000000000),
        ("2024-01-02T03:04:05.678901Z", 1704164645678901000),
        ("2024-01-02T04:04:05+01:00", 1704164645000000000),
        (1704164645.5, 1704164645500000000),
        (datetime(2024, 1, 2), None),
        ("2024-01-02T03:04:05", None),
        ("noon", None),
        (12.5, None),
        (float("nan"), None),
        (1704164645, None),
        (datetime(9999, 1, 1, tzinfo=timezone.utc), None),
        (None, None),
    ],
)
def test_a_timestamp_without_doubt_is_the_time(stamp: object, nanoseconds: int | None) -> None:
    assert time_of(stamp) == nanoseconds


def test_other_timestamps_stay_fields(client: Recorder) -> None:
    chain()
    log = structlog.get_logger()
    log.info("m", timestamp="2024-01-02T03:04:05Z")
    log.info("m", timestamp="noon")
    first, second = logged(client)
    assert (first["time"], first.get("fields")) == (1704164645000000000, None)
    assert second["fields"] == {"timestamp": "noon"}
    assert abs(second["time"] - time.time_ns()) < 60e9


def test_the_name_of_the_logger(client: Recorder, log: Any) -> None:
    log.info("m")
    log.info("m", logger="from the key")
    log.info("m", logger=5)
    structlog.get_logger().info("m")
    records = logged(client)
    assert [record.get("logger") for record in records] == ["shop.orders", "from the key", "shop.orders", None]
    assert records[2]["fields"] == {"logger": 5}


def test_without_a_renderer_everything_arrives(client: Recorder, log: Any) -> None:
    structlog.contextvars.bind_contextvars(request_id="r-1", where="context")
    with millpond.context(tenant="t"):
        log.bind(order_id=1, where="bound").new(order_id=2).bind(a=1).unbind("a").info("%s of %d", "one", 2, ok=True)
    log.info("%(a)s", {"a": 1})
    log.info("%d", "no number")
    log.info({"not": "text"})
    log.info(None)
    log.info(event="by name", self=1, method=2)
    records = logged(client)
    assert [record["message"] for record in records] == [
        "one of 2", "1", "%d", "{'not': 'text'}", "", "by name",
    ]  # fmt: skip
    assert records[0]["request_id"] == "r-1"
    assert records[0]["fields"] == {"order_id": 2, "ok": True, "where": "context", "tenant": "t"}
    assert records[2]["fields"]["args"] == ["no number"]
    assert records[5]["fields"] == {"self": 1, "method": 2, "where": "context"}


def test_without_a_renderer_every_level_has_its_method_in_both_kinds(client: Recorder, log: Any) -> None:
    names = ("trace", "debug", "info", "msg", "notice", "warn", "warning", "error", "exception", "critical", "fatal")
    threads = set()

    class Value:
        def __repr__(self) -> str:
            threads.add(threading.current_thread())
            return "value"

    async def asynchronously() -> None:
        for name in names:
            await getattr(log, f"a{name}")(name, value=Value())
        await log.alog(40, "log")

    for name in names:
        getattr(log, name)(name, value=Value())
    log.log(40, "log")
    asyncio.run(asynchronously())
    levels = [record["level"] for record in logged(client)]
    assert levels == 2 * [
        "trace", "debug", "info", "info", "info", "warn", "warn", "error", "error", "critical", "critical", "error",
    ]  # fmt: skip
    assert threads == {threading.main_thread()}


def test_log_takes_names_and_numbers(client: Recorder, log: Any) -> None:
    for level in ("warning", "Notice", 10, 25, "audit"):
        log.log(level, "m")
    records = logged(client)
    assert [record["level"] for record in records] == ["warn", "info", "debug", "info", "info"]
    assert [record.get("fields", {}).get("level_name") for record in records] == [None, None, None, "25", "audit"]


def test_exception_takes_the_one_that_is_handled(client: Recorder, log: Any) -> None:
    async def work() -> None:
        try:
            raise ValueError("bad")
        except ValueError:
            log.exception("one")
            await log.aexception("two")
            await log.aerror("three", exc_info=True)

    asyncio.run(work())
    assert [record["exception"]["message"] for record in logged(client)] == ["bad"] * 3


def test_levels_below_the_least_do_nothing(client: Recorder) -> None:
    millpond.structlog.configure(min_level="warning")
    log = structlog.get_logger()
    for name in ("trace", "debug", "info", "msg", "notice", "warning", "error", "fatal"):
        getattr(log, name)(name)
    log.log("info", "log")
    log.bind(a=1).info("bound")
    asyncio.run(log.ainfo("ainfo"))
    assert [record["message"] for record in logged(client)] == ["warning", "error", "fatal"]
    assert [log.is_enabled_for(number) for number in (10, 20, 30, 40)] == [False, False, True, True]
    with pytest.raises(ValueError, match="min_level is 'loud'"):
        millpond.structlog.configure(min_level="loud")


def test_processors_come_first_and_may_drop(client: Recorder) -> None:
    def add(_logger: Any, name: str, event: Any) -> Any:
        if event.get("drop"):
            raise structlog.DropEvent
        return {**event, "method": name}

    millpond.structlog.configure(processors=[add, structlog.stdlib.add_log_level])
    log = structlog.get_logger()
    log.info("kept")
    log.info("dropped", drop=True)
    with structlog.testing.capture_logs() as captured:
        structlog.get_logger().warning("for the test")
    assert captured == [{"event": "for the test", "log_level": "warning"}]
    (record,) = logged(client)
    assert (record["message"], record["fields"]) == ("kept", {"method": "info"})


def test_the_factory_ends_a_chain_of_structlogs_own_loggers(client: Recorder) -> None:
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, structlog.stdlib.add_log_level],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=millpond.structlog.LoggerFactory(),
    )
    log = structlog.get_logger("named")
    log.debug("below")
    log.info("taken %d", 1, order_id=1)
    asyncio.run(log.ainfo("asynchronous"))
    structlog.configure(processors=[structlog.processors.KeyValueRenderer()])
    structlog.get_logger("named").info("rendered")
    records = logged(client)
    assert [record["message"] for record in records] == ["taken 1", "asynchronous", "event='rendered'"]
    assert (records[0]["logger"], records[0]["fields"]) == ("named", {"order_id": 1})


def test_a_client_of_its_own(client: Recorder) -> None:
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
    millpond.structlog.configure(client=other)
    structlog.get_logger().info("one")
    millpond.structlog.Processor(client=other)(None, "info", {"event": "two"})
    assert other.messages == ["one", "two"]
    assert logged(client) == []


def test_events_on_their_way_through_the_stdlib_are_structured(client: Recorder) -> None:
    stdlib = logging.getLogger("through.stdlib")
    stdlib.setLevel(logging.INFO)
    stdlib.propagate = False
    stdlib.addHandler(logging.NullHandler())
    _capture.capture()
    structlog.configure(
        processors=[structlog.stdlib.add_log_level, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    try:
        try:
            raise ValueError("bad")
        except ValueError:
            structlog.get_logger("through.stdlib").exception("failed", order_id=1)
        structlog.configure(processors=[structlog.stdlib.render_to_log_kwargs])
        structlog.get_logger("through.stdlib").info("keywords", order_id=2)
    finally:
        _capture.release()
        stdlib.handlers.clear()
    first, second = logged(client)
    assert (first["level"], first["message"], first["logger"]) == ("error", "failed", "through.stdlib")
    assert first["exception"]["type"] == "ValueError"
    assert first["fields"].keys() == {"order_id", "file", "line", "function", "thread", "process"}
    assert (second["message"], second["fields"]["order_id"]) == ("keywords", 2)


def test_the_package_does_not_import_structlog(program: Program) -> None:
    program.run(
        """
        import sys, millpond
        assert "structlog" not in sys.modules and "loguru" not in sys.modules
        import millpond.structlog, millpond.loguru
        """
    )

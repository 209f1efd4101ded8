"""loguru's records."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import loguru
import pytest

import millpond
import millpond.loguru
from conftest import Program
from recorder import Recorder


class Unpicklable(Exception):
    def __reduce__(self) -> Any:
        raise TypeError("no")


@pytest.fixture
def log(client: Recorder) -> Iterator[Any]:
    logger = loguru.logger
    logger.remove()
    logger.add(millpond.loguru.sink, format="{message}", level=0, catch=False)
    yield logger
    logger.configure(handlers=[], extra={}, patcher=lambda _record: None)


def logged(server: Recorder) -> list[dict[str, Any]]:
    assert millpond.flush(5)
    return list(server.records)


def test_a_record_arrives_with_all_it_knows(client: Recorder, log: Any) -> None:
    log.warning("took {} ms for {order_id}", 512, order_id=4711)
    (record,) = logged(client)
    assert (record["level"], record["message"], record["logger"]) == ("warn", "took 512 ms for 4711", __name__)
    fields = record["fields"]
    assert fields.pop("line") > 0
    assert fields.pop("process") > 0
    assert fields == {
        "order_id": 4711,
        "file": __file__,
        "function": "test_a_record_arrives_with_all_it_knows",
        "thread": "MainThread",
    }
    assert abs(record["time"] - time.time_ns()) < 60e9


def test_what_is_bound_or_patched_becomes_fields(client: Recorder, log: Any) -> None:
    log.configure(extra={"everywhere": 1}, patcher=lambda record: record["extra"].update(patched=2))
    with log.contextualize(request_id="r-1"):
        log.bind(bound=3).opt(record=True).info("line {record[line]}", call=4)
    (record,) = logged(client)
    assert record["request_id"] == "r-1"
    assert record["message"] == f"line {record['fields']['line']}"
    assert {name: record["fields"][name] for name in ("everywhere", "patched", "bound", "call")} == {
        "everywhere": 1, "patched": 2, "bound": 3, "call": 4,
    }  # fmt: skip


def test_every_level_and_those_of_the_application(client: Recorder, log: Any) -> None:
    try:
        log.level("NOTICE")
    except ValueError:
        log.level("NOTICE", no=27)
    for name in ("TRACE", "DEBUG", "INFO", "SUCCESS", "NOTICE", "WARNING", "ERROR", "CRITICAL", 33):
        log.log(name, "m")
    records = logged(client)
    assert [record["level"] for record in records] == [
        "trace", "debug", "info", "info", "info", "warn", "error", "critical", "warn",
    ]  # fmt: skip
    names = [record["fields"].get("level_name") for record in records]
    assert names == [None, None, None, "SUCCESS", "NOTICE", None, None, None, "Level 33"]


def test_exceptions_are_structured(client: Recorder, log: Any) -> None:
    try:
        raise ValueError("bad") from KeyError("why")
    except ValueError as error:
        log.exception("one")
        log.opt(exception=error).info("two")
    log.opt(exception=True).info("three")

    @log.catch
    def fails() -> None:
        raise RuntimeError("caught")

    fails()
    records = logged(client)
    exceptions = [record.get("exception") for record in records]
    assert [exception and exception["message"] for exception in exceptions] == ["bad", "bad", None, "caught"]
    assert exceptions[0]["cause"]["type"] == "KeyError"
    assert exceptions[0]["stacktrace"][0]["file"] == __file__
    assert records[0]["message"] == "one"


def test_the_time_is_exact_to_the_microsecond(client: Recorder, log: Any) -> None:
    def late(record: Any) -> None:
        record["time"] = datetime(2024, 1, 2, 3, 4, 5, 678901, tzinfo=timezone.utc)

    log.patch(late).info("m")
    (record,) = logged(client)
    assert record["time"] == 1704164645678901000


def test_colors_and_serialize_change_nothing(client: Recorder, log: Any) -> None:
    log.remove()
    log.add(millpond.loguru.sink, format="<green>{time} {message}</green>", serialize=True, colorize=True)
    log.opt(colors=True).info("<red>plain</red>")
    (record,) = logged(client)
    assert record["message"] == "plain"


def test_through_loguru_s_queue(client: Recorder, log: Any) -> None:
    log.remove()
    log.add(millpond.loguru.sink, format="{message}", enqueue=True, catch=False)
    for error in (ValueError("bad"), Unpicklable("lost")):
        try:
            raise error
        except Exception:
            log.exception("failed", order_id=1)
    log.complete()
    first, second = logged(client)
    assert (first["message"], first["fields"]["order_id"]) == ("failed", 1)
    assert (first["exception"]["type"], first["exception"]["message"]) == ("ValueError", "bad")
    assert second["fields"]["exc_text"] == "Unpicklable"


def test_a_client_of_its_own(client: Recorder, log: Any) -> None:
    class Other:
        def __init__(self) -> None:
            self.said: list[Any] = []

        @property
        def sink(self) -> Any:
            return self

        def log(self, *record: Any) -> None:
            self.said.append(record[1])

        def flush(self, _timeout_s: float) -> bool:
            self.said.append("flushed")
            return True

    other = Other()
    number = log.add(millpond.loguru.Sink(client=other), format="{message}", level="ERROR")
    log.info("below")
    log.error("above")
    log.remove(number)
    assert other.said == ["above", "flushed"]
    assert [record["message"] for record in logged(client)] == ["below", "above"]


@pytest.mark.parametrize("order", ["from loguru import logger; import millpond", "import millpond"])
def test_what_the_queue_holds_at_the_end_of_the_program_arrives(program: Program, order: str) -> None:
    program.run(
        f"""
        {order}
        import millpond.loguru
        millpond.init(batch_age_s=60)
        from loguru import logger
        logger.remove()
        logger.add(millpond.loguru.sink, format="{{message}}", enqueue=True)
        for number in range(500):
            logger.info("m {{}}", number)
        """
    )
    assert [record["message"] for record in program.server.wait_for(500)] == [f"m {number}" for number in range(500)]

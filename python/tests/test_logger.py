"""Loggers, levels, bound attributes, context, settings."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from typing import Any

import pytest

import millpond
from recorder import Recorder


def logged(server: Recorder) -> list[dict[str, Any]]:
    assert millpond.flush(5)
    return list(server.records)


def test_every_level_has_its_method_and_the_aliases_too(client: Recorder) -> None:
    log = millpond.get_logger("levels")
    for name in ("trace", "debug", "info", "warn", "warning", "error", "critical", "fatal", "exception"):
        getattr(log, name)(name)
    assert [record["level"] for record in logged(client)] == [
        "trace", "debug", "info", "warn", "warn", "error", "critical", "critical", "error",
    ]  # fmt: skip


def test_log_takes_names_synonyms_and_stdlib_numbers(client: Recorder) -> None:
    log = millpond.get_logger("levels")
    levels: list[Any] = ["INFO", "Warning", "fatal", 10, 25, 50, 5, "loud", None, 3.5, -1, 10**30]
    for level in levels:
        log.log(level, "m")
    assert [record["level"] for record in logged(client)] == [
        "info", "warn", "critical", "debug", "info", "critical", "trace", "info", "info", "info", "trace", "critical",
    ]  # fmt: skip


def test_a_record_says_where_it_comes_from(client: Recorder) -> None:
    millpond.init(
        service="shop", endpoint=client.url, api_key="k", environment="test", version="1.2", host="h", batch_age_s=0.05
    )
    millpond.get_logger("orders").info("placed", order_id=4711)
    (record,) = logged(client)
    # Nanoseconds since the epoch.
    assert abs(record.pop("time") - time.time_ns()) < 60e9
    assert record == {
        "level": "info",
        "service": "shop",
        "message": "placed",
        "environment": "test",
        "version": "1.2",
        "host": "h",
        "logger": "orders",
        "fields": {"order_id": 4711},
    }
    assert client.headers[0]["x-api-key"] == "k" or client.headers[0]["authorization"] == "Bearer k"


def test_keywords_named_like_an_attribute_go_there(client: Recorder) -> None:
    names = ("trace_id", "span_id", "request_id", "user_id", "session_id", "flow_id", "environment", "version", "host")
    millpond.get_logger("x").info("m", **{name: f"my {name}" for name in names}, other=1)
    millpond.get_logger("x").info(
        "m", user_id=5, trace_id=None, session_id={"a": 1}, request_id="x" * 5000, flow_id=True
    )
    first, second = logged(client)
    assert {name: first[name] for name in names} == {name: f"my {name}" for name in names}
    assert first["fields"] == {"other": 1}
    assert second["user_id"] == "5"
    assert "trace_id" not in second
    assert second["flow_id"] == "true"
    # What fits no attribute is kept as a field.
    assert second["fields"] == {"session_id": {"a": 1}, "request_id": "x" * 5000}


def test_fields_named_like_what_a_record_consists_of_are_only_fields(client: Recorder) -> None:
    fields: dict[str, Any] = {
        "level": "x", "message": "y", "time": 1, "service": "z", "logger": 2, "fields": 3, "self": 4, "args": 5,
        "tags": 6, "exception": 7, "name": 8, "severity": 9,
    }  # fmt: skip
    millpond.get_logger("x").info("m", **fields)
    (record,) = logged(client)
    assert record["message"] == "m"
    assert record["service"] == "tests"
    assert record["fields"] == fields


def test_positional_arguments_are_put_into_the_message(client: Recorder) -> None:
    log = millpond.get_logger("x")
    log.info("%s of %d", "one", 2)
    log.info("%(a)s", {"a": 1})
    log.info("100%")
    log.info("%d", "no number")
    log.info("no place", 1, 2)
    records = logged(client)
    assert [record["message"] for record in records] == ["one of 2", "1", "100%", "%d", "no place"]
    assert records[3]["fields"] == {"args": ["no number"]}
    assert records[4]["fields"] == {"args": [1, 2]}


def test_bind_and_unbind_return_other_loggers(client: Recorder) -> None:
    log = millpond.get_logger("x")
    bound = log.bind(a=1, user_id="u")
    again = bound.bind(a=2, b=3)
    log.info("m")
    bound.info("m")
    again.info("m", b=4)
    again.unbind("a", "user_id", "never").info("m")
    records = logged(client)
    assert [record.get("fields") for record in records] == [None, {"a": 1}, {"b": 4, "a": 2}, {"b": 3}]
    assert [record.get("user_id") for record in records] == [None, "u", "u", None]
    assert again.bound() == {"a": 2, "user_id": "u", "b": 3}
    assert repr(bound) == "<millpond.Logger 'x' with a, user_id>"
    with pytest.raises(AttributeError):
        bound.other = 1  # type: ignore[attr-defined]
    assert millpond.get_logger("x", a=1).bound() == {"a": 1}


def test_a_logger_that_is_bound_to_its_owner_is_collected() -> None:
    class Owner:
        def __init__(self) -> None:
            self.log = millpond.get_logger("x").bind(owner=self)

    owner = weakref.ref(Owner())
    gc.collect()
    assert owner() is None


def test_context_is_on_every_record_inside_and_the_nearest_word_counts(client: Recorder) -> None:
    log = millpond.get_logger("x").bind(where="bound")
    with millpond.context(trace_id="t", region="eu", where="context"):
        log.info("m")
        with millpond.context(region="us", trace_id=None):
            log.info("m", where="call")
        log.info("m")
    log.info("m")
    records = logged(client)
    assert [record.get("trace_id") for record in records] == ["t", None, "t", None]
    assert [record["fields"] for record in records] == [
        {"where": "bound", "region": "eu"},
        {"where": "call", "region": "us"},
        {"where": "bound", "region": "eu"},
        {"where": "bound"},
    ]
    assert millpond.current_context() == {}


def test_context_belongs_to_its_task_and_its_thread(client: Recorder) -> None:
    log = millpond.get_logger("x")

    async def task(number: int) -> None:
        with millpond.context(task=number):
            await asyncio.sleep(0.01)
            log.info("m", expected=number)

    async def main() -> None:
        await asyncio.gather(*(task(number) for number in range(20)))

    asyncio.run(main())
    with millpond.context(task="outer"):
        thread = threading.Thread(target=lambda: log.info("thread"))
        thread.start()
        thread.join()
    records = logged(client)
    assert all(record["fields"]["task"] == record["fields"]["expected"] for record in records[:20])
    assert "fields" not in records[20] or "task" not in records[20]["fields"]


def test_traces_are_read_and_passed_on(client: Recorder) -> None:
    header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    parsed = millpond.parse_traceparent(header)
    assert parsed == millpond.TraceContext("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", True)
    assert parsed is not None
    assert parsed.traceparent() == header
    assert millpond.outgoing_headers() == {}
    with millpond.continue_trace({"Traceparent": header, "X-Request-ID": "r-1"}, user_id="u") as trace:
        millpond.get_logger("x").info("m")
        headers = millpond.outgoing_headers()
    assert trace.trace_id == parsed.trace_id
    assert trace.span_id != parsed.span_id
    assert headers == {"traceparent": trace.traceparent(), "x-request-id": "r-1"}
    (record,) = logged(client)
    assert record["trace_id"] == parsed.trace_id
    assert (record["span_id"], record["request_id"], record["user_id"]) == (trace.span_id, "r-1", "u")
    with millpond.continue_trace() as trace:
        assert len(trace.trace_id) == 32
    with millpond.context(trace_id="no such id", request_id="a\r\nb"):
        assert millpond.outgoing_headers() == {}


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "x",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
    ],
)
def test_what_is_no_traceparent_is_none(header: str | None) -> None:
    assert millpond.parse_traceparent(header) is None


def test_records_below_the_least_level_cost_nothing_and_are_not_counted(client: Recorder) -> None:
    millpond.init(service="tests", endpoint=client.url, min_level="warning")
    log = millpond.get_logger("x")

    class Never:
        def __str__(self) -> str:
            raise AssertionError("asked")

    log.info("m", v=Never())
    log.warning("m")
    assert len(logged(client)) == 1
    assert millpond.metrics()["accepted"] == 1
    assert not log.is_enabled_for("info")
    assert log.is_enabled_for(30)


def test_metrics_account_for_every_record(client: Recorder) -> None:
    log = millpond.get_logger("x")
    for _ in range(10):
        log.info("m")
    logged(client)
    metrics = millpond.metrics()
    assert (metrics["accepted"], metrics["delivered"], metrics["queued"]) == (10, 10, 0)
    assert sum(metrics["dropped"].values()) == 0
    millpond.close()
    log.info("too late")
    assert millpond.metrics()["dropped"]["closed"] == 1


def test_a_second_init_does_no_harm(client: Recorder) -> None:
    log = millpond.get_logger("x")
    log.info("one")
    millpond.init(service="tests", endpoint=client.url, api_key="k", batch_age_s=0.05)
    assert millpond.metrics()["accepted"] == 1
    log.info("two")
    millpond.init(service="other", endpoint=client.url, api_key="k")
    log.info("three")
    millpond.close()
    millpond.init(service="again", endpoint=client.url, api_key="k")
    log.info("four")
    millpond.flush()
    records = client.wait_for(4)
    assert [record["service"] for record in records] == ["tests", "tests", "other", "again"]

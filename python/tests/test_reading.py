"""Reading: what is asked for arrives at the server as it was meant, and what comes back is what was sent."""

from __future__ import annotations

import json
import logging
import os
import pickle
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

import millpond
from log_server import PATIENCE_S, LogServer
from millpond._log import Bucket, Count, Log, Page, Rejected
from millpond._read_errors import (
    AccessError,
    MalformedAnswerError,
    QueryError,
    ReadError,
    ReadTimeoutError,
    RefusedError,
    UnreachableError,
)

PAGE = Path(__file__).parents[2] / "docs/python/reading.md"
FILES = {
    block.split("\n", 1)[0][2:]: block
    for block in re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
}


@pytest.fixture
def reading(logs: LogServer) -> millpond.Client:
    return millpond.Client(endpoint=logs.url, api_key="mp_secret")


def least(**record: Any) -> Log:
    return Log({"id": "1", "time": "2026-01-31T12:00:00Z", "level": "info", **record})


# What is asked for


def test_a_query_asks_for_what_it_describes_with_the_key_of_the_client(
    logs: LogServer, reading: millpond.Client
) -> None:
    reading.query(
        '"a+b" & c:ü #1%',
        level=logging.WARNING,
        service="api",
        trace_id="4bf9",
        from_=datetime(2026, 1, 31, 13, 0, 0, 5, tzinfo=timezone(timedelta(hours=1))),
        to="2026-02-01T00:00:00.000000001Z",
        limit=2,
        cursor="3",
    )
    request = logs.requests[0]
    assert request.parameters == {
        "q": '"a+b" & c:ü #1%',
        "level": "warn",
        "service": "api",
        "trace_id": "4bf9",
        "from": "2026-01-31T12:00:00.000005000Z",
        "to": "2026-02-01T00:00:00.000000001Z",
        "limit": "2",
        "cursor": "3",
    }
    assert request.headers["x-api-key"] == "mp_secret"


@pytest.fixture
def _far_from_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Asia/Kathmandu")  # UTC+05:45
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_far_from_utc")
@pytest.mark.parametrize(
    ("moment", "asked"),
    [
        (datetime(2026, 1, 31, 12), "2026-01-31T06:15:00.000000000Z"),
        (date(2026, 1, 31), "2026-01-30T18:15:00.000000000Z"),
        ("2026-01-31T12:00:00", "2026-01-31T12:00:00.000000000Z"),
        ("2026-01-31T12:00:00+05:45", "2026-01-31T06:15:00.000000000Z"),
    ],
)
def test_a_naive_time_is_local_and_a_text_is_the_servers(
    logs: LogServer, reading: millpond.Client, moment: Any, asked: str
) -> None:
    reading.query(from_=moment, to=moment)
    assert logs.requests[0].parameters["from"] == logs.requests[0].parameters["to"] == asked


def test_nanoseconds_of_a_pandas_time_are_kept(logs: LogServer, reading: millpond.Client) -> None:
    pandas = pytest.importorskip("pandas")
    reading.query(from_=pandas.Timestamp("2026-01-31T12:00:00.123456789Z"))
    assert logs.requests[0].parameters["from"] == "2026-01-31T12:00:00.123456789Z"
    with pytest.raises(ValueError, match="from_ is NaT, expected a time"):
        reading.query(from_=pandas.NaT)


def test_the_last_hour_begins_an_hour_ago(logs: LogServer, reading: millpond.Client) -> None:
    hour, before = timedelta(hours=1), datetime.now(timezone.utc)
    reading.query(last=hour)
    begin = datetime.fromisoformat(logs.requests[0].parameters["from"][:26] + "+00:00")
    assert before - hour <= begin <= datetime.now(timezone.utc) - hour


@pytest.mark.parametrize(
    ("arguments", "error", "complaint"),
    [
        ({"from_": 1769860800}, TypeError, r"from_ is 1769860800 \(int\), expected a datetime, .*fromtimestamp"),
        ({"to": 1.5}, TypeError, r"to is 1.5 \(float\), expected"),
        ({"to": True}, TypeError, r"to is True \(bool\), expected"),
        ({"from_": "noon"}, ValueError, "from_: `noon` is no time"),
        ({"from_": datetime.min.replace(tzinfo=timezone(timedelta(hours=9)))}, ValueError, "between 1677 and 2262"),
        ({"to": datetime(9999, 1, 1, tzinfo=timezone.utc)}, ValueError, "to: .*out of range"),
        ({"last": 3600}, TypeError, "last is 3600 .*expected a timedelta"),
        ({"last": timedelta(0)}, ValueError, "expected a time above 0"),
        ({"last": timedelta(1), "from_": "2026-01-31"}, ValueError, "both from_ and last"),
        ({"level": "loud"}, ValueError, "unknown level `loud`"),
        ({"level": 2.5}, TypeError, "level is 2.5"),
        ({"timeout_s": float("nan")}, ValueError, "timeout_s is NaN, expected a number of seconds"),
    ],
)
def test_an_argument_that_can_not_be_sent_says_what_was_expected(
    logs: LogServer, reading: millpond.Client, arguments: dict[str, Any], error: type[Exception], complaint: str
) -> None:
    with pytest.raises(error, match=complaint):
        reading.query(**arguments)
    assert logs.requests == []


# What comes back


def test_every_part_of_a_log_comes_back(logs: LogServer, reading: millpond.Client) -> None:
    record: dict[str, Any] = {
        "id": "17",
        "time": "2026-01-31T12:00:00.123456789Z",
        "observed_time": "2026-01-31T12:00:01.000000001Z",
        "level": "info",
        "severity_number": 10,
        "service": "api",
        "message": "order\nplaced",
        "environment": "production",
        "host": "a1",
        "version": "1.4",
        "logger": "orders",
        "trace_id": "4bf9",
        "span_id": "00f0",
        "request_id": "r-1",
        "session_id": "s-1",
        "user_id": "u-1",
        "flow_id": "f-1",
        "step_index": 2,
        "dataset": "default",
        "tags": ["shop", "eu"],
        "exception": {"type": "E", "message": "m"},
        "fields": {"z": 2**64 - 1, "a": -(2**63), "f": 31.245270191439438, "http": {"status": 503}, "time": "x"},
    }
    logs.add(**record)
    (log,) = reading.query()
    assert log.time == datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=timezone.utc)
    assert log.time_ns == 1_769_860_800_123_456_789
    assert log.observed_time == datetime(2026, 1, 31, 12, 0, 1, tzinfo=timezone.utc)
    assert log.observed_time_ns == 1_769_860_801_000_000_001
    assert log.severity == 10
    assert log.tags == ("shop", "eu")
    for name in set(record) - {"time", "observed_time", "severity_number", "tags"}:
        assert getattr(log, name) == record[name], name
    assert log.as_dict() == record
    assert list(log.fields) == ["z", "a", "f", "http", "time"]
    assert type(log.fields["z"]) is int


def test_the_least_log_has_an_id_a_time_and_a_level() -> None:
    log = least(level="error")
    assert (log.severity, log.message, log.service, log.tags, log.fields) == (17, "", "", (), {})
    nothing = (log.observed_time, log.observed_time_ns, log.environment, log.trace_id, log.step_index, log.exception)
    assert nothing == (None,) * 6


def test_a_log_has_what_a_query_finds_under_the_same_name() -> None:
    log = least(service="api", fields={"service": "inner", "status": 5, "http": {"status": 503}, "a.b": 1})
    assert (log["service"], log["fields.service"]) == ("api", "inner")
    assert (log["status"], log["http.status"], log["fields.http.status"], log["a.b"]) == (5, 503, 503, 1)
    assert "http.status" in log and "http.stat" not in log
    assert (log.get("nothing"), log.get("nothing", 7), log.get("status.x")) == (None, 7, None)
    with pytest.raises(KeyError, match=r"http\.nothing"):
        log["http.nothing"]


def test_a_log_can_not_be_changed_and_is_equal_to_itself_only() -> None:
    log = least(fields={"a": [1]})
    with pytest.raises(AttributeError):
        log.message = "other"  # type: ignore[misc]
    log.as_dict()["fields"]["a"].append(2)
    assert log["a"] == [1]
    assert log == pickle.loads(pickle.dumps(log))
    assert len({log, least(fields={"a": [1]}), least(id="2")}) == 2
    assert log != "log"


def test_a_log_prints_as_one_line() -> None:
    log = least(service="a\tb", message="order\nplaced\x1b[31m \u2028 für 5 €")
    assert str(log) == "2026-01-31T12:00:00Z info     a\\tb order\\nplaced\\x1b[31m \\u2028 für 5 €"
    assert repr(log).startswith("<millpond.Log 2026-01-31T12:00:00Z info 'a\\tb' 'order\\nplaced")


def test_a_page_tells_of_the_next_one_and_of_damage(logs: LogServer, reading: millpond.Client) -> None:
    for _ in range(3):
        logs.add()
    page = reading.query(limit=2)
    assert ([log.id for log in page], len(page), page.next_cursor, page.damaged) == (["3", "2"], 2, "2", ())
    logs.damaged = ["a.parquet: torn"]
    last = reading.query(limit=2, cursor=page.next_cursor)
    assert ([log.id for log in last], last.next_cursor, last.damaged) == (["1"], None, ("a.parquet: torn",))


def test_all_pages_of_a_query_are_one_sequence(logs: LogServer, reading: millpond.Client) -> None:
    for _ in range(5):
        logs.add(level="error")
    logs.add(level="info")
    logs.damaged = ["a.parquet: torn"]
    found = reading.logs("q", level="error", page_size=2)
    assert logs.requests == []
    assert [log.id for log in found] == ["5", "4", "3", "2", "1"]
    assert found.damaged == ("a.parquet: torn",)
    assert [request.parameters.get("cursor") for request in logs.requests] == [None, "2", "4"]
    assert next(found, None) is None


def test_no_more_logs_are_fetched_than_are_wanted(logs: LogServer, reading: millpond.Client) -> None:
    for _ in range(9):
        logs.add()
    assert [log.id for log in reading.logs(limit=3, page_size=2)] == ["9", "8", "7"]
    assert [request.parameters["limit"] for request in logs.requests] == ["2", "1"]
    assert list(reading.logs(limit=0)) == []
    with pytest.raises(ValueError, match="page_size is 0, expected a number of logs from 1 to 1000"):
        reading.logs(page_size=0)
    with pytest.raises(ValueError, match="limit is -1"):
        reading.logs(limit=-1)


def test_a_sequence_goes_on_after_an_error_that_passes(logs: LogServer, reading: millpond.Client) -> None:
    for _ in range(2):
        logs.add()
    found = reading.logs(page_size=1)
    assert next(found).id == "2"
    logs.refuse(503, "overloaded", "later")
    with pytest.raises(RefusedError):
        next(found)
    assert [log.id for log in found] == ["1"]


def test_pages_that_go_round_in_a_circle_are_an_error(logs: LogServer, reading: millpond.Client) -> None:
    for _ in range(2):
        logs.failures.append((200, b'{"logs":[],"next_cursor":"7"}'))
    with pytest.raises(MalformedAnswerError, match="the same page"):
        list(reading.logs())


def test_the_logs_of_a_trace_are_a_page_oldest_first(logs: LogServer, reading: millpond.Client) -> None:
    for trace_id in ("a/b", "c", "a/b"):
        logs.add(trace_id=trace_id)
    assert [log.id for log in reading.by_trace_id("a/b")] == ["1", "3"]


def test_logs_are_counted(logs: LogServer, reading: millpond.Client) -> None:
    logs.statistics = {
        "interval": "5m",
        "total": 3,
        "timeseries": [
            {"bucket": "2026-01-31T12:00:00.000000000Z", "total": 3, "by_level": {"info": 2, "error": 1}},
            {"bucket": "2026-01-31T12:05:00.000000000Z", "total": 0, "by_level": {}},
        ],
        "top_services": [{"service": "api", "count": 3}],
        "top_errors": [{"message": "m", "count": 1}],
        "damaged": ["x"],
    }
    counted = reading.aggregated("q", level="error", service="api", to=datetime.max.date().replace(2200), interval="5m")
    noon = datetime(2026, 1, 31, 12, tzinfo=timezone.utc)
    assert counted.timeseries == (
        Bucket(noon, 3, {"info": 2, "error": 1}),
        Bucket(noon + timedelta(minutes=5), 0, {}),
    )
    assert (counted.top_services, counted.top_errors) == ((Count("api", 3),), (Count("m", 1),))
    assert (counted.interval, counted.total, counted.damaged) == ("5m", 3, ("x",))
    asked = logs.requests[0].parameters
    assert (asked["q"], asked["level"], asked["service"], asked["interval"]) == ("q", "error", "api", "5m")


def test_a_raw_body_is_handed_over(logs: LogServer, reading: millpond.Client) -> None:
    logs.receipt = {"accepted": 2, "rejected": [{"index": 1, "line": 3, "reason": "r"}], "rejected_count": 1}
    receipt = reading.ingest_raw(
        "csv",
        "message\nfür\ud800",
        level="debug",
        service="s",
        environment="e",
        dataset="d",
        user_id="u",
        session_id="se",
        request_id="r",
        flow_id="f",
        tags=("a", "b"),
        retry_for_s=0,
    )
    assert receipt.rejected == (Rejected(1, 3, "r"),)
    assert (receipt.accepted, receipt.rejected_count, receipt.duplicate) == (2, 1, False)
    request = logs.requests[0]
    assert request.body == "message\nfür?".encode()
    assert request.parameters == {
        "format": "csv",
        "level": "debug",
        "service": "s",
        "environment": "e",
        "dataset": "d",
        "user_id": "u",
        "session_id": "se",
        "request_id": "r",
        "flow_id": "f",
        "tags": "a,b",
    }


def test_a_raw_body_is_sent_again_under_the_same_key(logs: LogServer, reading: millpond.Client) -> None:
    logs.refuse(503, "closing", "later")
    assert reading.ingest_raw("text", bytearray(b"hello")).accepted == 1
    first, second = (request.headers["idempotency-key"] for request in logs.requests)
    assert first == second
    with pytest.raises(ValueError, match="unknown format `xml`, expected json, jsonl"):
        reading.ingest_raw("xml", b"")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="body is of type list, expected str or bytes"):
        reading.ingest_raw("json", [])  # type: ignore[arg-type]


# Errors


@pytest.mark.parametrize(
    ("status", "code", "kind", "is_passing"),
    [
        (400, "invalid_query", QueryError, False),
        (401, "invalid_key", AccessError, False),
        (403, "missing_scope", AccessError, False),
        (404, "not_found", RefusedError, False),
        (503, "overloaded", RefusedError, True),
    ],
)
def test_a_refusal_says_what_the_server_says(
    logs: LogServer, reading: millpond.Client, status: int, code: str, kind: type[ReadError], is_passing: bool
) -> None:
    logs.refuse(status, code, "at 7: expected `)`")
    with pytest.raises(ReadError, match=r"at 7: expected `\)`") as caught:
        reading.query()
    error = caught.value
    assert type(error) is kind
    assert (error.status, error.code, error.is_passing) == (status, code, is_passing)
    assert vars(pickle.loads(pickle.dumps(error))) == vars(error)


def test_a_server_that_is_away_or_slow_or_none_is_told_apart(logs: LogServer, reading: millpond.Client) -> None:
    logs.failures.append((200, b"<html>Welcome</html>"))
    with pytest.raises(MalformedAnswerError, match="begins with `<html>Welcome"):
        reading.query()
    logs.hangs = True
    with pytest.raises(ReadTimeoutError) as slow:
        reading.query(timeout_s=0.05)
    assert slow.value.is_passing and slow.value.status is None
    logs.close()
    with pytest.raises(UnreachableError, match=f"can't reach {logs.url}/api/v1/logs: ") as away:
        reading.query()
    assert away.value.is_passing


# Frames


def sample() -> Page:
    full = least(
        time="2026-01-31T12:00:00.123456789Z",
        observed_time="2026-01-31T12:00:01.000000001Z",
        service="api",
        message="m",
        step_index=2,
        tags=["a", "b"],
        exception={"type": "E"},
        fields={"big": 2**64 - 1, "ü": [1]},
    )
    return Page((full, least(id="2", level="error")))


def test_logs_become_an_arrow_table_of_fixed_types() -> None:
    arrow = pytest.importorskip("pyarrow")
    table = sample().to_arrow()
    assert table.schema.field("time").type == arrow.timestamp("ns", tz="UTC")
    assert table.column("time").cast(arrow.int64()).to_pylist()[0] == 1_769_860_800_123_456_789
    assert table.column("observed_time").cast(arrow.int64()).to_pylist() == [1_769_860_801_000_000_001, None]
    assert table.column("severity").to_pylist() == [9, 17]
    assert table.column("tags").to_pylist() == [["a", "b"], []]
    assert table.column("fields").to_pylist() == ['{"big":18446744073709551615,"ü":[1]}', "{}"]
    assert table.column("exception").to_pylist() == ['{"type":"E"}', None]
    assert table.column("step_index").to_pylist() == [2, None]
    assert Page(()).to_arrow().schema == table.schema


def test_all_pages_become_one_table(logs: LogServer, reading: millpond.Client) -> None:
    pytest.importorskip("pyarrow")
    for _ in range(5):
        logs.add()
    found = reading.logs(page_size=2)
    assert next(found).id == "5"
    assert found.to_arrow().column("id").to_pylist() == ["4", "3", "2", "1"]
    assert found.to_arrow().num_rows == 0


def test_logs_become_a_pandas_frame(logs: LogServer, reading: millpond.Client) -> None:
    pytest.importorskip("pyarrow")
    pandas = pytest.importorskip("pandas")
    frame = sample().to_pandas()
    assert str(frame["time"].dtype) == "datetime64[ns, UTC]"
    assert frame["time"][0] == pandas.Timestamp("2026-01-31T12:00:00.123456789Z")
    assert json.loads(frame["fields"][0])["big"] == 2**64 - 1
    logs.add()
    assert list(reading.logs().to_pandas()["id"]) == ["1"]


def test_logs_become_a_polars_frame(logs: LogServer, reading: millpond.Client) -> None:
    pytest.importorskip("pyarrow")
    polars = pytest.importorskip("polars")
    frame = sample().to_polars()
    assert frame.schema["time"] == polars.Datetime("ns", "UTC")
    assert frame["level"].to_list() == ["info", "error"]
    logs.add()
    assert reading.logs().to_polars()["id"].to_list() == ["1"]


@pytest.mark.parametrize(("method", "missing"), [("arrow", "pyarrow"), ("pandas", "pandas"), ("polars", "polars")])
def test_what_is_not_installed_is_named_before_anything_is_fetched(
    logs: LogServer, reading: millpond.Client, monkeypatch: pytest.MonkeyPatch, method: str, missing: str
) -> None:
    pytest.importorskip("pyarrow")
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=rf"to_{method}\(\) needs {missing}, .*pip install .*{missing}"):
        getattr(reading.logs(), f"to_{method}")()
    assert logs.requests == []


# Documentation


PATH = os.pathsep.join(path for path in sys.path if path)


@pytest.mark.parametrize("name", sorted(FILES))
def test_the_documentation_runs(logs: LogServer, tmp_path: Path, name: str) -> None:
    logs.add(level="error", service="api")
    errors = [{"message": "m", "count": 1}]
    logs.statistics = {"interval": "1h", "total": 1, "timeseries": [], "top_services": [], "top_errors": errors}
    if name == "errors.py":
        logs.refuse(400, "invalid_query", "at 8")
    (tmp_path / name).write_text(FILES[name], encoding="utf-8")
    program = subprocess.Popen(
        [sys.executable, "-W", "error", name],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": PATH, "MILLPOND_ENDPOINT": logs.url, "MILLPOND_API_KEY": "k"},
    )
    if "stream(" in FILES[name]:
        logs.wait(lambda: any(request.path.endswith("/stream") for request in logs.requests), "stream")
        logs.add("goodbye", fields={"farewell": True})
    out, err = program.communicate(timeout=3 * PATIENCE_S)
    assert (program.returncode, err) == (0, "")
    assert out

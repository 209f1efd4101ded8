"""What a server stored stands in files that DuckDB, Polars, pyarrow and pandas open, and read exactly as it was sent.

The real server is started here, so it has to be built: `cargo build`. What is in the files is described in
``crates/store/src/segment.rs``.
"""

from __future__ import annotations

import json
import os
import runpy
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pandas
import polars
import pyarrow
import pyarrow.parquet
import pytest

from conftest import page_at
from running import Running

Record = dict[str, Any]
Row = dict[str, Any]

ROOT = Path(__file__).parents[2]
#: The server as `cargo build` leaves it.
PROGRAM = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "debug" / "millpond"
SEVERITIES = {"trace": 1, "debug": 5, "info": 9, "warn": 13, "error": 17, "critical": 21}
LEVELS = list(SEVERITIES)
TEXTS = (
    *("service", "message", "environment", "host", "version", "logger", "trace_id", "span_id"),
    *("request_id", "session_id", "user_id", "flow_id", "dataset"),
)
DAYS = ("2026-01-30", "2026-01-31")
#: Records of the three batches, each of which becomes a file of either day. The last one is of several pages.
BATCHES = (200, 300, 20_000)


def record(number: int, batch: int) -> Record:
    """A record with members of every kind, some of them frequent and some rare."""
    least = {
        "time": f"{DAYS[number % 2]}T12:{number % 60:02}:59.{number * 7_001 % 1_000_000_000:09}Z",
        "level": LEVELS[number % 5 + number % 2],
        "service": ("api", "zahlung-ü", "支払い")[number % 3],
        "message": f"order {number} placed: 'it’s' \"quoted\"\n\tüber 東京 🚀",
    }
    more: Record = {}
    if number % 4 == 0:
        more.update({name: f"{name} {number % 9} é" for name in TEXTS if name not in least}, step_index=number)
    if number % 3:
        more["tags"] = ["shop", 'größe, "L"'][: number % 3]
    if number % 10 == 0:
        cause = {"type": "OSError", "message": "connection reset", "stacktrace": []}
        frame = {"function": "charge", "file": "pay.py", "line": number}
        more["exception"] = {"type": "TimeoutError", "message": "zu spät", "stacktrace": [frame], "cause": cause}
    if number % 7:
        more["fields"] = fields(number, batch)
    return {**least, **more}


def fields(number: int, batch: int) -> dict[str, Any]:
    members: dict[str, Any] = {
        "duration_ms": number - 50,
        "serial": 2**63 - 1 - number,
        "ratio": number / 8,
        "cached": number % 2 == 0,
        "city": ("Zürich", "東京", "", 'a\\b"c\n')[number % 4],
        "http": {"status": 200 + number % 3, "peer": {"ip": f"10.0.0.{number % 250}"}},
        # Frequent as a number and as a text: there are two columns.
        "order": number if number % 3 else f"0{number}",
    }
    if batch == 2:
        members["region"] = "eu"
    if number % 1000 == 1:
        # Too rare for a column each.
        members.update({"coupon": "spring", "nothing": None, "list": [1, [2.5, None], {"a": "é"}], "none_inside": {}})
        members.update({"large": 2**70, "far": 1e300, "a.b": {"#": "'"}})
    return members


@dataclass(frozen=True)
class Stored:
    """A data directory, ``millpond-data`` of this folder, and what was sent to its server, in that order."""

    folder: Path
    records: list[Record]
    began_ns: int
    ended_ns: int

    def files(self) -> list[Path]:
        return sorted(self.folder.glob("millpond-data/segments/*/*/*.parquet"))


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Stored:
    assert PROGRAM.is_file(), f"there is no {PROGRAM}: `cargo xtask test --only build` makes it"
    folder = tmp_path_factory.mktemp("server")
    records: list[Record] = []
    key, began_ns = "", time.time_ns()
    for batch, count in enumerate(BATCHES):
        logs = [record(number, batch) for number in range(len(records), len(records) + count)]
        # Its end writes what it holds to segments.
        key = store(logs, folder, key)
        records += logs
    return Stored(folder, records, began_ns, time.time_ns())


def store(logs: list[Record], folder: Path, key: str) -> str:
    """Starts a server on ``millpond-data``, sends the records, and ends it in order. The key is good next time too."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MILLPOND_")}
    server = Running([str(PROGRAM), "serve", "--address", "127.0.0.1:0"], folder, environment)
    try:
        (url,) = server.wait_for_output(r"listening on (http://\S+)\n")
        key = key or server.wait_for_output(r"key: (\S+)")[0]
        headers = {"Content-Type": "application/json", "X-API-Key": key}
        request = urllib.request.Request(f"{url}/api/v1/ingest", json.dumps(logs).encode(), headers)
        # Not by way of a proxy that the environment may name.
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as response:
            assert json.load(response)["accepted"] == len(logs)
        assert server.stop() == 0, server.output
    finally:
        server.kill()
    return key


def nanoseconds(text: str) -> int:
    """Since the epoch; of Python's types none has nanoseconds."""
    seconds, _, fraction = text.removesuffix("Z").partition(".")
    whole = datetime.fromisoformat(seconds).replace(tzinfo=timezone.utc).timestamp()
    return int(whole) * 1_000_000_000 + int(fraction.ljust(9, "0"))


def as_row(sent: Record) -> Row:
    """What every reader must find of a record; `fields` and `exception` as values, however they are written."""
    absent: Row = {**dict.fromkeys(TEXTS), "step_index": None, "tags": [], "exception": None, "fields": {}}
    return {
        **absent,
        **sent,
        "time": nanoseconds(sent["time"]),
        "severity_number": SEVERITIES[sent["level"]],
    }


def put_together(row: Row) -> Row:
    """A row of a file, its `fields` put together from the columns and the rest as the format says."""
    members = json.loads(row["fields"] or "{}")
    for name, value in row.items():
        if name.startswith("fields.") and value is not None:
            *parents, last = name.removeprefix("fields.").partition("#")[0].split(".")
            inner = members
            for parent in parents:
                inner = inner.setdefault(parent, {})
            inner[last] = value
    kept = {name: row[name] for name in ("time", "severity_number", "level", *TEXTS, "step_index")}
    exception = json.loads(row["exception"]) if row["exception"] else None
    return {**kept, "tags": list(row["tags"] or []), "exception": exception, "fields": members}


def duckdb() -> Any:
    reason = "DuckDB reads nanoseconds from 2.0 on, which has no wheel for Python before 3.11"
    return pytest.importorskip("duckdb", "2", reason=reason)


def rows_of_duckdb(file: Path) -> list[Row]:
    times = "epoch_ns(time) AS time, epoch_ns(observed_time) AS observed_time"
    found = duckdb().connect().execute(f"SELECT * REPLACE ({times}) FROM '{file}'")
    names = [column[0] for column in found.description]
    return [dict(zip(names, values)) for values in found.fetchall()]


def rows_of_polars(file: Path) -> list[Row]:
    times = polars.col("time", "observed_time").dt.epoch("ns")
    return list(polars.read_parquet(file).with_columns(times).iter_rows(named=True))


def rows_of_pyarrow(file: Path) -> list[Row]:
    return rows_of_table(pyarrow.parquet.read_table(file))


def rows_of_pandas(file: Path) -> list[Row]:
    # With types of its own, pandas makes floats of whole numbers where some are missing.
    frame = pandas.read_parquet(file, dtype_backend="pyarrow")
    return rows_of_table(pyarrow.Table.from_pandas(frame))


def rows_of_table(table: Any) -> list[Row]:
    for name in ("time", "observed_time"):
        place = table.schema.get_field_index(name)
        table = table.set_column(place, name, table[name].cast(pyarrow.int64()))
    rows: list[Row] = table.to_pylist()
    return rows


@pytest.mark.parametrize("rows_of", [rows_of_duckdb, rows_of_polars, rows_of_pyarrow, rows_of_pandas])
def test_every_record_is_read_exactly_as_it_was_sent(rows_of: Callable[[Path], list[Row]], stored: Stored) -> None:
    assert len(stored.files()) == len(BATCHES) * len(DAYS)
    rows = [row for file in stored.files() for row in rows_of(file)]
    rows.sort(key=lambda row: row["sequence"])
    assert len({row["sequence"] for row in rows}) == len(stored.records)
    # One by one: a list of thousands that differs is not shown in a minute. As texts: for Python, 1 and 1.0 and True
    # are the same.
    for sent, row in zip(stored.records, rows):
        assert json.dumps(put_together(row), sort_keys=True) == json.dumps(as_row(sent), sort_keys=True)
        assert stored.began_ns <= row["observed_time"] <= stored.ended_ns
    assert len(rows) == len(stored.records)


def test_frequent_members_of_fields_are_columns_of_their_type(stored: Stored) -> None:
    frequent = {
        "fields.duration_ms": polars.Int64,
        "fields.serial": polars.Int64,
        "fields.ratio": polars.Float64,
        "fields.cached": polars.Boolean,
        "fields.city": polars.String,
        "fields.http.status": polars.Int64,
        "fields.http.peer.ip": polars.String,
        "fields.order": polars.Int64,
        "fields.order#string": polars.String,
    }
    with_region = {**frequent, "fields.region": polars.String}
    found = [polars.read_parquet_schema(file) for file in stored.files()]
    columns = [{name: kind for name, kind in kinds.items() if name.startswith("fields.")} for kinds in found]
    assert columns == [frequent, frequent, with_region] * len(DAYS)


def test_the_filters_of_the_pages_stand_where_no_reader_looks(stored: Stored) -> None:
    for file in stored.files():
        metadata = pyarrow.parquet.read_metadata(file)
        layout = json.loads(metadata.metadata[b"millpond.layout"])
        groups = [metadata.row_group(place) for place in range(metadata.num_row_groups)]
        chunks = [group.column(place) for group in groups for place in range(metadata.num_columns)]
        assert {chunk.compression for chunk in chunks} == {"ZSTD"}
        end_of_data = max(start_of(chunk) + chunk.total_compressed_size for chunk in chunks)
        assert len(layout["filters"]) == len(groups)
        for offset, count in layout["filters"]:
            assert end_of_data <= offset < offset + count <= file.stat().st_size - metadata.serialized_size


def start_of(chunk: Any) -> int:
    first: int = chunk.dictionary_page_offset or chunk.data_page_offset
    return first


def test_duckdb_reads_the_metadata_of_the_files(stored: Stored) -> None:
    connection = duckdb().connect()
    for file in stored.files():
        (rows,) = connection.execute(f"SELECT num_rows FROM parquet_file_metadata('{file}')").fetchone()
        assert connection.execute(f"SELECT count(*) FROM '{file}'").fetchone() == (rows,)
        of_column = f"FROM parquet_metadata('{file}') WHERE path_in_schema = 'message'"
        assert connection.execute(f"SELECT sum(num_values) {of_column}").fetchone() == (rows,)
        described = connection.execute(f"SELECT name FROM parquet_schema('{file}')").fetchall()
        assert ("message",) in described and ("fields.duration_ms",) in described


@pytest.fixture
def documented(stored: Stored, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], dict[str, Any]]:
    """Runs a program of docs/operations.md beside the data directory, and gives what its names stand for."""
    page_at(ROOT / "docs" / "operations.md").write(tmp_path)
    monkeypatch.chdir(stored.folder)
    return lambda name: runpy.run_path(str(tmp_path / name))


def test_the_documented_program_for_duckdb_answers(documented: Callable[[str], dict[str, Any]], stored: Stored) -> None:
    duckdb()
    names = documented("with_duckdb.py")
    assert [names[answer].fetchall() for answer in ("levels", "slow", "coupons")] == expected_answers(stored)


def test_the_documented_program_for_polars_answers(documented: Callable[[str], dict[str, Any]], stored: Stored) -> None:
    names = documented("with_polars.py")
    assert [names[answer].rows() for answer in ("levels", "slow", "coupons")] == expected_answers(stored)


def expected_answers(stored: Stored) -> list[list[tuple[Any, ...]]]:
    levels = Counter(sent["level"] for sent in stored.records)
    by_time = sorted(stored.records, key=lambda sent: nanoseconds(sent["time"]))
    members = [(sent, sent.get("fields", {})) for sent in by_time]
    slow = [
        (sent["service"], sent["message"], of["duration_ms"])
        for sent, of in members
        if of.get("duration_ms", 0) > 500 and "shop" in sent.get("tags", [])
    ]
    coupons = Counter(of["coupon"] for _, of in members if "coupon" in of)
    assert slow and coupons
    return [sorted(levels.items()), slow, sorted(coupons.items())]

"""What the server gives back: logs, pages of them, statistics, receipts. Numbers are as they were sent, integers of
64 bits included."""

from __future__ import annotations

import copy
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from millpond import _arrow, _levels
from millpond._times import nanoseconds, utc


class Log:
    """One log. Its parts are properties; ``log["order_id"]`` is whatever a query calls by that name."""

    __slots__ = ("_record",)

    def __init__(self, record: Mapping[str, Any]) -> None:
        self._record = record

    def _text(self, name: str) -> str | None:
        value: str | None = self._record.get(name)
        return value

    @property
    def id(self) -> str:
        """What the server calls it; no two logs have the same."""
        return str(self._record["id"])

    @property
    def time(self) -> datetime:
        """When it happened, in UTC, cut to microseconds; :attr:`time_ns` has all of it."""
        return utc(self.time_ns)

    @property
    def time_ns(self) -> int:
        """When it happened, in nanoseconds since the epoch."""
        return nanoseconds(self._record["time"])

    @property
    def observed_time(self) -> datetime | None:
        """When it was first seen by a collector, if that was at another time; in UTC."""
        time_ns = self.observed_time_ns
        return None if time_ns is None else utc(time_ns)

    @property
    def observed_time_ns(self) -> int | None:
        """The same, in nanoseconds since the epoch."""
        text = self._text("observed_time")
        return None if text is None else nanoseconds(text)

    @property
    def level(self) -> str:
        """``trace``, ``debug``, ``info``, ``warn``, ``error`` or ``critical``."""
        return str(self._record["level"])

    @property
    def severity(self) -> int:
        """How serious it is, in the finer steps of OpenTelemetry: 1 to 24, four to a level."""
        number: int | None = self._record.get("severity_number")
        return number if number is not None else _levels.from_name(self.level) or _levels.INFO

    @property
    def message(self) -> str:
        """The message."""
        return self._text("message") or ""

    @property
    def service(self) -> str:
        """The service that wrote it."""
        return self._text("service") or ""

    @property
    def environment(self) -> str | None:
        """Such as ``production``."""
        return self._text("environment")

    @property
    def host(self) -> str | None:
        """The machine."""
        return self._text("host")

    @property
    def version(self) -> str | None:
        """Version of the service."""
        return self._text("version")

    @property
    def logger(self) -> str | None:
        """Name of the logger."""
        return self._text("logger")

    @property
    def trace_id(self) -> str | None:
        """The trace that it belongs to."""
        return self._text("trace_id")

    @property
    def span_id(self) -> str | None:
        """The span that it belongs to."""
        return self._text("span_id")

    @property
    def request_id(self) -> str | None:
        """Correlation id of the request."""
        return self._text("request_id")

    @property
    def session_id(self) -> str | None:
        """Session of the user."""
        return self._text("session_id")

    @property
    def user_id(self) -> str | None:
        """The user."""
        return self._text("user_id")

    @property
    def flow_id(self) -> str | None:
        """The flow that it is a step of."""
        return self._text("flow_id")

    @property
    def step_index(self) -> int | None:
        """Its place in its flow, from 0."""
        step: int | None = self._record.get("step_index")
        return step

    @property
    def dataset(self) -> str | None:
        """The dataset that it belongs to."""
        return self._text("dataset")

    @property
    def tags(self) -> tuple[str, ...]:
        """Its tags."""
        return tuple(self._record.get("tags", ()))

    @property
    def exception(self) -> Mapping[str, Any] | None:
        """``type``, ``message``, ``stacktrace`` and ``cause``, as far as they are known."""
        exception: Mapping[str, Any] | None = self._record.get("exception")
        return exception

    @property
    def fields(self) -> Mapping[str, Any]:
        """Everything else that was recorded with it, in the order in which it was sent."""
        fields: Mapping[str, Any] = self._record.get("fields", {})
        return fields

    def __getitem__(self, name: str) -> Any:
        """As a query finds it: an attribute of the record, else a field, else a path through the fields such as
        ``http.status``; ``fields.NAME`` is always a field.

        :raises KeyError: it has none.
        """
        field = name[len("fields.") :] if name.startswith("fields.") else name
        for values, known in ((self._record, name), (self.fields, field)):
            if known in values:
                return values[known]
        value: Any = self.fields
        for part in field.split("."):
            if not isinstance(value, dict) or part not in value:
                raise KeyError(name)
            value = value[part]
        return value

    def get(self, name: str, default: Any = None) -> Any:
        """``log[name]``, or ``default`` if it has none."""
        try:
            return self[name]
        except KeyError:
            return default

    def __contains__(self, name: str) -> bool:
        missing = object()
        return self.get(name, missing) is not missing

    # It has items, but is no sequence of them.
    __iter__ = None

    def as_dict(self) -> dict[str, Any]:
        """All of it as the server wrote it, times as text; a copy."""
        return copy.deepcopy(dict(self._record))

    def __eq__(self, other: object) -> bool:
        return self._record == other._record if isinstance(other, Log) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._record["id"])

    def __repr__(self) -> str:
        return f"<millpond.Log {self._record['time']} {self.level} {self.service!r} {self.message!r}>"

    def __str__(self) -> str:
        """``time level service message`` on one line, control characters escaped: no message can forge a line."""
        return f"{self._record['time']} {self.level:8} {_one_line(self.service)} {_one_line(self.message)}"


def _one_line(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(
        letter.encode("unicode_escape").decode() if unicodedata.category(letter) in ("Cc", "Zl", "Zp") else letter
        for letter in text
    )


@dataclass(frozen=True)
class Page:
    """Logs that were asked for, and how to get more."""

    #: Newest first; those of a trace oldest first.
    logs: tuple[Log, ...]
    #: What to give to ``query(cursor=…)`` for the next page; ``None`` on the last one.
    next_cursor: str | None = None
    #: Parts of the stored data that are damaged and were left out; normally empty.
    damaged: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Log]:
        return iter(self.logs)

    def __len__(self) -> int:
        return len(self.logs)

    def to_arrow(self) -> Any:
        """A ``pyarrow.Table`` of the logs, one column for each attribute.

        :raises ImportError: pyarrow is not installed.
        """
        return _arrow.table(self.logs)

    def to_pandas(self) -> Any:
        """A ``pandas.DataFrame`` of the logs.

        :raises ImportError: pandas or pyarrow is not installed.
        """
        return _arrow.to_pandas(self.to_arrow)

    def to_polars(self) -> Any:
        """A ``polars.DataFrame`` of the logs.

        :raises ImportError: polars or pyarrow is not installed.
        """
        return _arrow.to_polars(self.to_arrow)


@dataclass(frozen=True)
class Count:
    """A value and how often it occurs."""

    #: The service or message.
    value: str
    #: Its logs.
    count: int


@dataclass(frozen=True)
class Bucket:
    """The logs of one interval."""

    #: When it begins, in UTC.
    start: datetime
    #: Logs in it.
    total: int
    #: Logs in it by level, without those levels of which there are none.
    by_level: Mapping[str, int]


@dataclass(frozen=True)
class Statistics:
    """How many logs there were, over time and by what they say."""

    #: The length of a bucket, such as ``5m``.
    interval: str
    #: Logs in all.
    total: int
    #: The buckets, oldest first; the empty ones are there too.
    timeseries: tuple[Bucket, ...]
    #: The services that wrote the most.
    top_services: tuple[Count, ...]
    #: The messages that were the most frequent ones of level ``error`` and above.
    top_errors: tuple[Count, ...]
    #: Parts of the stored data that are damaged and were not counted; normally empty.
    damaged: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rejected:
    """A record that was not stored."""

    #: Its place among the entries of the body, from 0.
    index: int
    #: The line in which it begins, from 1, if the format has lines.
    line: int | None
    #: Why.
    reason: str


@dataclass(frozen=True)
class Receipt:
    """What became of an ingested body: every accepted record is on the server's disk."""

    #: Records that were stored.
    accepted: int
    #: The first of those records that were not.
    rejected: tuple[Rejected, ...]
    #: How many were not.
    rejected_count: int
    #: Whether all of it was stored before, by an attempt whose answer was lost.
    duplicate: bool

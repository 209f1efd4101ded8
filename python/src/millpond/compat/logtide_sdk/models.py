"""The values that callers make and get. All are dataclasses, with the order of fields that positional use relies on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Literal

from millpond.compat.logtide_sdk.dsn import parse_dsn
from millpond.compat.logtide_sdk.enums import LogLevel, level_named


@dataclass
class LogEntry:
    """One log."""

    service: str
    level: LogLevel
    message: str
    #: RFC 3339; now, if it is not given.
    time: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    trace_id: str | None = None
    span_id: str | None = None
    session_id: str | None = None

    def __post_init__(self) -> None:
        if self.time is None:
            self.time = datetime.now(timezone.utc).isoformat(timespec="microseconds")
        if isinstance(self.time, str) and self.time.endswith("+00:00"):
            # LogTide's server takes no other way to write an offset.
            self.time = f"{self.time[:-6]}Z"

    def to_dict(self) -> dict[str, Any]:
        """The entry as it is sent: without the ids that are not set."""
        entry: dict[str, Any] = {
            "service": self.service,
            "level": _level_name(self.level),
            "message": self.message,
            "time": self.time,
            "metadata": self.metadata,
        }
        if self.trace_id is not None:
            entry["trace_id"] = self.trace_id
        if self.span_id is not None:
            entry["span_id"] = self.span_id
        if self.session_id is not None:
            entry["session_id"] = self.session_id
        return entry


def _level_name(level: object) -> str:
    """LogTide's name of a level that may be a text."""
    if isinstance(level, LogLevel):
        return str(level.value)
    named = level_named(level)
    return str(level if named is None else named.value)


def utc_text(time: str) -> str:
    """The time as LogTide's server takes it, in UTC; as it is, if it is none."""
    if time.endswith("Z"):
        return time
    try:
        moment = datetime.fromisoformat(time)
    except ValueError:
        return time
    return f"{moment.astimezone(timezone.utc).isoformat(timespec='microseconds')[:-6]}Z"


@dataclass
class PayloadLimitsOptions:
    """What is cut or left out of metadata."""

    #: Most characters of one text.
    max_field_size: int = 10 * 1024
    #: Most bytes of an entry; metadata of a larger one is replaced.
    max_log_size: int = 100 * 1024
    #: Names of fields whose values are left out.
    exclude_fields: list[str] = field(default_factory=list)
    #: What a cut text ends with.
    truncation_marker: str = "...[TRUNCATED]"


@dataclass
class ClientOptions:
    """How a client works. Its text shows no key.

    :raises ValueError: ``sample_rate`` or ``local_mode`` has a value that it can't have.
    :raises DsnParseError: ``dsn`` is none.
    """

    api_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    #: Address and key in one; fills what of the two is not set.
    dsn: str | None = field(default=None, repr=False)
    #: ``True``: log nothing. ``"if_unset_api_key"``: log nothing if there is no key.
    local_mode: bool | Literal["if_unset_api_key"] = False
    #: Most entries of one request; never more than 1,000, which is LogTide's limit.
    batch_size: int = 100
    #: Milliseconds that an entry waits for others at most.
    flush_interval: int = 5000
    #: Most entries that wait; what comes then is dropped and counted.
    max_buffer_size: int = 10000
    max_retries: int = 3
    #: Milliseconds before the first retry; doubles with each.
    retry_delay_ms: int = 1000
    circuit_breaker_threshold: int = 5
    circuit_breaker_reset_ms: int = 30000
    #: Has no effect: metrics cost nothing that could be saved.
    enable_metrics: bool = True
    #: Print what the client does.
    debug: bool = False
    #: Metadata of all entries; that of an entry goes before it.
    global_metadata: dict[str, Any] = field(default_factory=dict)
    #: Give each entry without a trace one of its own.
    auto_trace_id: bool = False
    payload_limits: PayloadLimitsOptions | None = None
    #: Service of entries that are logged without one.
    service: str | None = None
    #: Sees each entry, may change or replace it; ``None`` drops it.
    before_send: Callable[[LogEntry], LogEntry | None] | None = None
    #: Share of the entries that is kept.
    sample_rate: float = 1.0

    def __post_init__(self) -> None:
        if self.local_mode and self.local_mode is not True and self.local_mode != "if_unset_api_key":
            raise ValueError(f"local_mode is {self.local_mode!r}, expected True, False or 'if_unset_api_key'")
        if not 0.0 <= self.sample_rate <= 1.0:
            raise ValueError(f"sample_rate is {self.sample_rate!r}, expected 0.0 to 1.0")
        if self.dsn:
            parts = parse_dsn(self.dsn)
            self.api_url = self.api_url or parts.api_url
            self.api_key = self.api_key or parts.api_key


@dataclass
class QueryOptions:
    """Which logs to get. Times without a zone are local ones, as ``datetime.now()`` makes them."""

    service: str | None = None
    level: LogLevel | None = None
    from_time: datetime | None = None
    to_time: datetime | None = None
    limit: int = 100
    offset: int = 0
    #: Text to search for.
    q: str | None = None


@dataclass
class AggregatedStatsOptions:
    """Of which time to get statistics, in which steps (``1m``, ``5m``, ``1h``, ``1d``)."""

    from_time: datetime
    to_time: datetime
    interval: str = "1h"
    service: str | None = None


@dataclass
class LogsResponse:
    """Logs that were found, and how many there are in all."""

    logs: list[dict[str, Any]]
    total: int


@dataclass
class AggregatedStatsResponse:
    """Counts over time, and what there is most of."""

    timeseries: list[dict[str, Any]]
    top_services: list[dict[str, Any]]
    top_errors: list[dict[str, Any]]


@dataclass
class ClientMetrics:
    """What became of the entries of a client."""

    logs_sent: int = 0
    logs_dropped: int = 0
    errors: int = 0
    retries: int = 0
    avg_latency_ms: float = 0.0
    circuit_breaker_trips: int = 0

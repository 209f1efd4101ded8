"""What Timberlogs' client is configured with and what it takes: levels, formats, options, entries, and the limits that
an entry must keep. Pure: nothing here sends or waits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

__all__ = [
    "FORMAT_CONTENT_TYPES",
    "LOG_LEVEL_PRIORITY",
    "Environment",
    "FormatName",
    "IngestRawOptions",
    "LogEntry",
    "LogEntryDict",
    "LogLevel",
    "LogOptions",
    "RetryConfig",
    "TimberlogsConfig",
    "ValidationError",
    "validate_log_payload",
]

LogLevel = Literal["debug", "info", "warn", "error"]
Environment = Literal["development", "staging", "production"]
FormatName = Literal["json", "jsonl", "syslog", "text", "csv", "obl"]

LOG_LEVEL_PRIORITY: dict[LogLevel, int] = {"debug": 0, "info": 1, "warn": 2, "error": 3}

FORMAT_CONTENT_TYPES: dict[FormatName, str] = {
    "json": "application/json",
    "jsonl": "application/x-ndjson",
    "syslog": "application/x-syslog",
    "text": "text/plain",
    "csv": "text/csv",
    "obl": "application/x-obl",
}

#: Least and most characters of each text of an entry, by its name on the wire, in the order in which they are checked.
_TEXT_LIMITS = {
    "message": (1, 10_000),
    "source": (1, 100),
    "environment": (1, 50),
    "errorName": (0, 200),
    "errorStack": (0, 10_000),
    "userId": (0, 100),
    "sessionId": (0, 100),
    "requestId": (0, 100),
    "version": (0, 50),
    "dataset": (0, 50),
    "flowId": (0, 50),
}
_STEP_INDEX_MAX = 1_000
_TAGS_MAX = 20
_TAG_CHARS_MAX = 50

#: The attributes of an entry and their names on the wire, in the order in which they are written.
_WIRE_NAMES = {
    "level": "level",
    "message": "message",
    "data": "data",
    "user_id": "userId",
    "session_id": "sessionId",
    "request_id": "requestId",
    "error_name": "errorName",
    "error_stack": "errorStack",
    "tags": "tags",
    "flow_id": "flowId",
    "step_index": "stepIndex",
    "dataset": "dataset",
    "ip_address": "ipAddress",
    "country": "country",
}


class ValidationError(ValueError):
    """An entry is outside of the limits."""


class RetryConfig(TypedDict, total=False):
    """How often and after which waits a request that failed is made again."""

    max_retries: int
    initial_delay_ms: int
    max_delay_ms: int


def _default_retry() -> RetryConfig:
    return {"max_retries": 3, "initial_delay_ms": 1000, "max_delay_ms": 30000}


class LogEntryDict(TypedDict, total=False):
    """A log as a dict, for those who annotate one."""

    level: LogLevel
    message: str
    source: str
    environment: Environment
    version: str | None
    user_id: str | None
    session_id: str | None
    request_id: str | None
    data: dict[str, Any] | None
    error_name: str | None
    error_stack: str | None
    tags: list[str] | None
    flow_id: str | None
    step_index: int | None
    dataset: str | None
    ip_address: str | None
    country: str | None


@dataclass
class LogOptions:
    """What a logging method takes beside message and data."""

    tags: list[str] | None = None


@dataclass
class IngestRawOptions:
    """What raw logs are given where they don't say it themselves."""

    source: str | None = None
    environment: Environment | None = None
    level: LogLevel | None = None
    dataset: str | None = None


@dataclass
class LogEntry:
    """A log, whole."""

    level: LogLevel
    message: str
    data: dict[str, Any] | None = None
    user_id: str | None = None
    session_id: str | None = None
    request_id: str | None = None
    error_name: str | None = None
    error_stack: str | None = None
    tags: list[str] | None = None
    flow_id: str | None = None
    step_index: int | None = None
    dataset: str | None = None
    ip_address: str | None = None
    country: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """What of it is not ``None``, by the names on the wire."""
        values = ((wire_name, getattr(self, name)) for name, wire_name in _WIRE_NAMES.items())
        return {wire_name: value for wire_name, value in values if value is not None}


@dataclass
class TimberlogsConfig:
    """How a client is set up. ``create_timberlogs`` makes one from its arguments."""

    source: str
    environment: Environment
    api_key: str | None = None
    dataset: str | None = None
    version: str | None = None
    user_id: str | None = None
    session_id: str | None = None
    batch_size: int = 10
    flush_interval: float = 5.0
    min_level: LogLevel = "debug"
    on_error: Callable[[Exception], None] | None = None
    retry: RetryConfig = field(default_factory=_default_retry)


def validate_log_payload(payload: dict[str, Any]) -> None:
    """Checks a log as it would go on the wire. What is no text is not measured: the server judges it.

    :raises ValidationError: it is outside of the limits.
    """
    for name, (least, most) in _TEXT_LIMITS.items():
        text = payload.get(name)
        if isinstance(text, str):
            _check_length(name, text, least, most)
    step = payload.get("stepIndex")
    if step is not None and not (isinstance(step, int) and 0 <= step <= _STEP_INDEX_MAX):
        raise ValidationError(f"stepIndex must be 0-{_STEP_INDEX_MAX}, got {step}")
    _check_tags(payload.get("tags"))


def _check_length(name: str, text: str, least: int, most: int) -> None:
    if len(text) < least:
        raise ValidationError(f"{name} must be at least {least} character(s), got {len(text)}")
    if len(text) > most:
        raise ValidationError(f"{name} exceeds {most} characters: {len(text)}")


def _check_tags(tags: object) -> None:
    if not isinstance(tags, (list, tuple, set, frozenset, str)):
        return
    if len(tags) > _TAGS_MAX:
        raise ValidationError(f"tags must have at most {_TAGS_MAX} items, got {len(tags)}")
    for index, tag in enumerate(tags):
        if isinstance(tag, str) and len(tag) > _TAG_CHARS_MAX:
            raise ValidationError(f"tags[{index}] exceeds {_TAG_CHARS_MAX} characters: {len(tag)}")

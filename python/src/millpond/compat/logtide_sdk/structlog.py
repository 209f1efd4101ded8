"""LogTide as a processor of structlog."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

from millpond._event import time_of
from millpond.compat.logtide_sdk.async_client import AsyncLogTideClient
from millpond.compat.logtide_sdk.enums import LogLevel, level_named
from millpond.compat.logtide_sdk.models import LogEntry
from millpond.compat.logtide_sdk.serialization import serialize_exception

if TYPE_CHECKING:
    from structlog.typing import EventDict, WrappedLogger

    from millpond.compat.logtide_sdk.client import LogTideClient

#: What a record of the stdlib has. An event may have keys of the same name, which are sent like any other.
LOGGING_RESERVED_ATTRS = frozenset(vars(logging.makeLogRecord({}))) | {"asctime", "message", "taskName"}
RESERVED_ATTRS = LOGGING_RESERVED_ATTRS | {"event", "level", "timestamp"}
#: What becomes another part of the entry, and what structlog leaves for its stdlib formatter.
_TAKEN = frozenset(("event", "level", "timestamp", "exc_info", "stack_info", "_record", "_from_structlog"))


class LogTideProcessor:
    """Sends each event and passes it on as it is; never raises. It belongs after what adds to events, and before what
    turns parts of them into text."""

    def __init__(self, client: LogTideClient | AsyncLogTideClient, service: str) -> None:
        self.client = client
        self.service = service

    def __call__(self, logger: WrappedLogger, name: str, event_dict: EventDict) -> EventDict:
        """The entry point for structlog."""
        try:
            entry = self._entry(name, event_dict)
            if isinstance(self.client, AsyncLogTideClient):
                self.client._take(entry)
            else:
                self.client.log(entry=entry)
        except Exception:
            pass  # The event goes on, whatever is wrong with it.
        return event_dict

    def _entry(self, name: str, event: EventDict) -> LogEntry:
        metadata: dict[str, Any] = {str(key): value for key, value in event.items() if key not in _TAKEN}
        exc_info = event.get("exc_info")
        error = _error_of(exc_info)
        if error is not None:
            metadata["exception"] = serialize_exception(error)
        elif exc_info not in (None, True, False) and not isinstance(exc_info, tuple):
            metadata["exc_info"] = exc_info
        if event.get("stack_info") not in (None, True, False):
            metadata["stack_info"] = event["stack_info"]
        time_ns = time_of(event.get("timestamp"))
        if time_ns is None and event.get("timestamp") is not None:
            metadata["timestamp"] = event["timestamp"]
        return LogEntry(
            service=self.service,
            level=level_named(event.get("level")) or level_named(name) or LogLevel.INFO,
            message=str(event.get("event") or "structlog event"),
            time=None if time_ns is None else _text_of(time_ns),
            metadata=metadata,
        )


def _error_of(exc_info: Any) -> BaseException | None:
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple):
        return exc_info[1] if len(exc_info) == 3 and isinstance(exc_info[1], BaseException) else None
    return sys.exc_info()[1] if exc_info is True else None


def _text_of(time_ns: int) -> str:
    from datetime import datetime, timedelta, timezone

    moment = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=time_ns // 1000)
    return moment.isoformat(timespec="microseconds")

"""LogTide as a handler of the stdlib's logging.

The engine speaks HTTP without Python's logging, so that a handler at the root never hears of what it sends itself.
"""

from __future__ import annotations

import logging
from datetime import datetime, timezone
from typing import Any

from millpond.compat.logtide_sdk.async_client import AsyncLogTideClient
from millpond.compat.logtide_sdk.client import LogTideClient
from millpond.compat.logtide_sdk.enums import LogLevel
from millpond.compat.logtide_sdk.models import LogEntry
from millpond.compat.logtide_sdk.serialization import serialize_exception

#: What every record has; whatever else is there came by `extra=`, or from a filter.
_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"asctime", "message", "taskName"}


class LogTideHandler(logging.Handler):
    """Sends each record as an entry of a service, with where it was logged, its ``extra=`` fields and its exception as
    metadata. Its message is the record as the handler's formatter writes it."""

    def __init__(self, client: LogTideClient | AsyncLogTideClient, service: str, level: int = logging.NOTSET) -> None:
        super().__init__(level)
        self.client = client
        self.service = service

    def emit(self, record: logging.LogRecord) -> None:
        """Sends a record; what fails is the business of :meth:`handleError`."""
        try:
            entry = LogEntry(
                service=self.service,
                level=_level_of(record.levelno),
                message=self.format(record),
                time=datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="microseconds"),
                metadata=_metadata_of(record),
            )
            if isinstance(self.client, AsyncLogTideClient):
                # Its coroutine has nothing to wait for.
                self.client._take(entry)
            else:
                self.client.log(entry)
        except Exception:
            self.handleError(record)


def _level_of(number: int) -> LogLevel:
    if number >= logging.CRITICAL:
        return LogLevel.CRITICAL
    if number >= logging.ERROR:
        return LogLevel.ERROR
    if number >= logging.WARNING:
        return LogLevel.WARN
    return LogLevel.INFO if number >= logging.INFO else LogLevel.DEBUG


def _metadata_of(record: logging.LogRecord) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "logger": record.name,
        "module": record.module,
        "funcName": record.funcName,
        "lineno": record.lineno,
        "pathname": record.pathname,
    }
    error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
    if error is not None:
        metadata["exception"] = serialize_exception(error)
    for name, value in record.__dict__.items():
        if name not in _RECORD:
            metadata[f"extra_{name}" if name in metadata else name] = value
    return metadata

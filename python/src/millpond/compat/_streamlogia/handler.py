"""Records of stdlib logging -> entries of Streamlogia."""

from __future__ import annotations

import copy
import logging
import traceback
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from millpond.compat.streamlogia import LogIngestorClient

#: What a record has by itself; what else it has came by ``extra=``.
_OWN = frozenset(logging.LogRecord("", 0, "", 0, "", (), None).__dict__) | {"message", "asctime", "taskName", "meta"}
_LEVELS = ((logging.ERROR, "ERROR"), (logging.WARNING, "WARN"), (logging.INFO, "INFO"))


class LogIngestorHandler(logging.Handler):
    """Sends each record. The message is the formatter's; of an exception it has the last line, and ``meta`` has the
    traceback. ``close`` ends nothing: ``dictConfig`` closes handlers that are used again."""

    def __init__(self, client: LogIngestorClient) -> None:
        super().__init__()
        self._client = client

    def emit(self, record: logging.LogRecord) -> None:
        try:
            given = record.__dict__.get("meta")
            shown: dict[str, Any] = dict(given) if isinstance(given, dict) else {}
            message = self._message(record)
            if record.exc_info and record.exc_info[0] is not None:
                shown["exception"] = "".join(traceback.format_exception(*record.exc_info))
            level = next((name for least, name in _LEVELS if record.levelno >= least), "DEBUG")
            self._client._log(level, message, {**_origin(record), **shown}, None, shown)
        except Exception:
            self.handleError(record)

    def _message(self, record: logging.LogRecord) -> str:
        if not record.exc_info and not record.exc_text:
            return self.format(record)
        bare = copy.copy(record)
        bare.exc_info = bare.exc_text = None
        message = self.format(bare)
        if record.exc_info and record.exc_info[1] is not None:
            last = "".join(traceback.format_exception_only(*record.exc_info[:2])).rstrip()
            return f"{message}\n{last}"
        return message


class RootHandler(LogIngestorHandler):
    """The one that ``init`` adds to the root logger, and replaces when it is called again."""


def _origin(record: logging.LogRecord) -> dict[str, Any]:
    """Where a record comes from, and its further ``extra=``."""
    extra = {name: value for name, value in record.__dict__.items() if name not in _OWN}
    return {
        "logger": record.name,
        "file": record.pathname,
        "line": record.lineno,
        "function": record.funcName,
        "thread": record.threadName,
        **extra,
    }

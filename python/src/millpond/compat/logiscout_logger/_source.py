"""What logs: a name and what is bound to it. Makes a log of a call, shows it and has it sent; never raises."""

from __future__ import annotations

import sys
import traceback
from typing import Any

from millpond import _event
from millpond.compat._text import text_of
from millpond.compat.logiscout_logger import _console, _setup, _structlog, _times
from millpond.compat.logiscout_logger._delivery import deliver
from millpond.compat.logiscout_logger.buffer.requestBuffer import _request_buffer
from millpond.compat.logiscout_logger.events import LogEvent


class Source:
    """Behind each ``LogiScoutLogger``. Immutable."""

    __slots__ = ("_context", "_is_sent", "_name")

    def __init__(self, name: str, context: dict[str, Any] | None = None, is_sent: bool = True) -> None:
        self._name = name
        self._context = context or {}
        self._is_sent = is_sent

    def bind(self, **fields: Any) -> Source:
        """One that has these fields too. ``send`` is not one, if it is a bool."""
        is_sent = self._is_sent
        if isinstance(fields.get("send"), bool):
            is_sent = fields.pop("send")
        return Source(self._name, {**self._context, **fields}, is_sent)

    def debug(self, event: object, /, *, _send: object = True, **fields: Any) -> None:
        """See ``LogiScoutLogger``."""
        self._log("debug", event, _send, fields)

    def info(self, event: object, /, *, _send: object = True, **fields: Any) -> None:
        """See ``LogiScoutLogger``."""
        self._log("info", event, _send, fields)

    def warning(self, event: object, /, *, _send: object = True, **fields: Any) -> None:
        """See ``LogiScoutLogger``."""
        self._log("warning", event, _send, fields)

    def error(self, event: object, /, *, _send: object = True, **fields: Any) -> None:
        """See ``LogiScoutLogger``."""
        self._log("error", event, _send, fields)

    def critical(self, event: object, /, *, _send: object = True, **fields: Any) -> None:
        """See ``LogiScoutLogger``."""
        self._log("critical", event, _send, fields)

    def _log(self, level: str, event: object, send: object, fields: dict[str, Any]) -> None:
        try:
            outer = _structlog.bound()
            correlation_id = outer.get("correlation_id")
            if _request_buffer.get() is not None:
                # The request's own: they are in its payload.
                outer = {name: value for name, value in outer.items() if name not in _structlog.REQUEST_NAMES}
            metadata = {**outer, **self._context, **fields}
            trace = _traceback(metadata)
            stack = metadata.pop("stack_info", None)
            if stack:
                metadata["stack"] = stack if isinstance(stack, str) else _event._stack()
            text = event if isinstance(event, str) else text_of(event)
            log = LogEvent(_times.now(), level, text, self._name, metadata, {"traceback": trace} if trace else None)
            if send and self._is_sent:
                deliver(log, metadata.get("correlation_id", correlation_id))
            _console.show(log, prints_debug=not _setup.current().is_production)
        except Exception:
            pass  # A log call is not to break what it tells of.


def _traceback(metadata: dict[str, Any]) -> str | None:
    """Takes the exception out of the fields, however it was given."""
    given = metadata.pop("exception", None)
    exc_info = metadata.pop("exc_info", None)
    if given is not None and not isinstance(given, BaseException):
        return given if isinstance(given, str) else text_of(given)
    error: object = given if exc_info is None else exc_info
    if isinstance(error, tuple) and len(error) == 3:
        error = error[1]
    elif error and not isinstance(error, BaseException):
        error = sys.exc_info()[1]
    if not isinstance(error, BaseException):
        return None
    return "".join(traceback.format_exception(type(error), error, error.__traceback__)).rstrip("\n")

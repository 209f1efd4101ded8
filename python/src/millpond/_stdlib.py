"""A record of the ``logging`` module -> a record of ours. Filters nothing and changes nothing: other handlers get the
record after us.

What a record has besides the stdlib's own attributes came by ``extra=``, an adapter, a filter or a record factory, and
becomes fields. The common record takes a short way: the stdlib's attributes stand first in its ``__dict__``, in the
order in which ``LogRecord`` sets them, so what stands behind them is found without asking for each name.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Protocol

from millpond import _event, _levels
from millpond._context import _current

_OWN_IN_ORDER = tuple(logging.LogRecord("", 0, "", 0, "", (), None).__dict__)
_OWN_COUNT = len(_OWN_IN_ORDER)
_OWN_LAST = _OWN_IN_ORDER[-1]
#: Formatters leave ``message`` and ``asctime``; a record of a newer Python may have ``taskName``.
_OWN = frozenset(_OWN_IN_ORDER) | {"message", "asctime", "taskName"}
_REQUIRED = frozenset(_OWN_IN_ORDER) - {"taskName"}
#: What structlog's ``wrap_for_formatter`` leaves in a record.
_OF_STRUCTLOG = ("_logger", "_name", "_record", "_from_structlog")
#: Levels whose names say no more than the severity.
_SEVERITIES = {number: _levels.from_stdlib(number) for number in (10, 20, 30, 40, 50)}
_TRACEBACK = "\nTraceback (most recent call last):\n"

_get = _current.get


class Sink(Protocol):
    """Where records go: the process's own client, or another one."""

    @property
    def log(self) -> Callable[..., None]:
        """Takes ``(severity, message, args, logger, context, bound, fields, exc_info, time_ns)``; never blocks."""

    def flush(self, timeout_s: float, /) -> bool:
        """Waits until what was taken is delivered; whether it was."""


def send(record: logging.LogRecord, sink: Sink) -> None:
    """Sends the record.

    :raises Exception: the record is broken, its time is no number, say.
    """
    said = record.__dict__
    names = list(said)
    extra = names[_OWN_COUNT:]
    if len(names) < _OWN_COUNT or names[_OWN_COUNT - 1] != _OWN_LAST or not _OWN.isdisjoint(extra):
        extra = [name for name in names if name not in _OWN]
        if not said.keys() >= _REQUIRED:
            record = logging.makeLogRecord(said)  # Somebody removed what was noise to them.
    fields: dict[str, object] = {
        "file": record.pathname,
        "line": record.lineno,
        "function": record.funcName,
        "thread": record.threadName,
        "process": record.process,
    }
    for name in extra:
        fields[name] = said[name]
    message, args = record.msg, record.args
    if type(message) is not str or type(args) is not tuple or type(record) is not logging.LogRecord:
        if type(message) is dict and "_logger" in said:
            return _send_event(record, message, fields, sink)
        message, args = _formatted(record, fields)
    severity = _SEVERITIES.get(record.levelno)
    if severity is None:
        severity = _levels.from_anything(record.levelno)
        fields.setdefault("level_name", record.levelname)
    exc_info = record.exc_info or None
    if exc_info is None and record.exc_text:
        # From another process, as `SocketHandler` sends it.
        fields.setdefault("exc_text", record.exc_text)
    if record.stack_info:
        fields.setdefault("stack_info", record.stack_info)
    if record.processName != "MainProcess" and record.processName is not None:
        fields.setdefault("process_name", record.processName)
    task = said.get("taskName")
    if task is not None:
        fields.setdefault("task", task)
    sink.log(severity, message, args, record.name, _get(), None, fields, exc_info, int(record.created * 1e9))
    return None


def _formatted(record: logging.LogRecord, fields: dict[str, object]) -> tuple[object, tuple[object, ...]]:
    """The message and its arguments where they are not a string and a tuple."""
    if record.args is None and "message" in record.__dict__ and isinstance(record.msg, str):
        # `QueueHandler` put the arguments and the traceback into the message.
        message, found, traceback = record.msg.partition(_TRACEBACK)
        if found:
            fields.setdefault("exc_text", found[1:] + traceback)
        return message, ()
    try:
        return record.getMessage(), ()
    except Exception:
        if record.args:
            fields.setdefault("args", record.args)
        return record.msg, ()


def _send_event(record: logging.LogRecord, event: dict[str, Any], fields: dict[str, object], sink: Sink) -> None:
    """Sends an event of structlog that waits in the record for structlog's formatter."""
    for name in _OF_STRUCTLOG:
        fields.pop(name, None)
    fields.update(event)
    if record.exc_info:
        fields.setdefault("exc_info", record.exc_info)
    severity = _levels.from_anything(record.levelno)
    _event.send(sink, severity, fields, record.name, int(record.created * 1e9))

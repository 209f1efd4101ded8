"""A record of the ``logging`` module -> a record of ours. Filters nothing and changes nothing: other handlers get the
record after us.

What a record has besides the stdlib's own attributes came by ``extra=``, an adapter, a filter or a record factory, and
becomes fields. The common record takes a short way: the stdlib's attributes stand first in its ``__dict__``, in the
order in which ``LogRecord`` sets them, so what stands behind them is found without asking for each name.
"""

from __future__ import annotations

import logging
from typing import Any

from millpond import _event, _levels
from millpond._context import _current
from millpond._sink import Sink

_OWN_IN_ORDER = tuple(logging.LogRecord("", 0, "", 0, "", (), None).__dict__)
_OWN_COUNT = len(_OWN_IN_ORDER)
_OWN_LAST = _OWN_IN_ORDER[-1]
#: Formatters leave ``message`` and ``asctime``; a record of a newer Python may have ``taskName``.
_OWN = frozenset(_OWN_IN_ORDER) | {"message", "asctime", "taskName"}
#: How many fields say where a record comes from.
_PLACE_COUNT = 5
#: What structlog's ``wrap_for_formatter`` leaves in a record.
_OF_STRUCTLOG = ("_logger", "_name", "_record", "_from_structlog")
#: Levels whose names say no more than the severity.
_SEVERITIES = {number: _levels.from_stdlib(number) for number in (10, 20, 30, 40, 50)}
_TRACEBACK = "\nTraceback (most recent call last):\n"

_get = _current.get


def send(record: logging.LogRecord, sink: Sink) -> None:
    """Sends the record.

    :raises Exception: the record is broken, its time is no number, say.
    """
    try:
        _send(record, sink)
    except AttributeError:
        # Somebody removed what was noise to them.
        _send(logging.makeLogRecord(record.__dict__), sink)


def _send(record: logging.LogRecord, sink: Sink) -> None:
    said = record.__dict__
    fields: dict[str, object] = {
        "file": record.pathname,
        "line": record.lineno,
        "function": record.funcName,
        "thread": record.threadName,
        "process": record.process,
    }
    name = ""
    for name in reversed(said):
        if name in _OWN:
            break
        fields[name] = said[name]
    if name != _OWN_LAST or len(fields) - _PLACE_COUNT != len(said) - _OWN_COUNT:
        fields.update((name, said[name]) for name in said if name not in _OWN)
    message, args = record.msg, record.args
    if type(message) is not str or type(args) is not tuple or type(record) is not logging.LogRecord:
        if type(message) is dict and "_logger" in said:
            _send_event(record, message, fields, sink)
            return
        message, args = _formatted(record, fields)
    severity = _SEVERITIES.get(record.levelno)
    if severity is None:
        severity = _levels.from_anything(record.levelno)
        fields.setdefault("level_name", record.levelname)
    exc_info = record.exc_info or None
    if record.exc_text or record.stack_info or record.processName != "MainProcess" or said.get("taskName"):
        _add_rare(record, fields)
    sink.log(severity, message, args, record.name, _get(), None, fields, exc_info, int(record.created * 1e9))


def _add_rare(record: logging.LogRecord, fields: dict[str, object]) -> None:
    if record.exc_text and not record.exc_info:
        # From another process, as `SocketHandler` sends it.
        fields.setdefault("exc_text", record.exc_text)
    if record.stack_info:
        fields.setdefault("stack_info", record.stack_info)
    if record.processName is not None and record.processName != "MainProcess":
        fields.setdefault("process_name", record.processName)
    task = record.__dict__.get("taskName")
    if task is not None:
        fields.setdefault("task", task)


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

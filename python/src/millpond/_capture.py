"""Takes every record that goes through a stdlib logger, and leaves the application's logging as it is.

By wrapping ``Logger.callHandlers``, the one place that each record passes after levels and filters and before all
handlers. A handler at the root would turn a later ``basicConfig`` into a no-op, silence ``lastResort``, go with the
next ``dictConfig`` and miss loggers that do not propagate; a record factory sees records that filters drop, without
their ``extra=``, and only one of them can be set.

A record that was taken is marked, so that it is not taken again: by a :class:`millpond.Handler` in the same chain or
behind a queue, or by another logger that it is handed to. Others may wrap ``callHandlers`` too, before or after us;
what they put there is never removed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator
from functools import wraps
from typing import Any, ClassVar

from millpond._runtime import runtime
from millpond._stdlib import send

_CallHandlers = Callable[[logging.Logger, logging.LogRecord], None]
#: Marks a record that can't be marked by its class.
_MARK = "_millpond"


class _State:
    """Whether records are taken, and from whom not. Parts are replaced whole, without a lock that a fork could hold."""

    active = False
    #: Names of loggers, each with a dot at its end.
    ignored: tuple[str, ...] = ()
    #: As above, of those that repeat what somebody else records.
    repeating: tuple[str, ...] = ()
    #: What each wrapper of ours wraps.
    originals: ClassVar[dict[_CallHandlers, _CallHandlers]] = {}


class TakenRecord(logging.LogRecord):
    """A record that was taken. Its class says so, because an attribute would appear in the output of every formatter
    that prints what it doesn't know. Pickled, it is a plain record with an attribute: who reads it need not have this
    package."""

    def __copy__(self) -> TakenRecord:
        twin = TakenRecord.__new__(TakenRecord)
        twin.__dict__.update(self.__dict__)
        return twin

    def __reduce_ex__(self, _protocol: object) -> tuple[Any, ...]:
        return logging.makeLogRecord, ({**self.__dict__, _MARK: True},)


def is_taken(record: logging.LogRecord) -> bool:
    """Whether the record is sent already."""
    return type(record) is TakenRecord or _MARK in record.__dict__


def capture(*, ignore: Collection[str] = ()) -> None:
    """Takes all records of stdlib loggers from now on, as far as levels and filters let them through. Calling it again
    only replaces what is ignored.

    :param ignore: names of loggers whose records are not taken, nor those of the loggers below them.
    """
    names = (ignore,) if isinstance(ignore, str) else ignore
    _State.ignored = tuple(f"{name}." for name in names)
    _State.active = True
    for cls in _deciding_classes(logging.Logger):
        current = cls.__dict__["callHandlers"]
        # Ours may be further inside: the mark keeps two of them from taking a record twice.
        if current not in _State.originals:
            wrapper = _wrapper(current)
            _State.originals[wrapper] = current
            cls.callHandlers = wrapper  # type: ignore[assignment, method-assign]


def leave_out(names: Collection[str]) -> None:
    """Takes no records of these loggers from now on: they only repeat what is recorded in another way."""
    _State.repeating = tuple({*_State.repeating, *(f"{name}." for name in names)})


def release() -> None:
    """Ends it. Where somebody else wrapped ours, ours stays inside and only passes records on."""
    _State.active = False
    for cls in _deciding_classes(logging.Logger):
        while cls.__dict__["callHandlers"] in _State.originals:
            cls.callHandlers = _State.originals[cls.__dict__["callHandlers"]]  # type: ignore[assignment, method-assign]


def _deciding_classes(cls: type[logging.Logger]) -> Iterator[type[logging.Logger]]:
    """``Logger``, and the classes below it whose ``callHandlers`` does not come back to that of ``Logger``."""
    method = cls.__dict__.get("callHandlers")
    if method is not None:
        code = getattr(method, "__code__", None)
        if cls is logging.Logger or code is None or "callHandlers" not in code.co_names:
            yield cls
    for below in cls.__subclasses__():
        yield from _deciding_classes(below)


def _wrapper(original: _CallHandlers) -> _CallHandlers:
    @wraps(original)
    def call_handlers(self: logging.Logger, record: logging.LogRecord) -> None:
        if _State.active:
            _take(record)
        return original(self, record)

    return call_handlers


def _take(record: logging.LogRecord) -> None:
    try:
        left_out = _State.ignored + _State.repeating
        if is_taken(record) or (left_out and f"{record.name}.".startswith(left_out)):
            return
        send(record, runtime)
        if type(record) is logging.LogRecord:
            record.__class__ = TakenRecord
        else:
            setattr(record, _MARK, True)
    except Exception:
        try:
            logging.NullHandler().handleError(record)
        except Exception:
            pass  # There may be no stderr to tell it.

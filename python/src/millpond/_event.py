"""An event dictionary of structlog -> a record of ours.

Knows the keys that structlog's own processors write. Needs no structlog: such dictionaries also arrive inside of
stdlib records.
"""

from __future__ import annotations

import sys
import traceback
from datetime import datetime, timedelta, timezone
from types import FrameType
from typing import TYPE_CHECKING, Any

from millpond import _levels
from millpond._context import _current

if TYPE_CHECKING:
    from millpond._sink import Sink

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)
#: Seconds since the epoch that a number must have to be taken for a time: from 1973 to 2262, the last year that
#: nanoseconds in 64 bits reach.
_SECONDS_MIN = 100_000_000
_SECONDS_MAX = 9_223_372_036
#: Keys with a meaning of their own; a dictionary without them is all fields.
_MEANT = frozenset(("exc_info", "exception", "logger", "positional_args", "stack_info", "timestamp"))
_LIBRARIES = ("structlog", "millpond", "asyncio", "concurrent", "threading")

_get = _current.get


def severity_of(method: str, fields: dict[str, object]) -> int:
    """The severity of what a method of this name logged, or that of the key ``level`` where the name says none. A
    name that is no level becomes the field ``level_name``."""
    severity = _levels.from_name(method)
    if severity is not None:
        return severity
    if method not in ("log", "msg"):
        fields.setdefault("level_name", method)
    level = fields.get("level")
    return (_levels.from_name(level) if isinstance(level, str) else None) or _levels.INFO


def send(
    sink: Sink, severity: int, fields: dict[str, Any], logger: str | None = None, time_ns: int | None = None
) -> None:
    """Sends the event and keeps the dictionary, which must be nobody else's."""
    message = fields.pop("event", "")
    level = fields.get("level")
    if isinstance(level, str) and _levels.from_name(level) == severity:
        del fields["level"]
    if _MEANT.isdisjoint(fields):
        sink.log(severity, message, (), logger, _get(), None, fields, None, time_ns)
        return
    exc_info = fields.pop("exc_info", None)
    args = fields.pop("positional_args", ())
    if isinstance(fields.get("logger"), str):
        logger = fields.pop("logger")
    if isinstance(fields.get("exception"), str):
        # `format_exc_info` came first: only the text is left.
        fields["exc_text"] = fields.pop("exception")
    stack_info = fields.pop("stack_info", None)
    if stack_info:
        fields["stack_info"] = stack_info if isinstance(stack_info, str) else _stack()
    stamp = time_of(fields.get("timestamp"))
    if stamp is not None:
        time_ns = stamp
        del fields["timestamp"]
    args = args if isinstance(args, tuple) else (args,)
    sink.log(severity, message, args, logger, _get(), None, fields, exc_info, time_ns)


def time_of(stamp: object) -> int | None:
    """Nanoseconds since the epoch, if this is a time that leaves no doubt: a datetime with an offset, as ISO 8601 too,
    or seconds since the epoch as a float."""
    try:
        if isinstance(stamp, float):
            return int(stamp * 1e9) if _SECONDS_MIN <= stamp <= _SECONDS_MAX else None
        if isinstance(stamp, str):
            # "Z" is understood from Python 3.11 on.
            stamp = datetime.fromisoformat(f"{stamp[:-1]}+00:00" if stamp[-1:] == "Z" else stamp)
        if not isinstance(stamp, datetime) or stamp.utcoffset() is None:
            return None
        seconds_ns = (stamp - _EPOCH) // _MICROSECOND * 1000
    except Exception:
        return None
    return seconds_ns if 0 <= seconds_ns <= _SECONDS_MAX * 10**9 else None


def _stack() -> str:
    """The stack of whoever logged, without the libraries in between."""
    frame: FrameType | None = sys._getframe()
    while frame is not None and str(frame.f_globals.get("__name__")).partition(".")[0] in _LIBRARIES:
        frame = frame.f_back
    return "Stack (most recent call last):\n" + "".join(traceback.format_stack(frame)).rstrip()

"""Times as the server writes and reads them: RFC 3339 with nanoseconds."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone
from typing import Union

#: A time as callers give it: an aware ``datetime``; a naive one, which is **local time**; a ``date``, its local
#: midnight; or a text as the server reads it, which is UTC if it names no offset (``2026-01-31T12:00:00Z``).
Moment = Union[datetime, date, str]

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_FORM = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?(?:[Zz]|([+-]\d\d:\d\d))")


def nanoseconds(text: str) -> int:
    """Nanoseconds since the epoch, of a time that the server wrote."""
    form = _FORM.fullmatch(text)
    if form is None:
        raise ValueError(f"{text!r} is no time, expected one such as 2026-01-31T12:00:00.123456789Z")
    day, time, fraction, offset = form.groups()
    since = datetime.fromisoformat(f"{day}T{time}{offset or '+00:00'}") - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + int((fraction or "").ljust(9, "0"))


def utc(time_ns: int) -> datetime:
    """The time as an aware ``datetime`` in UTC, cut to microseconds."""
    return _EPOCH + timedelta(microseconds=time_ns // 1000)


def period(from_: Moment | None, to: Moment | None, last: timedelta | None) -> tuple[str | None, str | None]:
    """The bounds of a query as the server takes them."""
    if last is not None:
        if from_ is not None:
            raise ValueError("both from_ and last say when the period begins, expected one of them")
        if not isinstance(last, timedelta):
            raise TypeError(f"last is {last!r} ({type(last).__name__}), expected a timedelta")
        if last <= timedelta(0):
            raise ValueError(f"last is {last!r}, expected a time above 0")
        from_ = datetime.now(timezone.utc) - last
    return _written("from_", from_), _written("to", to)


def _written(name: str, moment: Moment | None) -> str | None:
    if moment is None or isinstance(moment, str):
        return moment
    if not isinstance(moment, date):
        raise TypeError(
            f"{name} is {moment!r} ({type(moment).__name__}), expected a datetime, a date or a text such as "
            "2026-01-31T12:00:00Z; for seconds since the epoch say datetime.fromtimestamp(seconds, timezone.utc)"
        )
    try:
        return _rfc3339(moment)
    except (ArithmeticError, OSError, TypeError, ValueError) as error:
        raise ValueError(f"{name} is {moment!r}, expected a time between 1677 and 2262: {error}") from error


def _rfc3339(moment: date) -> str:
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day)
    # A `pandas.Timestamp` has nanoseconds, and its own idea of `astimezone`.
    plain = datetime(
        moment.year,
        moment.month,
        moment.day,
        moment.hour,
        moment.minute,
        moment.second,
        moment.microsecond,
        tzinfo=moment.tzinfo,
        fold=moment.fold,
    )
    nanosecond: int = getattr(moment, "nanosecond", 0)
    plain = plain.astimezone(timezone.utc).replace(tzinfo=None)
    return f"{plain.isoformat(timespec='microseconds')}{nanosecond:03}Z"

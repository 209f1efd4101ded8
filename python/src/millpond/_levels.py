"""Level names and numbers -> OpenTelemetry severity numbers, which is what a record carries."""

from __future__ import annotations

TRACE = 1
DEBUG = 5
INFO = 9
WARN = 13
ERROR = 17
CRITICAL = 21

_NAMES = {
    "trace": TRACE,
    "verbose": TRACE,
    "debug": DEBUG,
    "info": INFO,
    "information": INFO,
    "notice": INFO + 1,
    "warn": WARN,
    "warning": WARN,
    "error": ERROR,
    "err": ERROR,
    "exception": ERROR,
    "critical": CRITICAL,
    "crit": CRITICAL,
    "fatal": CRITICAL,
    "alert": CRITICAL + 1,
    "emergency": CRITICAL + 3,
}


def from_name(name: str) -> int | None:
    """The severity that a level name or one of its synonyms stands for."""
    return _NAMES.get(name.strip().lower())


def from_stdlib(number: int) -> int:
    """The severity of a stdlib level: 10, 20, … are the named ones, those between keep their order."""
    if number < 10:
        return TRACE
    if number >= 50:
        return CRITICAL
    tens, rest = divmod(number, 10)
    return 4 * tens + 1 + (4 * rest) // 10


def from_anything(level: object) -> int:
    """The severity of what a caller gave as a level; ``INFO`` for what is none, because a log call never raises."""
    try:
        if isinstance(level, str):
            return from_name(level) or INFO
        if isinstance(level, int):
            return from_stdlib(int(level))
    except Exception:
        pass  # A subclass with methods of its own.
    return INFO

"""Levels of LogTide, and the states of a circuit breaker."""

from __future__ import annotations

from enum import Enum


class LogLevel(str, Enum):
    """A severity as LogTide spells it; it has these five."""

    DEBUG = "debug"
    INFO = "info"
    WARN = "warn"
    ERROR = "error"
    CRITICAL = "critical"

    def __new__(cls, value: str) -> LogLevel:
        # Without it, type checkers think that the class may be called like `str`.
        member = str.__new__(cls, value)
        member._value_ = value
        return member


class CircuitState(str, Enum):
    """Whether requests are made (``CLOSED``), not made (``OPEN``), or tried (``HALF_OPEN``)."""

    CLOSED = "CLOSED"
    OPEN = "OPEN"
    HALF_OPEN = "HALF_OPEN"

    def __new__(cls, value: str) -> CircuitState:
        # Without it, type checkers think that the class may be called like `str`.
        member = str.__new__(cls, value)
        member._value_ = value
        return member


_LEVELS = {
    **{level.value: level for level in LogLevel},
    "notset": LogLevel.DEBUG,
    "trace": LogLevel.DEBUG,
    "notice": LogLevel.INFO,
    "success": LogLevel.INFO,
    "msg": LogLevel.INFO,
    "warning": LogLevel.WARN,
    "exception": LogLevel.ERROR,
    "err": LogLevel.ERROR,
    "fatal": LogLevel.CRITICAL,
    "alert": LogLevel.CRITICAL,
    "emergency": LogLevel.CRITICAL,
}


def level_named(name: object) -> LogLevel | None:
    """The level of this name, of those that other libraries use too; ``None`` if it is none."""
    return _LEVELS.get(name.lower()) if isinstance(name, str) else None

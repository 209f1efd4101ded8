"""The five levels and their order."""

from __future__ import annotations

from enum import Enum


class LogLevel(str, Enum):
    """A level, which is equal to its name on the wire."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"

    def __new__(cls, value: str) -> LogLevel:
        """The level of this name."""
        level = str.__new__(cls, value)
        level._value_ = value
        return level


#: As the stdlib numbers them.
LEVEL_WEIGHTS = {
    LogLevel.DEBUG: 10,
    LogLevel.INFO: 20,
    LogLevel.WARNING: 30,
    LogLevel.ERROR: 40,
    LogLevel.CRITICAL: 50,
}
DEFAULT_MIN_LEVEL = LogLevel.INFO
DEFAULT_MIN_LEVEL_WEIGHT = LEVEL_WEIGHTS[DEFAULT_MIN_LEVEL]

__all__ = ["DEFAULT_MIN_LEVEL", "DEFAULT_MIN_LEVEL_WEIGHT", "LEVEL_WEIGHTS", "LogLevel"]

"""The exceptions of the package."""

from __future__ import annotations


class LogTideError(Exception):
    """What all of them are."""


class CircuitBreakerOpenError(LogTideError):
    """A call was not made, because those before it failed."""


class BufferFullError(LogTideError):
    """There is no room for an entry. Nothing raises it: such an entry is counted as dropped."""

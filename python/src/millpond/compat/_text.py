"""Texts of values whose classes are the application's."""

from __future__ import annotations

from collections.abc import Callable


def text_of(value: object, write: Callable[[object], str] = str) -> str:
    """What ``str()``, or ``repr()``, makes of it; if that raises, what it is of. Never raises."""
    try:
        return write(value)
    except Exception:
        return f"<unprintable {type(value).__name__}>"

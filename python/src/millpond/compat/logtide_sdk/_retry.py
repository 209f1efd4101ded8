"""Which failures of a request are worth another try. The engine decides this for the clients by itself."""

from __future__ import annotations

import math
from typing import Any

__all__ = ["classify_failure"]


def classify_failure(exc: Exception) -> tuple[bool, float | None]:
    """Whether to try again, and the seconds that the server asks to wait, if it says so."""
    status, headers = _status_and_headers(exc)
    can_retry = status is None or status in (408, 429) or status >= 500
    return can_retry, _retry_after(headers)


def _status_and_headers(exc: Exception) -> tuple[int | None, Any]:
    """Of an error of requests (which has a response) or of aiohttp (which has them itself)."""
    answer = getattr(exc, "response", None)
    source: Any = exc if answer is None else answer
    status = getattr(source, "status_code", None)
    status = getattr(source, "status", None) if status is None else status
    return (status if isinstance(status, int) else None), getattr(source, "headers", None)


def _retry_after(headers: Any) -> float | None:
    try:
        seconds = float(headers.get("Retry-After"))
    except (AttributeError, TypeError, ValueError):
        return None
    return seconds if seconds >= 0 and math.isfinite(seconds) else None

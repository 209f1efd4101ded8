"""Times as the wire writes them."""

from __future__ import annotations

from datetime import datetime, timezone


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(timezone.utc)


def with_offset(time: datetime) -> str:
    """How a log has its time: ``2026-01-02T03:04:05.678901+00:00``."""
    return time.isoformat(timespec="microseconds")


def with_z(time: datetime) -> str:
    """How a request and the console have it: ``2026-01-02T03:04:05.678901Z``."""
    return with_offset(time).replace("+00:00", "Z")

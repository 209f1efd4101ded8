"""What is sent: one log, and the logs of one request."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any


@dataclass
class LogEvent:
    """One log."""

    timestamp: datetime
    level: str
    message: str
    loggerName: str  # noqa: N815
    metadata: dict[str, Any] = field(default_factory=dict)
    #: ``{"traceback": text}``.
    exception: dict[str, Any] | None = None


@dataclass
class RequestLogPayload:
    """A request, or a part of one, with its logs."""

    correlationId: str  # noqa: N815
    #: ISO 8601 in UTC, with a ``Z``.
    startedAt: str  # noqa: N815
    endedAt: str  # noqa: N815
    durationMS: float  # noqa: N815
    #: ``method``, ``path`` and ``statusCode``.
    request: dict[str, Any]
    logs: list[dict[str, Any]] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """All of it, as it is on the wire; a copy."""
        return asdict(self)


__all__ = ["LogEvent", "RequestLogPayload"]

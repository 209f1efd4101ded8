"""One log -> a transport."""

from __future__ import annotations

from typing import Any

from millpond.compat.logiscout_logger.events import LogEvent
from millpond.compat.logiscout_logger.transports.base import Transport


class TransportProcessor:
    """A structlog processor that hands each log of ``build_log_event`` to a transport, unless the event says that it is
    not to be sent."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def __call__(self, logger: Any, method_name: str, event_dict: dict[str, Any]) -> dict[str, Any]:
        """Passes the event on as it is."""
        event = event_dict.get("_log_event")
        if isinstance(event, LogEvent) and event_dict.get("_send", True):
            self._transport.send(event)
        return event_dict


__all__ = ["TransportProcessor"]

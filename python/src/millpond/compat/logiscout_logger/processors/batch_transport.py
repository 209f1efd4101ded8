"""One request -> a transport."""

from __future__ import annotations

from millpond.compat.logiscout_logger.events import RequestLogPayload
from millpond.compat.logiscout_logger.transports.base import Transport


class BatchTransportProcessor:
    """Hands requests to a transport, each at once."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def send_payload(self, payload: RequestLogPayload) -> None:
        """Hands it over."""
        self._transport.send_batch(payload)


__all__ = ["BatchTransportProcessor"]

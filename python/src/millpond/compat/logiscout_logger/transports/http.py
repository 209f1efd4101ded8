"""The way to the server: one ``millpond.Shipper``, which batches, retries and never blocks.

This says when a batch is due and what is around it. Nothing here waits but ``flush``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from millpond import Shipper
from millpond.compat.logiscout_logger import _payloads
from millpond.compat.logiscout_logger.events import LogEvent, RequestLogPayload
from millpond.compat.logiscout_logger.transports.base import Transport

#: How long a log waits for others at most.
_WAIT_S = 30.0
#: How long ``flush`` waits.
_FLUSH_S = 10.0


class HTTPTransport(Transport):
    """Sends to this address, with this token."""

    def __init__(self, endpoint_url: str, api_token: str | None = None) -> None:
        self._url = endpoint_url
        self._headers = {"Authorization": f"Bearer {api_token}"} if api_token else {}
        self._logs_waiting = 0
        self._logs_max = _payloads.LOGS_MAX
        self._shipper = self._made(_WAIT_S)

    def _made(self, batch_age_s: float) -> Shipper:
        return Shipper(
            self._url,
            headers=self._headers,
            prefix='{"payloads":[',
            suffix="]}",
            batch_age_s=batch_age_s,
            batch_bytes_max=_payloads.BODY_BYTES_MAX,
        )

    def use_batches(self, logs_max: int, wait_s: float) -> None:
        """Has a batch sent as soon as so many logs wait, or one of them for so long. To be called before it is used."""
        self._logs_max = logs_max
        if wait_s != _WAIT_S:
            self._shipper = self._made(wait_s)

    def ship(self, payload: Mapping[str, Any]) -> None:
        """Queues a payload."""
        self._shipper.ship(payload)
        # Threads may count past each other: a batch leaves a little later then, or at its age.
        self._logs_waiting += len(payload["logs"])
        if self._logs_waiting >= self._logs_max:
            self._logs_waiting = 0
            self._shipper.hasten()

    def send(self, event: LogEvent) -> None:
        """Queues a log that belongs to no request."""
        for payload in _payloads.slices(_payloads.single_head(), [_payloads.written(event)]):
            self.ship(payload)

    def send_batch(self, payload: RequestLogPayload) -> None:
        """Queues a request."""
        self.ship(payload.to_dict())

    def send_batch_of_batches(self, batch: dict[str, Any]) -> None:
        """Queues the requests of ``{"payloads": […]}``."""
        for payload in batch.get("payloads", ()):
            self.ship(payload)

    def flush(self) -> bool:
        """Waits until everything is delivered, for ten seconds at most; whether it was."""
        self._logs_waiting = 0
        return self._shipper.flush(_FLUSH_S)

    async def flush_async(self) -> bool:
        """The same, while the event loop runs."""
        self._logs_waiting = 0
        return await self._shipper.flush_async(_FLUSH_S)


__all__ = ["HTTPTransport"]

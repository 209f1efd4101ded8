"""Requests -> payloads for a transport."""

from __future__ import annotations

import json
from typing import Any

from millpond._native import Written
from millpond.compat.logiscout_logger import _payloads, _setup
from millpond.compat.logiscout_logger.events import RequestLogPayload
from millpond.compat.logiscout_logger.transports.base import Transport
from millpond.compat.logiscout_logger.transports.http import HTTPTransport


class BatchManager:
    """Cuts requests into payloads, says which service they are of, and hands them on. An :class:`HTTPTransport` batches
    them; another transport gets each at once, and the other two arguments are for nothing.

    :param transport: takes the payloads.
    :param max_logs: most logs of a payload, and how many of them have a batch sent.
    :param max_wait_seconds: how long one waits for that at most.
    """

    def __init__(self, transport: Any, max_logs: int = _payloads.LOGS_MAX, max_wait_seconds: float = 30.0) -> None:
        self._transport: Transport = transport
        self._logs_max = max_logs
        if isinstance(transport, HTTPTransport):
            transport.use_batches(max_logs, max_wait_seconds)

    def add_payload(self, payload: RequestLogPayload) -> None:
        """Takes a request with its logs."""
        members = payload.to_dict()
        logs = members.pop("logs")
        self.add(members, [Written(log, _payloads.LOG_BYTES_MAX) for log in logs])

    def add(self, head: _payloads.Head, logs: list[Written]) -> None:
        """Takes logs of a request with this head."""
        setup = _setup.current()
        described = {**head, "serviceName": setup.service_name, "environment": setup.environment}
        for payload in _payloads.slices(described, logs, self._logs_max):
            if isinstance(self._transport, HTTPTransport):
                self._transport.ship(payload)
            else:
                self._transport.send_batch_of_batches({"payloads": [json.loads(str(Written(payload)))]})

    def flush(self) -> None:
        """Waits until everything is delivered, for ten seconds at most."""
        if isinstance(self._transport, HTTPTransport):
            self._transport.flush()

    def shutdown(self) -> None:
        """The same; what comes later is sent too."""
        self.flush()


__all__ = ["BatchManager"]

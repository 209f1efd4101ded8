"""A log -> the request it belongs to, or the server."""

from __future__ import annotations

from millpond.compat.logiscout_logger import _payloads, _setup
from millpond.compat.logiscout_logger.buffer.requestBuffer import _request_buffer, ship
from millpond.compat.logiscout_logger.events import LogEvent


def deliver(event: LogEvent, correlation_id: object = None) -> None:
    """Has the log sent with the request of this context; without one, by itself, under this id or one of its own.
    Outside of production the request only shows it to whoever asks."""
    request = _request_buffer.get()
    if request is not None:
        request.add(_payloads.written(event))
    elif _setup.current().batch_manager is not None:
        ship(_payloads.single_head(correlation_id), [_payloads.written(event)])

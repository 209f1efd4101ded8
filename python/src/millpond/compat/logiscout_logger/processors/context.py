"""A log -> the request that is going on."""

from __future__ import annotations

import dataclasses
from typing import Any

from millpond.compat.logiscout_logger import _structlog
from millpond.compat.logiscout_logger._delivery import deliver
from millpond.compat.logiscout_logger.events import LogEvent


def push_to_request_buffer(logger: Any, method_name: str, event_dict: dict[str, Any]) -> dict[str, Any]:
    """A structlog processor: has the log of ``build_log_event`` sent with its request, or by itself without one, unless
    the event says that it is not to be sent."""
    event = event_dict.get("_log_event")
    if isinstance(event, LogEvent) and event_dict.get("_send", True):
        metadata = {name: value for name, value in event.metadata.items() if name not in _structlog.REQUEST_NAMES}
        deliver(dataclasses.replace(event, metadata=metadata), event.metadata.get("correlation_id"))
    return event_dict


__all__ = ["push_to_request_buffer"]

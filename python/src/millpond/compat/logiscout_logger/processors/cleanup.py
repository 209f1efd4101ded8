"""Takes out of an event dictionary what is not for the console."""

from __future__ import annotations

from typing import Any

from millpond.compat.logiscout_logger import _structlog

_INTERNAL_KEYS = ("_log_event", "_send", *_structlog.REQUEST_NAMES)


def remove_internal_fields(logger: Any, method_name: str, event_dict: dict[str, Any]) -> dict[str, Any]:
    """A structlog processor for the place before the renderer."""
    for name in _INTERNAL_KEYS:
        event_dict.pop(name, None)
    return event_dict


__all__ = ["remove_internal_fields"]

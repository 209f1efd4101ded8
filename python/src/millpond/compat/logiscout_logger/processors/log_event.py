"""An event dictionary of structlog -> a log."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from millpond.compat.logiscout_logger import _times
from millpond.compat.logiscout_logger.events import LogEvent
from millpond.compat.logiscout_logger.levels import LogLevel

_LEVELS = frozenset(level.value for level in LogLevel)
#: What is no metadata.
_OWN_KEYS = frozenset(("event", "exception", "level", "logger", "timestamp", "_send"))


def build_log_event(logger: Any, method_name: str, event_dict: dict[str, Any]) -> dict[str, Any]:
    """A structlog processor: adds the log that the event is, as ``_log_event``. A level that there is not is ``info``,
    a time that can't be read is now."""
    level = event_dict.get("level", method_name)
    exception = event_dict.get("exception")
    event_dict["_log_event"] = LogEvent(
        timestamp=_time(event_dict.get("timestamp")),
        level=level if level in _LEVELS else LogLevel.INFO.value,
        message=event_dict.get("event"),  # type: ignore[arg-type]
        loggerName=event_dict.get("logger"),  # type: ignore[arg-type]
        metadata={name: value for name, value in event_dict.items() if name not in _OWN_KEYS},
        exception={"traceback": exception} if exception else None,
    )
    return event_dict


def _time(stamp: object) -> datetime:
    if isinstance(stamp, str):
        try:
            # "Z" is understood from Python 3.11 on.
            return datetime.fromisoformat(f"{stamp[:-1]}+00:00" if stamp[-1:] == "Z" else stamp)
        except ValueError:
            pass
    return _times.now()


__all__ = ["build_log_event"]

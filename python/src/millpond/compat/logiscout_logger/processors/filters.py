"""structlog processors that drop what is below a level. Only what drops an event needs structlog."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from millpond.compat.logiscout_logger.levels import LEVEL_WEIGHTS, LogLevel

_WEIGHTS = {level.value: weight for level, weight in LEVEL_WEIGHTS.items()}


def create_level_filter(
    min_level: LogLevel = LogLevel.INFO,
) -> Callable[[Any, str, dict[str, Any]], dict[str, Any]]:
    """A filter that passes events of this level and above; a level that there is not is below all of them."""
    least = LEVEL_WEIGHTS[min_level]

    def filter_by_level(logger: Any, method_name: str, event_dict: dict[str, Any]) -> dict[str, Any]:
        if _WEIGHTS.get(event_dict.get("level", method_name), 0) < least:
            import structlog

            raise structlog.DropEvent
        return event_dict

    return filter_by_level


filter_info_and_above = create_level_filter(LogLevel.INFO)
filter_warning_and_above = create_level_filter(LogLevel.WARNING)
filter_error_and_above = create_level_filter(LogLevel.ERROR)

__all__ = ["create_level_filter", "filter_error_and_above", "filter_info_and_above", "filter_warning_and_above"]

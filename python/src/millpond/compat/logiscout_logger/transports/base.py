"""What a transport of one's own has to have."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from millpond.compat.logiscout_logger.events import LogEvent, RequestLogPayload


class Transport(ABC):
    """Takes logs. One that does not override a method ignores what it would get."""

    @abstractmethod
    def send(self, event: LogEvent) -> None:
        """Takes one log."""

    def send_batch(self, payload: RequestLogPayload) -> None:  # noqa: B027
        """Takes a request."""

    def send_batch_of_batches(self, batch: dict[str, Any]) -> None:  # noqa: B027
        """Takes ``{"payloads": […]}``."""


__all__ = ["Transport"]

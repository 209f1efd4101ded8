"""Logs as Python shows them, for a look at what would be sent."""

from __future__ import annotations

from pprint import pprint

from millpond.compat.logiscout_logger.events import LogEvent
from millpond.compat.logiscout_logger.transports.base import Transport


class ConsoleTransport(Transport):
    """Prints to stdout."""

    def send(self, event: LogEvent) -> None:
        """Prints the log."""
        pprint(event)


__all__ = ["ConsoleTransport"]

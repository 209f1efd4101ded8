"""Where logs go."""

from __future__ import annotations

from millpond.compat.logiscout_logger.transports.console import ConsoleTransport

__all__ = ["ConsoleTransport"]

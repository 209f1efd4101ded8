"""What makes a request a unit."""

from __future__ import annotations

from millpond.compat.logiscout_logger.middlewares.configuration import asgiConfiguration, wsgiConfiguration

__all__ = ["asgiConfiguration", "wsgiConfiguration"]

"""What structlog's context variables say of a request, for those who log it themselves."""

from __future__ import annotations

from typing import Any

from millpond.compat.logiscout_logger import _structlog


def bind_access_context(method: str, path: str, status_code: int | None = None, duration: float | None = None) -> None:
    """Binds what is known of the request, if structlog is imported."""
    known: dict[str, Any] = {"http_method": method, "url_path": path}
    if status_code is not None:
        known["status_code"] = status_code
    if duration is not None:
        known["duration_ms"] = duration
    _structlog.bind(**known)


def log_access_entry(logger: Any, method: str, path: str, status_code: int, duration: float) -> None:
    """Logs that a request was answered; what it was is in the context variables and the payload."""
    logger.info("Access Log")


__all__ = ["bind_access_context", "log_access_entry"]

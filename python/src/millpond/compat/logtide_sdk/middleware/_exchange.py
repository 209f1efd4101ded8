"""The three entries of a request, the same for all frameworks: it came, it was answered, it failed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, Union

from millpond.compat.logtide_sdk.async_client import AsyncLogTideClient
from millpond.compat.logtide_sdk.client import LogTideClient
from millpond.compat.logtide_sdk.enums import LogLevel
from millpond.compat.logtide_sdk.serialization import serialize_exception

Client = Union[LogTideClient, AsyncLogTideClient]

REDACTED = "[REDACTED]"
#: What lets its holder in, in lower case.
_SECRET_HEADERS = frozenset(
    (
        "authorization",
        "cookie",
        "proxy-authorization",
        "set-cookie",
        "x-access-token",
        "x-api-key",
        "x-auth-token",
        "x-csrf-token",
        "x-csrftoken",
        "x-xsrf-token",
    )
)


def redacted(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The headers, without the secrets that are in them."""
    return {name: REDACTED if name.lower() in _SECRET_HEADERS else value for name, value in headers}


class Exchange:
    """A request on its way. What goes wrong here is not the application's concern."""

    def __init__(self, client: Client, service: str, method: str, path: str, trace_id: str) -> None:
        self._client = client
        self._service = service
        self._method = method
        self._path = path
        self.trace_id = trace_id
        self._begun = time.perf_counter()

    def came(self, ip: str | None, captured: Callable[[], dict[str, Any]]) -> None:
        """Logs that it came, with what is ``captured`` of it."""
        about = {"method": self._method, "path": self._path, "ip": ip}
        self._log(LogLevel.INFO, f"{self._method} {self._path}", about, captured)

    def answered(self, status: int, captured: Callable[[], dict[str, Any]]) -> None:
        """Logs how it was answered, with what is ``captured`` of that."""
        level = LogLevel.ERROR if status >= 500 else LogLevel.WARN if status >= 400 else LogLevel.INFO
        duration_ms = self._duration_ms()
        about = {"method": self._method, "path": self._path, "status": status, "duration_ms": round(duration_ms, 2)}
        self._log(level, f"{self._method} {self._path} {status} ({duration_ms:.0f}ms)", about, captured)

    def failed(self, error: BaseException) -> None:
        """Logs the exception that it failed with."""
        about = {"method": self._method, "path": self._path, "duration_ms": round(self._duration_ms(), 2)}
        described = serialize_exception(error)
        message = f"Request error: {self._method} {self._path} - {described['message']}"
        self._log(LogLevel.ERROR, message, about, lambda: {"exception": described})

    def _duration_ms(self) -> float:
        return (time.perf_counter() - self._begun) * 1000

    def _log(
        self, level: LogLevel, message: str, about: dict[str, Any], captured: Callable[[], dict[str, Any]]
    ) -> None:
        try:
            metadata = {**about, **captured()}
            if isinstance(self._client, AsyncLogTideClient):
                # Its coroutine has nothing to wait for.
                self._client._take_call(level, self._service, message, metadata, self.trace_id, None)
            else:
                log = getattr(self._client, level.value)
                log(self._service, message, metadata, trace_id=self.trace_id)
        except Exception:
            pass  # Logging fails no request.


def skipped_paths(skip_paths: Iterable[str] | None, health: Iterable[str], skip_health_check: bool) -> list[str]:
    """The paths whose requests are not logged."""
    return [*(skip_paths or ()), *(health if skip_health_check else ())]

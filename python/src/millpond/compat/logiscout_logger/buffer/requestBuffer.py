# ruff: noqa: N999
"""Gathers the logs of a request in a context variable until it ends.

Tasks and threads with a copy of the context share the request's logs; all of them may add at once. No log is sent
twice or lost: each is taken out by whoever sends it. What comes after the end is sent at once, under the same head; so
is what a long request has gathered, before all of it is known.
"""

from __future__ import annotations

import json
import os
import time
from collections import deque
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from millpond._native import Written
from millpond.compat.logiscout_logger import _payloads, _setup, _times
from millpond.compat.logiscout_logger.events import RequestLogPayload

#: How long a log waits for the end of its request, and how many bytes of them do. Looked at when another one comes.
_WAIT_S = 30.0
_BYTES_MAX = 8 << 20


class RequestBuffer:
    """One request, its logs, and at its end how it went."""

    def __init__(self, correlation_id: str) -> None:
        self.correlation_id = correlation_id
        self.started_at = _times.with_z(_times.now())
        self.request: dict[str, Any] = {}
        self.is_started = False
        self.duration_ms: float | None = None
        self.ended_at: str | None = None
        self.is_over = False
        self._logs: deque[Written] = deque()
        self._bytes = 0
        self._waits_since: float | None = None
        self._process = os.getpid()

    def head(self) -> dict[str, Any]:
        """What is known by now."""
        return _payloads.head(self.correlation_id, self.started_at, self.ended_at, self.duration_ms, self.request)

    def logs(self) -> list[Written]:
        """Those that wait; a copy."""
        return list(self._logs)

    def add(self, log: Written) -> None:
        """Keeps it until the end."""
        if self._process != os.getpid():
            # A forked child: what is here is the parent's, and the end may never come.
            ship(self.head(), [log])
            return
        self._logs.append(log)
        self._bytes += len(log)
        if self._waits_since is None:
            self._waits_since = time.monotonic()
        if self.is_over or self._bytes > _BYTES_MAX or time.monotonic() - self._waits_since > _WAIT_S:
            ship(self.head(), self.take())

    def end(self, status: int | None, duration_ms: float | None) -> None:
        """Says how the request went, and sends what it has; what comes from now on goes by itself."""
        if self.is_over or self._process != os.getpid():
            return
        self.request = {**self.request, "statusCode": status}
        self.duration_ms = duration_ms
        self.ended_at = _times.with_z(_times.now())
        # Before the logs are taken: one that is added in between is taken here or sent there.
        self.is_over = True
        ship(self.head(), self.take())

    def take(self) -> list[Written]:
        """The logs that wait, which do not any more."""
        self._bytes, self._waits_since = 0, None
        return list(self._taken())

    def _taken(self) -> Iterator[Written]:
        while True:
            try:
                yield self._logs.popleft()
            except IndexError:
                return


def ship(head: _payloads.Head, logs: list[Written]) -> None:
    """Sends them, if this is production."""
    manager = _setup.current().batch_manager
    if manager is not None and logs:
        manager.add(head, logs)


_request_buffer: ContextVar[RequestBuffer | None] = ContextVar("request_buffer", default=None)


def initialize_buffer(correlation_id: str) -> None:
    """Begins a request in this context."""
    _request_buffer.set(RequestBuffer(correlation_id))


def start_buffer() -> None:
    """Marks it as one whose logs are to be sent."""
    request = _request_buffer.get()
    if request is not None:
        request.is_started = True


def add_log_to_buffer(log_entry: dict[str, Any]) -> None:
    """Adds a log to the request of this context, if there is one."""
    request = _request_buffer.get()
    if request is not None:
        request.add(Written(log_entry, _payloads.LOG_BYTES_MAX))


def set_access_log_data(
    http_method: str, url_path: str, status_code: int | None = None, duration_ms: float | None = None
) -> None:
    """Says how the request of this context went, and that it ends now."""
    request = _request_buffer.get()
    if request is not None:
        request.request = {"method": http_method, "path": url_path, "statusCode": status_code}
        request.duration_ms = duration_ms
        request.ended_at = _times.with_z(_times.now())


def get_current_buffer() -> dict[str, Any] | None:
    """The request of this context and its logs so far; a copy."""
    request = _request_buffer.get()
    if request is None:
        return None
    return {
        "correlation_id": request.correlation_id,
        "started_at": request.started_at,
        "request": dict(request.request),
        "logs": [json.loads(str(log)) for log in request.logs()],
        "started": request.is_started,
        "duration_ms": request.duration_ms,
        "ended_at": request.ended_at,
    }


def flush_buffer() -> RequestLogPayload | None:
    """Ends the request of this context and gives its logs to the caller, instead of sending them; ``None`` if it has
    none."""
    request = _request_buffer.get()
    _request_buffer.set(None)
    if request is None:
        return None
    request.is_over = True
    logs = [json.loads(str(log)) for log in request.take()]
    if not logs or not request.is_started:
        return None
    return RequestLogPayload(**request.head(), logs=logs)


def clear_buffer() -> None:
    """Forgets the request of this context."""
    _request_buffer.set(None)


__all__ = [
    "add_log_to_buffer",
    "clear_buffer",
    "flush_buffer",
    "get_current_buffer",
    "initialize_buffer",
    "set_access_log_data",
    "start_buffer",
]

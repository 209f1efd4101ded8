"""Request logging for web frameworks. ASGI now: Starlette, FastAPI, Quart, Django under ASGI, plain ASGI."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any
from uuid import uuid4

from millpond._context import TraceContext, _clean_request_id, context, parse_traceparent
from millpond._init import get_logger
from millpond._logger import Logger
from millpond._init import flush

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

#: Not logged unless asked for.
HEALTH_PATHS = ("/health", "/healthz")
#: What nginx writes when the client went away before it was answered.
_CLIENT_CLOSED_REQUEST = 499


class ASGIMiddleware:
    """Logs each request once, when its response is complete, and gives all records of a request the same trace and
    request id.

    The record has ``method``, ``path``, ``route`` (if the framework tells), ``status``, ``duration_ms``, ``ip`` and
    ``user_agent``; its level is ``error`` from status 500 on, ``warn`` from 400 on, otherwise ``info``. The trace
    goes on from the ``traceparent`` header, the request id from ``X-Request-ID`` or ``X-Correlation-ID``; both are
    made if missing. The response tells the request id in ``x-request-id``. An unhandled exception is in the record,
    and raised on. Bodies are neither read nor held back. WebSockets pass through; so does the lifespan, but before its
    end is reported everything is flushed, because servers such as uvicorn may then die by a signal, without an exit.

    :param skip_paths: paths that are not logged; their ids are set nevertheless. Default: ``/health``, ``/healthz``.
    :param logger: the logger to use; default: one named ``millpond.request``.
    """

    def __init__(
        self, app: ASGIApp, *, skip_paths: Collection[str] = HEALTH_PATHS, logger: Logger | None = None
    ) -> None:
        self.app = app
        self._skip_paths = frozenset((skip_paths,) if isinstance(skip_paths, str) else skip_paths)
        self._logger = get_logger("millpond.request") if logger is None else logger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI entry point."""
        kind = scope.get("type")
        if kind != "http":
            await self.app(scope, receive, _flushing(send) if kind == "lifespan" else send)
            return
        request = _Request(scope, receive, send)
        with context(**request.ids()):
            try:
                await self.app(scope, request.receive, request.send)
            except BaseException as error:
                self._log(request, error)
                raise
            self._log(request, None)

    def _log(self, request: _Request, error: BaseException | None) -> None:
        """Writes the record of the request. The time is that of the response, not that of the tasks behind it."""
        if request.path in self._skip_paths and error is None:
            return
        failed = isinstance(error, Exception)
        fields = request.fields(failed=failed, cancelled=error is not None and not failed)
        status = fields["status"]
        if failed or (status is not None and status >= 500):
            level = "error"
        elif status is None or status >= 400 or "cancelled" in fields:
            level = "warn"
        else:
            level = "info"
        message = f"{request.method} {request.path} {'-' if status is None else status}"
        self._logger.log(level, message, exc_info=error if failed else None, **fields)


class _Request:
    """One request on its way through the application."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._started = time.perf_counter()
        self._completed: float | None = None
        self._status: int | None = None
        self._disconnected = False
        # Read before the application may change the scope.
        self.method = str(scope.get("method", ""))
        self.path = (
            f"{scope.get('root_path', '')}{scope.get('path', '')}" if _relative(scope) else scope.get("path", "")
        )
        headers = {_word(name): _text(value) for name, value in scope.get("headers") or ()}
        parent = parse_traceparent(headers.get("traceparent"))
        self._trace = TraceContext.new() if parent is None else parent.child()
        self._parent_span_id = None if parent is None else parent.span_id
        self._request_id = (
            _clean_request_id(headers.get("x-request-id"))
            or _clean_request_id(headers.get("x-correlation-id"))
            or uuid4().hex
        )
        self._user_agent = headers.get("user-agent")

    def ids(self) -> dict[str, object]:
        """What all records of the request share."""
        return {
            "trace_id": self._trace.trace_id,
            "span_id": self._trace.span_id,
            "request_id": self._request_id,
        }

    async def receive(self) -> Message:
        """Passes on, and sees the client go away."""
        message = await self._receive()
        if message.get("type") == "http.disconnect" and self._completed is None:
            self._disconnected = True
        return message

    async def send(self, message: Message) -> None:
        """Passes on; adds the header, and sees status and end."""
        kind = message.get("type")
        if kind == "http.response.start":
            self._status = message.get("status")
            headers = list(message.get("headers") or ())
            if not any(_word(name) == "x-request-id" for name, _ in headers):
                headers.append((b"x-request-id", self._request_id.encode("ascii")))
                message = {**message, "headers": headers}
        await self._send(message)
        if kind == "http.response.pathsend" or (kind == "http.response.body" and not message.get("more_body", False)):
            self._completed = time.perf_counter()

    def fields(self, *, failed: bool, cancelled: bool) -> dict[str, Any]:
        """What the record of the request says."""
        status = self._status
        if self._disconnected and self._completed is None:
            status = _CLIENT_CLOSED_REQUEST
        elif failed and status is None:
            # What the server answers for an application that raised.
            status = 500
        ended = time.perf_counter() if self._completed is None else self._completed
        route = getattr(self._scope.get("route"), "path", None)
        client = self._scope.get("client")
        fields: dict[str, Any] = {
            "method": self.method,
            "path": self.path,
            "status": status,
            "duration_ms": round((ended - self._started) * 1000, 3),
        }
        optional = {
            "route": route if isinstance(route, str) else None,
            "ip": client[0] if client else None,
            "user_agent": self._user_agent,
            "parent_span_id": self._parent_span_id,
            "disconnected": True if status == _CLIENT_CLOSED_REQUEST and self._disconnected else None,
            "cancelled": True if cancelled and self._completed is None else None,
        }
        fields.update({name: value for name, value in optional.items() if value is not None})
        return fields


def _text(value: bytes | str) -> str:
    """Headers are bytes; an application that sends text is not to fail here."""
    return value if isinstance(value, str) else bytes(value).decode("latin-1")


def _word(name: bytes | str) -> str:
    return _text(name).lower()


def _flushing(send: Send) -> Send:
    async def flush_then_send(message: Message) -> None:
        if str(message.get("type")).startswith("lifespan.shutdown."):
            await _flush()
        await send(message)

    return flush_then_send


async def _flush() -> None:
    """Lets the event loop run meanwhile; one that is not asyncio's waits, it has nothing else to do any more."""
    import asyncio

    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        flush()
        return
    await loop.run_in_executor(None, flush)


def _relative(scope: Scope) -> bool:
    """Whether ``path`` leaves out ``root_path``: servers before ASGI 2.3's clarification sent it so."""
    root = scope.get("root_path", "")
    return bool(root) and not str(scope.get("path", "")).startswith(root)


__all__ = ["HEALTH_PATHS", "ASGIMiddleware"]

"""Requests of Flask and ASGI applications -> one entry each, with the names that Streamlogia's packages give."""

from __future__ import annotations

import time
import traceback
from typing import TYPE_CHECKING, Any

from millpond.middleware.asgi import ASGIApp, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from flask import Flask, Response

    from millpond.compat.streamlogia import LogIngestorClient

_BEGAN = "millpond.compat.streamlogia.began"


def watch_flask(client: LogIngestorClient, app: Flask) -> None:
    """Logs each request of the application."""
    from flask import request, request_started

    def begin(*_: object, **__: object) -> None:
        request.environ[_BEGAN] = time.perf_counter()

    def end(response: Response) -> Response:
        record(
            client,
            request.method,
            request.path,
            response.status_code,
            request.environ.get(_BEGAN, time.perf_counter()),
            request.headers.get("User-Agent", ""),
            request.remote_addr,
            request.headers.get("X-Request-Id"),
        )
        return response

    # Not a hook before the request: one before it may answer, and then the others are not called.
    request_started.connect(begin, app, weak=False)
    app.after_request(end)


class LogIngestorMiddleware:
    """Logs each request, also one that ends with an exception. What the application answers passes by unchanged; at the
    application's end everything is flushed."""

    _client: LogIngestorClient

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, _flushing(self._client, send))
        elif scope["type"] != "http":
            await self.app(scope, receive, send)
        else:
            await _watch(self._client, self.app, scope, receive, send)


def middleware_of(client: LogIngestorClient) -> type[LogIngestorMiddleware]:
    """The class of an ASGI middleware that logs to this client."""
    return type("LogIngestorMiddleware", (LogIngestorMiddleware,), {"_client": client})


async def _watch(client: LogIngestorClient, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    request = _Request(client, scope)

    async def watched(message: Message) -> None:
        if message["type"] == "http.response.start":
            request.status = message["status"]
        await send(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            request.end()

    try:
        await app(scope, receive, watched)
    except Exception as error:
        request.end(error)
        raise
    request.end()


class _Request:
    """One on its way through an ASGI application."""

    def __init__(self, client: LogIngestorClient, scope: Scope) -> None:
        self._client = client
        self._began = time.perf_counter()
        # Taken now: the application may change the scope.
        self._method, self._path, self._peer = scope["method"], scope["path"], scope.get("client")
        self._headers: dict[bytes, bytes] = dict(reversed(scope["headers"]))
        self._has_ended = False
        self.status: int | None = None

    def end(self, error: Exception | None = None) -> None:
        """Logs the request, unless that was done. Where nothing was answered the server answers with 500."""
        if self._has_ended:
            return
        self._has_ended = True
        agent, request_id = self._header(b"user-agent"), self._header(b"x-request-id")
        status = self.status or 500
        ip = self._peer[0] if self._peer else None
        record(self._client, self._method, self._path, status, self._began, agent, ip, request_id, error)

    def _header(self, name: bytes) -> str | None:
        value = self._headers.get(name)
        return None if value is None else value.decode("latin-1")


def _flushing(client: LogIngestorClient, send: Send) -> Send:
    """Flushes before the end is reported, behind which servers may end the process at once."""

    async def flushing(message: Message) -> None:
        if message["type"] in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
            await client._flush_async()
        await send(message)

    return flushing


def record(
    client: LogIngestorClient,
    method: str,
    path: str,
    status: int,
    began: float,
    user_agent: str | None,
    ip: str | None,
    request_id: str | None,
    error: Exception | None = None,
) -> None:
    """The entry of one request."""
    duration_ms = int((time.perf_counter() - began) * 1000)
    meta: dict[str, Any] = {
        "method": method,
        "path": path,
        "status": status,
        "duration_ms": duration_ms,
        "user_agent": user_agent,
        "ip": ip,
    }
    if request_id:
        meta["request_id"] = request_id
    if error is not None:
        # The first frame is ours.
        trace = error.__traceback__.tb_next if error.__traceback__ else None
        meta["exception"] = "".join(traceback.format_exception(type(error), error, trace))
    level = "ERROR" if error is not None or status >= 500 else "WARN" if status >= 400 else "INFO"
    client._log(level, f"{method} {path} {status} ({duration_ms}ms)", meta, None)

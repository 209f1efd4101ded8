"""The middlewares: a request's logs are gathered from its beginning to its end, and sent as one.

Responses are passed on part by part. Websockets pass through; so does the lifespan, at whose end everything is sent.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextvars import Token
from typing import Any

from millpond.compat.logiscout_logger import _setup, _structlog
from millpond.compat.logiscout_logger.buffer.requestBuffer import RequestBuffer, _request_buffer, clear_buffer
from millpond.compat.logiscout_logger.middlewares.access import bind_access_context
from millpond.compat.logiscout_logger.middlewares.correlation import (
    asgi_handle_correlation_id,
    wsgi_handle_correlation_id,
)
from millpond.middleware.asgi import ASGIApp, Message, Receive, Scope, Send, _text
from millpond.middleware.wsgi import Environ, StartResponse, WSGIApp, _is_file, decoded

#: Under it a scope or an environment has its request, which one more middleware does not begin again.
_KEY = "millpond.logiscout"
_HEADER = "X-Correlation-ID"


def clear_context() -> None:
    """Forgets the request of this context. What others bound for structlog stays."""
    _structlog.unbind(*_structlog.REQUEST_NAMES)
    clear_buffer()


class _Request:
    """One request: its buffer, and what structlog's variables are inside of it and outside."""

    def __init__(self, method: str | None, path: str | None) -> None:
        self.status = 200
        self._method, self._path = method, path
        self._began = time.perf_counter()
        self._inner: dict[str, Any] | None = None
        self._outer: dict[str, Any] = {}
        self._token: Token[Any] | None = None
        self.buffer: RequestBuffer | None = None

    def enter(self) -> None:
        """What is logged from now on belongs to it."""
        self._outer = _structlog.bound()
        self._token = _request_buffer.set(self.buffer)
        if self._inner is not None:
            _structlog.replace(self._inner)

    def begin(self, correlation_id: str) -> None:
        """It has an id."""
        self.buffer = RequestBuffer(correlation_id)
        self.buffer.is_started = True
        self.buffer.request = {"method": self._method, "path": self._path}
        _request_buffer.set(self.buffer)
        bind_access_context(self._method or "", self._path or "")

    def leave(self) -> None:
        """What is logged from now on belongs to somebody else."""
        self._inner = _structlog.bound()
        _structlog.replace(self._outer)
        token, self._token = self._token, None
        try:
            if token is not None:
                _request_buffer.reset(token)
        except ValueError:
            pass  # A task that is thrown away is closed in another context, where there is nothing to put back.

    def end(self, error: BaseException | None = None) -> None:
        """It is over: its logs are sent. Inside of its context."""
        if self.buffer is not None:
            status = self.status if error is None else 500
            self.buffer.end(status, (time.perf_counter() - self._began) * 1000)


class asgiConfiguration:  # noqa: N801
    """Middleware for FastAPI, Starlette, Django (ASGI)."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI entry point."""
        kind = scope.get("type")
        if kind != "http" or _KEY in scope:
            await self.app(scope, receive, _flushing(send) if kind == "lifespan" else send)
            return
        request = _Request(scope.get("method"), scope.get("path"))
        scope[_KEY] = request
        request.enter()
        try:
            correlation_id = asgi_handle_correlation_id(scope)
            request.begin(correlation_id)
            await self.app(scope, receive, _answering(send, request, correlation_id))
        except BaseException as error:
            request.end(error)
            raise
        else:
            request.end()
        finally:
            request.leave()


def _answering(send: Send, request: _Request, correlation_id: str) -> Send:
    async def answer(message: Message) -> None:
        if message.get("type") == "http.response.start":
            request.status = message.get("status", 200)
            headers = list[Any](message.get("headers") or ())
            if not any(_text(name).lower() == _HEADER.lower() for name, _ in headers):
                added = (_HEADER.lower().encode("ascii"), correlation_id.encode("ascii"))
                message = {**message, "headers": [*headers, added]}
        await send(message)

    return answer


def _flushing(send: Send) -> Send:
    """Sends everything before the end of the lifespan is reported: servers may die by a signal then."""

    async def flush_then_send(message: Message) -> None:
        transport = _setup.current().transport
        if transport is not None and str(message.get("type")).startswith("lifespan.shutdown."):
            await transport.flush_async()
        await send(message)

    return flush_then_send


class wsgiConfiguration:  # noqa: N801
    """Middleware for Flask, Django (WSGI). The request ends when its response is closed."""

    def __init__(self, app: WSGIApp) -> None:
        self.app = app

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """The WSGI entry point."""
        if _KEY in environ:
            return self.app(environ, start_response)
        path = environ.get("PATH_INFO")
        request = _Request(environ.get("REQUEST_METHOD"), None if path is None else decoded(path))
        environ[_KEY] = request
        request.enter()
        try:
            correlation_id = wsgi_handle_correlation_id(environ)
            request.begin(correlation_id)
            response = self.app(environ, _starting(start_response, request, correlation_id))
            if _is_file(response, environ):
                # The server may send the file by itself, if it is left as it is.
                request.end()
                return response
            parts = iter(response)
        except BaseException as error:
            request.end(error)
            raise
        finally:
            request.leave()
        return (_SizedResponse if hasattr(response, "__len__") else _Response)(request, response, parts)


def _starting(start_response: StartResponse, request: _Request, correlation_id: str) -> StartResponse:
    def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None, /) -> Any:
        try:
            request.status = int(status[:3])
        except ValueError:
            pass  # Whatever the server makes of that.
        if not any(name.lower() == _HEADER.lower() for name, _ in headers):
            headers = [*headers, (_HEADER, correlation_id)]
        return start_response(status, headers, *(() if exc_info is None else (exc_info,)))

    return start


class _Response:
    """Passes the response on, inside of the context of its request."""

    def __init__(self, request: _Request, response: Iterable[bytes], parts: Iterator[bytes]) -> None:
        self._request = request
        self._response = response
        self._parts = parts
        self._closed = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        self._request.enter()
        try:
            return next(self._parts)
        except StopIteration:
            raise
        except BaseException as error:
            self._request.end(error)
            raise
        finally:
            self._request.leave()

    def close(self) -> None:
        """Closes the response of the application, once, and ends the request."""
        if self._closed:
            return
        self._closed = True
        self._request.enter()
        try:
            close = getattr(self._response, "close", None)
            if close is not None:
                close()
        except BaseException as error:
            self._request.end(error)
            raise
        else:
            self._request.end()
        finally:
            self._request.leave()

    def __del__(self) -> None:
        # A server that forgets to close is not to cost the logs.
        if not self._closed:
            self._request.enter()
            self._request.end()
            self._request.leave()


class _SizedResponse(_Response):
    """Servers make a Content-Length for a response that has one part."""

    def __len__(self) -> int:
        return len(self._response)  # type: ignore[arg-type]


__all__ = ["asgiConfiguration", "clear_context", "wsgiConfiguration"]

"""Request logging for ASGI: Starlette, FastAPI, Quart, Litestar, plain applications."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from millpond._init import flush
from millpond.middleware._request import KEY, Exchange, Options, RequestOptions

if TYPE_CHECKING:
    from typing_extensions import Unpack

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]


class ASGIMiddleware:
    """Logs each request once, and gives all records of a request the same trace and request id.

    The record has ``method``, ``path``, ``route`` (if the framework tells), ``status``, ``duration_ms``, ``ip`` and
    ``user_agent``; its level is ``error`` from status 500 on, ``warn`` from 400 on, otherwise ``info``. The trace
    goes on from the ``traceparent`` header, the request id from ``X-Request-ID`` or ``X-Correlation-ID``; both are
    made if missing. The response tells the request id in ``x-request-id``, and ``x-correlation-id`` if the request
    had one. An unhandled exception is in the record, and raised on. It is written when the application returns, after
    its background tasks; its duration ends with the response. Bodies are neither read nor held back. WebSockets pass
    through; so does the lifespan, but before its end is reported everything is flushed, because servers such as uvicorn
    may then die by a signal, without an exit.

    :param app: the application.
    :param options: see :class:`~millpond.middleware.RequestOptions`.
    :raises ConfigurationError: an option has a value that it can't have.
    """

    def __init__(self, app: ASGIApp, **options: Unpack[RequestOptions]) -> None:
        self.app = app
        self._options = Options(**options)
        # Headers are bytes; an application that sends text is not to fail here.
        self._names: dict[bytes | str, str] = {}
        for name in self._options.headers:
            self._names[name] = self._names[name.encode("ascii")] = name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI entry point."""
        kind = scope.get("type")
        if kind != "http" or KEY in scope:
            await self.app(scope, receive, _flushing(send) if kind == "lifespan" else send)
            return
        request = _Request(self._options, self._names, scope, receive, send)
        scope[KEY] = request
        request.enter()
        try:
            await self.app(scope, request.receive, request.send)
        except BaseException as error:
            request.end(error)
            raise
        else:
            request.end(None)
        finally:
            request.leave()


class _Request(Exchange):
    """One request on its way through the application."""

    __slots__ = ("_has_trailers", "_receive", "_root_before", "_scope", "_send", "_send_error")

    def __init__(
        self, options: Options, names: Mapping[bytes | str, str], scope: Scope, receive: Receive, send: Send
    ) -> None:
        # Read before the application may change the scope.
        self._scope = scope
        self._receive = receive
        self._send = send
        self._send_error: OSError | None = None
        self._has_trailers = False
        root = self._root_before = str(scope.get("root_path") or "")
        path = str(scope.get("path") or "")
        # Servers before ASGI 2.3's clarification left out the root.
        if root and not path.startswith(root):
            path = root + path
        client = scope.get("client")
        peer = str(client[0]) if client else None
        super().__init__(options, str(scope.get("method", "")), path, _wanted(scope, names), peer, root)
        if self.wants_headers:
            self.request_headers = list(_pairs(scope.get("headers")))

    async def receive(self) -> Message:
        """Passes on, and sees the client go away."""
        message = await self._receive()
        kind = message.get("type")
        if kind == "http.disconnect":
            if not self.is_complete:
                self.disconnected = True
        elif self.request_body is not None and kind == "http.request":
            self.request_body.add(message.get("body") or b"")
        return message

    async def send(self, message: Message) -> None:
        """Passes on; adds the headers, and sees status and end."""
        kind = message.get("type")
        if kind == "http.response.start":
            message = self._started(message)
        elif self.response_body is not None and kind == "http.response.body":
            self.response_body.add(message.get("body") or b"")
        try:
            await self._send(message)
        except OSError as error:
            # So servers tell that the client is gone.
            self._send_error = error
            self.disconnected = True
            raise
        if kind == "http.response.body" or kind == "http.response.zerocopysend":
            if not message.get("more_body", False) and not self._has_trailers:
                self.completed()
        elif kind == "http.response.pathsend":
            if not self._has_trailers:
                self.completed()
        elif kind == "http.response.trailers" and not message.get("more_trailers", False):
            self.completed()

    def _started(self, message: Message) -> Message:
        self.status = message.get("status")
        self._has_trailers = bool(message.get("trailers", False))
        headers: list[Any] = list(message.get("headers") or ())
        added = self.answer_headers({_text(name).lower() for name, _ in headers})
        if added:
            headers.extend((name.encode("ascii"), value.encode("ascii")) for name, value in added)
            message = {**message, "headers": headers}
        if self.wants_headers:
            self.response_headers = list(_pairs(headers))
        return message

    def end(self, error: BaseException | None) -> None:
        """Writes the record, when the application has returned or raised."""
        self.route = self.route or _route(self._scope, self._root_before)
        self.record(None if error is not None and self._is_disconnect(error) else error)
        # The scope has the request: a circle that the garbage collector would have to find.
        self._scope, self._send_error = {}, None

    def _is_disconnect(self, error: BaseException) -> bool:
        """Whether the exception only says that the client went away: what ``send`` raised, or what the framework made
        of that. It is no failure of the application."""
        if not self.disconnected or self.is_complete:
            return False
        if any(kind.__name__ == "ClientDisconnect" for kind in type(error).__mro__):
            return True
        sent = self._send_error
        return sent is not None and any(sent is it for it in (error, error.__cause__, error.__context__))


def _wanted(scope: Scope, names: Mapping[bytes | str, str]) -> dict[str, str]:
    """The headers of these names. A second one is ignored, but lists that proxies add to are put together."""
    found: dict[str, str] = {}
    for raw_name, raw_value in scope.get("headers") or ():
        name = names.get(raw_name.lower())
        if name is not None:
            if name not in found:
                found[name] = _text(raw_value)
            elif "forwarded" in name:
                found[name] += "," + _text(raw_value)
    return found


def _pairs(headers: Any) -> Iterator[tuple[str, str]]:
    for name, value in headers or ():
        yield _text(name), _text(value)


def _text(value: bytes | str) -> str:
    """Mostly it is ASCII."""
    if isinstance(value, str):
        return value
    try:
        return str(value, "utf-8")
    except UnicodeDecodeError:
        return str(value, "latin-1")


def _route(scope: Scope, root_before: str) -> str | None:
    """The template of the path, as Starlette and FastAPI leave it in the scope, with the prefixes of mounts."""
    endpoint = scope.get("endpoint")
    if endpoint is None:
        return None
    path = str(scope.get("path") or "")
    if root_before and path.startswith(root_before):
        path = path[len(root_before) :]
    mount = str(scope.get("root_path") or "")[len(root_before) :]
    if not path.startswith(mount):
        mount = ""
    values = scope.get("path_params") or {}
    if not _is_view(endpoint) and getattr(scope.get("route"), "endpoint", None) is not endpoint:
        # A mounted application that has no routes, or none for this path.
        return _template(mount, values) + "/{path}"
    template = _own_template(scope)
    if template is None:
        # Starlette before 1.0 does not tell.
        return _template(path, values)
    if not mount:
        return template
    return _template(mount, {name: value for name, value in values.items() if f"{{{name}" not in template}) + template


def _own_template(scope: Scope) -> str | None:
    route = scope.get("route")
    # Newer FastAPI keeps the prefix of an included router beside the route.
    extra = scope.get("fastapi")
    included = extra.get("effective_route_context") if isinstance(extra, dict) else None
    if included is not None and getattr(included, "original_route", None) is route:
        route = included
    path = getattr(route, "path", None)
    return path if isinstance(path, str) else None


def _is_view(endpoint: object) -> bool:
    """Whether it is the end of a route; the endpoint of a mount is an application."""
    return isinstance(endpoint, (type, functools.partial)) or inspect.isroutine(endpoint)


def _template(path: str, values: Any) -> str:
    """The path with the names of its parameters in place of their values, from left to right."""
    done, rest = "", path + "/"
    for name, value in values.items():
        before, found, after = rest.partition(f"/{value}/")
        if found:
            done, rest = f"{done}{before}/{{{name}}}", "/" + after
    return (done + rest)[:-1]


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


__all__ = ["ASGIMiddleware"]

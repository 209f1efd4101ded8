"""Request logging for Django, under WSGI and ASGI."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.core.signals import got_request_exception
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.functional import LazyObject, empty

from millpond.django._options import split
from millpond.middleware._request import KEY, Exchange, Options
from millpond.middleware.wsgi import Tee, decoded, request_headers, wanted_headers

_GetResponse = Callable[[HttpRequest], Any]


class Middleware:
    """Logs each request once, when its response is made or, if it is streamed, sent; and gives all records of a
    request the same trace and request id. The record is that of :class:`~millpond.middleware.ASGIMiddleware`, with
    the route and the name of the view, the id of the user if somebody asked for the user anyway, and the exception
    that Django answers with 500. Its options are in the setting ``MILLPOND``; it belongs first in ``MIDDLEWARE``.

    :raises ConfigurationError: an option has a value that it can't have.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: _GetResponse) -> None:
        self.get_response = get_response
        self._options = Options(**split()[1])
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """The middleware's entry point."""
        if self._is_async:
            return self._call_async(request)
        exchange = _Request(self._options, request)
        exchange.enter()
        try:
            return exchange.answered(self.get_response(request))
        except BaseException as error:
            exchange.failed(error)
            raise
        finally:
            exchange.leave()

    async def _call_async(self, request: HttpRequest) -> HttpResponseBase:
        exchange = _Request(self._options, request)
        exchange.enter()
        try:
            return exchange.answered(await self.get_response(request))
        except BaseException as error:
            exchange.failed(error)
            raise
        finally:
            exchange.leave()


class _Request:
    """One request on its way through Django. If there is a middleware of ASGI or WSGI around Django, the record is
    written there, with what is known here."""

    def __init__(self, options: Options, request: HttpRequest) -> None:
        self._request = request
        around = getattr(request, "scope", None) or getattr(request, "environ", None) or {}
        outer = around.get(KEY)
        self._is_own = not isinstance(outer, Exchange)
        self._exchange = _exchange(options, request) if self._is_own else cast(Exchange, outer)
        request.__dict__["_millpond"] = self._exchange
        stream = getattr(request, "_stream", None)
        if self._is_own and self._exchange.request_body is not None and stream is not None:
            request.__dict__["_stream"] = Tee(stream, self._exchange.request_body)

    def enter(self) -> None:
        if self._is_own:
            self._exchange.enter()

    def leave(self) -> None:
        if self._is_own:
            self._exchange.leave()

    def answered(self, response: HttpResponseBase) -> HttpResponseBase:
        """Writes the record, or sees to it that it is written when the response has been streamed."""
        exchange = self._exchange
        _describe(exchange, self._request)
        if not self._is_own:
            return response
        exchange.status = response.status_code
        for name, value in exchange.answer_headers({name.lower() for name in response.headers}):
            response.headers[name] = value
        if exchange.wants_headers:
            cookies = [("set-cookie", cookie.OutputString()) for cookie in response.cookies.values()]
            exchange.response_headers = [*response.headers.items(), *cookies]
        if isinstance(response, StreamingHttpResponse):
            _follow(exchange, response)
            return response
        if exchange.response_body is not None and isinstance(response, HttpResponse):
            exchange.response_body.add(response.content)
        exchange.completed()
        exchange.record()
        return response

    def failed(self, error: BaseException) -> None:
        """Writes the record of a request that ended without a response."""
        _describe(self._exchange, self._request)
        if self._is_own:
            self._exchange.record(error, answered=False)


def _exchange(options: Options, request: HttpRequest) -> Exchange:
    environ = request.META
    exchange = Exchange(
        options,
        str(request.method),
        request.path,
        wanted_headers(environ, options.headers),
        environ.get("REMOTE_ADDR") or None,
        decoded(environ.get("SCRIPT_NAME") or ""),
    )
    if exchange.wants_headers:
        exchange.request_headers = list(request_headers(environ))
    return exchange


def _describe(exchange: Exchange, request: HttpRequest) -> None:
    match = request.resolver_match
    if match is not None:
        route = str(match.route)
        exchange.route = route if route.startswith(("/", "^")) else f"/{route}"
        exchange.fields["view"] = match.view_name
    user_id = _user_id(request)
    if user_id is not None:
        exchange.fields["user_id"] = user_id


def _user_id(request: HttpRequest) -> str | None:
    """The id of the user, if it is known: nobody is asked for it, least of all the database."""
    user = request.__dict__.get("user")
    if user is None or (isinstance(user, LazyObject) and user.__dict__.get("_wrapped", empty) is empty):
        return None
    key = getattr(user, "pk", None)
    return None if key is None else str(key)


def _follow(exchange: Exchange, response: StreamingHttpResponse) -> None:
    """Has the record written at the end of a streamed response."""
    if getattr(response, "file_to_stream", None) is not None and exchange.response_body is None:
        # A file is left as it is, so that the server may send it by itself.
        response._resource_closers.append(_FileEnd(exchange).close)  # type: ignore[attr-defined]
        return
    content = response.streaming_content
    streamed = _AsyncStream if response.is_async else _Stream
    response.streaming_content = streamed(exchange, content)


class _FileEnd:
    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def close(self) -> None:
        exchange = self._exchange
        exchange.completed()
        exchange.enter()
        exchange.record()
        exchange.leave()


class _Streamed:
    """Passes a streamed response on, inside of the context of its request."""

    def __init__(self, exchange: Exchange, content: Any) -> None:
        self._exchange = exchange
        self._content = content

    def passed(self, part: bytes) -> bytes:
        if self._exchange.response_body is not None:
            self._exchange.response_body.add(part)
        return part

    def close(self) -> None:
        """Django calls it when it closes the response."""
        exchange = self._exchange
        exchange.disconnected = not exchange.is_complete
        exchange.enter()
        exchange.record()
        exchange.leave()


class _Stream(_Streamed):
    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        exchange = self._exchange
        exchange.enter()
        try:
            return self.passed(next(self._content))
        except StopIteration:
            exchange.completed()
            raise
        except BaseException as error:
            exchange.record(error)
            raise
        finally:
            exchange.leave()


class _AsyncStream(_Streamed):
    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        exchange = self._exchange
        exchange.enter()
        try:
            return self.passed(await self._content.__anext__())
        except StopAsyncIteration:
            exchange.completed()
            raise
        except BaseException as error:
            exchange.record(error)
            raise
        finally:
            exchange.leave()


def _on_exception(request: Any = None, **_more: Any) -> None:
    """Django tells of each exception that nobody handled, while it is handled, before it answers with 500."""
    exchange = getattr(request, "_millpond", None)
    if isinstance(exchange, Exchange):
        exchange.error = sys.exc_info()[1]


got_request_exception.connect(_on_exception, dispatch_uid="millpond")

__all__ = ["Middleware"]

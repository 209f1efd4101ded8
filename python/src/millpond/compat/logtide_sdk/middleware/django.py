"""Request logging for Django, under WSGI and ASGI."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Union

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django import conf
from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase

from millpond.compat.logtide_sdk.middleware._exchange import Exchange, redacted, skipped_paths
from millpond.compat.logtide_sdk.scope import push_scope
from millpond.compat.logtide_sdk.tracecontext import resolve_trace_id

_HEALTH = ("/health", "/healthz", "/health/", "/healthz/")
#: What Django answers with 4xx: no failures of the application.
_ANSWERS = (BadRequest, Http404, PermissionDenied, SuspiciousOperation)
_Answer = Union[HttpResponseBase, Awaitable[HttpResponseBase]]


class LogTideDjangoMiddleware:
    """Logs each request, its response, and the exception of its view. All logs of a request carry its trace, and share
    a scope. Its options are settings: ``LOGTIDE_CLIENT`` is the client, the others have defaults.

    :raises ValueError: there is no client.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self.client: Any = getattr(conf.settings, "LOGTIDE_CLIENT", None)
        if self.client is None:
            raise ValueError("LOGTIDE_CLIENT is missing in the settings, expected a LogTideClient")
        self.service_name: str = _setting("SERVICE_NAME", "django-app")
        self.log_requests: bool = _setting("LOG_REQUESTS", True)
        self.log_responses: bool = _setting("LOG_RESPONSES", True)
        self.log_errors: bool = _setting("LOG_ERRORS", True)
        self.include_headers: bool = _setting("INCLUDE_HEADERS", False)
        self.skip_paths = skipped_paths(_setting("SKIP_PATHS", []), _HEALTH, _setting("SKIP_HEALTH_CHECK", True))
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> _Answer:
        """Django's entry point."""
        if self._is_async:
            return self._call_async(request)
        if request.path in self.skip_paths:
            return self.get_response(request)  # type: ignore[no-any-return]
        with push_scope() as scope:
            exchange = self._came(request)
            scope.set_trace_context(exchange.trace_id)
            try:
                return self._answered(exchange, self.get_response(request))
            except Exception as error:
                self._failed(exchange, error)
                raise

    async def _call_async(self, request: HttpRequest) -> HttpResponseBase:
        if request.path in self.skip_paths:
            return await self.get_response(request)  # type: ignore[no-any-return]
        with push_scope() as scope:
            exchange = self._came(request)
            scope.set_trace_context(exchange.trace_id)
            try:
                return self._answered(exchange, await self.get_response(request))
            except Exception as error:
                self._failed(exchange, error)
                raise

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        """Django tells of what a view raised, before it makes a response of it."""
        exchange = request.__dict__.get("_logtide_exchange")
        if exchange is not None and not isinstance(exception, _ANSWERS):
            self._failed(exchange, exception)

    def _came(self, request: HttpRequest) -> Exchange:
        meta = request.META
        trace_id = resolve_trace_id(meta.get("HTTP_TRACEPARENT"), meta.get("HTTP_X_TRACE_ID"))
        exchange = Exchange(self.client, self.service_name, str(request.method), request.path, trace_id)
        request.__dict__["_logtide_exchange"] = exchange
        if self.log_requests:
            exchange.came(_ip(request), lambda: self._captured("headers", request))
        return exchange

    def _answered(self, exchange: Exchange, response: Any) -> HttpResponseBase:
        if self.log_responses:
            exchange.answered(response.status_code, lambda: self._captured("response_headers", response))
        return response  # type: ignore[no-any-return]

    def _failed(self, exchange: Exchange, error: Exception) -> None:
        if self.log_errors:
            exchange.failed(error)

    def _captured(self, name: str, message: Any) -> dict[str, Any]:
        return {name: redacted(message.headers.items())} if self.include_headers else {}


def _setting(name: str, default: Any) -> Any:
    return getattr(conf.settings, f"LOGTIDE_{name}", default)


def _ip(request: HttpRequest) -> str | None:
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR")
    if forwarded:
        return str(forwarded).partition(",")[0].strip()
    return request.META.get("REMOTE_ADDR")

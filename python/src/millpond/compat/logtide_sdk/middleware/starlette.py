"""Request logging for Starlette."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from millpond.compat.logtide_sdk.middleware._exchange import Client, Exchange, redacted, skipped_paths
from millpond.compat.logtide_sdk.scope import push_scope
from millpond.compat.logtide_sdk.tracecontext import LEGACY_TRACE_HEADER, TRACEPARENT_HEADER, resolve_trace_id

_HEALTH = ("/health", "/healthz", "/docs", "/redoc", "/openapi.json")


class LogTideStarletteMiddleware(BaseHTTPMiddleware):
    """Logs each request, its response, and the exception it failed with, which goes on its way. All logs of a request
    carry its trace, and share a scope."""

    def __init__(
        self,
        app: ASGIApp,
        client: Client,
        service_name: str,
        log_requests: bool = True,
        log_responses: bool = True,
        log_errors: bool = True,
        include_headers: bool = False,
        skip_health_check: bool = True,
        skip_paths: list[str] | None = None,
    ) -> None:
        super().__init__(app)
        self.client = client
        self.service_name = service_name
        self.log_requests = log_requests
        self.log_responses = log_responses
        self.log_errors = log_errors
        self.include_headers = include_headers
        self.skip_paths = skipped_paths(skip_paths, _HEALTH, skip_health_check)

    async def dispatch(self, request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        """Starlette's entry point."""
        path = request.url.path
        if path in self.skip_paths:
            return await call_next(request)
        headers = request.headers
        trace_id = resolve_trace_id(headers.get(TRACEPARENT_HEADER), headers.get(LEGACY_TRACE_HEADER))
        exchange = Exchange(self.client, self.service_name, request.method, path, trace_id)
        with push_scope() as scope:
            scope.set_trace_context(trace_id)
            if self.log_requests:
                exchange.came(_ip(request), lambda: self._captured("headers", headers))
            try:
                response = await call_next(request)
            except Exception as error:
                if self.log_errors:
                    exchange.failed(error)
                raise
            if self.log_responses:
                exchange.answered(response.status_code, lambda: self._captured("response_headers", response.headers))
            return response

    def _captured(self, name: str, headers: Any) -> dict[str, Any]:
        return {name: redacted(headers.items())} if self.include_headers else {}


def _ip(request: Request) -> str | None:
    forwarded = request.headers.get("x-forwarded-for")
    if forwarded:
        return forwarded.partition(",")[0].strip()
    return request.client.host if request.client else None


#: FastAPI is Starlette here.
LogTideFastAPIMiddleware = LogTideStarletteMiddleware

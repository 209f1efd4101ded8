"""Request logging for Flask. What Flask does with exceptions stays as it is."""

from __future__ import annotations

from typing import Any

from flask import Flask, Response, g, got_request_exception, has_request_context, request

from millpond.compat.logtide_sdk.middleware._exchange import Client, Exchange, redacted, skipped_paths
from millpond.compat.logtide_sdk.scope import push_scope
from millpond.compat.logtide_sdk.tracecontext import LEGACY_TRACE_HEADER, TRACEPARENT_HEADER, resolve_trace_id

_HEALTH = ("/health", "/healthz")
#: Where the exchange of a request is.
_KEY = "_logtide_exchange"


class LogTideFlaskMiddleware:
    """Logs each request, its response, and the exception that nobody handled. All logs of a request carry its trace,
    and share a scope. An answer of 404 is none of an error."""

    def __init__(
        self,
        app: Flask,
        client: Client,
        service_name: str,
        log_requests: bool = True,
        log_responses: bool = True,
        log_errors: bool = True,
        include_headers: bool = False,
        include_body: bool = False,
        skip_health_check: bool = True,
        skip_paths: list[str] | None = None,
    ) -> None:
        self.client = client
        self.service_name = service_name
        self.log_requests = log_requests
        self.log_responses = log_responses
        self.log_errors = log_errors
        self.include_headers = include_headers
        self.include_body = include_body
        self.skip_paths = skipped_paths(skip_paths, _HEALTH, skip_health_check)
        app.before_request(self._began)
        app.after_request(self._answered)
        app.teardown_request(self._ended)
        got_request_exception.connect(self._failed, app)

    def _began(self) -> None:
        if request.path in self.skip_paths:
            return
        headers = request.headers
        trace_id = resolve_trace_id(headers.get(TRACEPARENT_HEADER), headers.get(LEGACY_TRACE_HEADER))
        exchange = Exchange(self.client, self.service_name, request.method, request.path, trace_id)
        block = push_scope()
        block.__enter__().set_trace_context(trace_id)
        setattr(g, _KEY, (exchange, block))
        if self.log_requests:
            exchange.came(request.remote_addr, self._captured_request)

    def _answered(self, response: Response) -> Response:
        found = g.get(_KEY)
        if found is not None and self.log_responses:
            found[0].answered(response.status_code, lambda: self._captured_response(response))
        return response

    def _failed(self, _app: Flask, exception: BaseException, **_more: Any) -> None:
        """Flask tells of what it is about to answer with 500, or to raise on."""
        found = g.get(_KEY) if has_request_context() else None
        if found is not None and self.log_errors:
            found[0].failed(exception)

    def _ended(self, _error: BaseException | None = None) -> None:
        found = g.pop(_KEY, None)
        if found is not None:
            found[1].__exit__(None, None, None)

    def _captured_request(self) -> dict[str, Any]:
        captured: dict[str, Any] = {}
        if self.include_headers:
            captured["headers"] = redacted(request.headers.items())
        if self.include_body and request.is_json:
            captured["body"] = request.get_json(silent=True)
        return captured

    def _captured_response(self, response: Response) -> dict[str, Any]:
        captured: dict[str, Any] = {}
        if self.include_headers:
            captured["response_headers"] = redacted(response.headers.items())
        if self.include_body and response.is_json and not response.is_streamed:
            captured["response_body"] = response.get_json(silent=True)
        return captured

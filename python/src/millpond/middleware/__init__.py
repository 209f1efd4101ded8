"""Request logging for ASGI and WSGI applications. Flask and Django have modules of their own, which know more."""

from __future__ import annotations

from millpond.middleware._request import ACCESS_LOGGERS, HEALTH_PATHS, RequestOptions
from millpond.middleware.asgi import ASGIMiddleware
from millpond.middleware.wsgi import WSGIMiddleware

__all__ = ["ACCESS_LOGGERS", "HEALTH_PATHS", "ASGIMiddleware", "RequestOptions", "WSGIMiddleware"]

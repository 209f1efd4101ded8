"""The id that a request has, or gets: in the header ``X-Correlation-ID``, for the application too."""

from __future__ import annotations

import uuid
from collections.abc import MutableMapping
from typing import Any

from millpond._context import _clean_request_id
from millpond.compat.logiscout_logger import _structlog
from millpond.middleware.asgi import _text

_HEADER = b"x-correlation-id"
_VARIABLE = "HTTP_X_CORRELATION_ID"
#: Where the id is in an environment of WSGI.
ENVIRON_KEY = "logiscout.correlation_id"


def asgi_handle_correlation_id(scope: MutableMapping[str, Any]) -> str:
    """The id of the request; a header that has none or is no id is replaced. Bound for structlog too."""
    headers = list[Any](scope.get("headers") or ())
    given = next((_text(value) for name, value in headers if name.lower() == _HEADER), None)
    correlation_id = _clean_request_id(given)
    if correlation_id is None:
        correlation_id = str(uuid.uuid4())
        kept = [(name, value) for name, value in headers if name.lower() != _HEADER]
        scope["headers"] = [*kept, (_HEADER, correlation_id.encode("ascii"))]
    _structlog.bind(correlation_id=correlation_id)
    return correlation_id


def wsgi_handle_correlation_id(environ: MutableMapping[str, Any]) -> str:
    """The same for an environment of WSGI, which has it as ``logiscout.correlation_id`` too."""
    correlation_id = _clean_request_id(environ.get(_VARIABLE)) or str(uuid.uuid4())
    environ[_VARIABLE] = environ[ENVIRON_KEY] = correlation_id
    _structlog.bind(correlation_id=correlation_id)
    return correlation_id


__all__ = ["asgi_handle_correlation_id", "wsgi_handle_correlation_id"]

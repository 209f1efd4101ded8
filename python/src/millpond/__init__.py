"""Structured logs that arrive.

>>> import millpond
>>> millpond.init(service="shop", endpoint="http://127.0.0.1:4480", api_key="…")
>>> log = millpond.get_logger(__name__)
>>> log.info("order placed", order_id=4711, amount_cents=1290)

A log call never blocks on the network and never raises. What can't be delivered at once waits in memory; what is
dropped is counted in :func:`metrics`. The end of the program waits up to ``shutdown_timeout_s`` for the rest.
"""

from __future__ import annotations

from millpond._config import ConfigurationError
from millpond._context import (
    TraceContext,
    context,
    continue_trace,
    current_context,
    current_trace,
    new_span_id,
    new_trace_id,
    outgoing_headers,
    parse_traceparent,
)
from millpond._handler import Handler
from millpond._logger import Logger, get_logger
from millpond._native import __version__
from millpond._runtime import close, flush, init, metrics

__all__ = [
    "ConfigurationError",
    "Handler",
    "Logger",
    "TraceContext",
    "__version__",
    "close",
    "context",
    "continue_trace",
    "current_context",
    "current_trace",
    "flush",
    "get_logger",
    "init",
    "metrics",
    "new_span_id",
    "new_trace_id",
    "outgoing_headers",
    "parse_traceparent",
]

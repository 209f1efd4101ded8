"""Structured logs that arrive.

>>> import millpond
>>> millpond.init(service="shop", endpoint="http://127.0.0.1:4480", api_key="…")
>>> log = millpond.get_logger(__name__)
>>> log.info("order placed", order_id=4711, amount_cents=1290)

A log call never blocks on the network and never raises. What can't be delivered at once waits in memory, or on disk
(``spool_dir``); what is dropped is counted in :func:`metrics`. The end of the program waits up to
``shutdown_timeout_s`` for the rest.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from millpond._config import ConfigurationError
from millpond._context import (
    TraceContext,
    add_tags,
    bind,
    breadcrumb,
    context,
    continue_trace,
    current_context,
    current_trace,
    new_span_id,
    new_trace_id,
    outgoing_headers,
    parse_traceparent,
    set_session,
    set_user,
    span,
    unbind,
)
from millpond._flow import Flow
from millpond._handler import Handler
from millpond._init import (
    close,
    flow,
    flow_from_server,
    flush,
    get_logger,
    init,
    metrics,
    persist,
    preview,
    reset_metrics,
    resume_flow,
)
from millpond._logger import Logger
from millpond._native import __version__

if TYPE_CHECKING:
    from millpond._async_reading import AsyncLogs, AsyncLogStream
    from millpond._client import AsyncClient, Client
    from millpond._doctor import Diagnosis, Finding, doctor
    from millpond._log import Bucket, Count, Log, Page, Receipt, Rejected, Statistics
    from millpond._read_errors import (
        AccessError,
        MalformedAnswerError,
        QueryError,
        ReadError,
        ReadTimeoutError,
        RefusedError,
        UnreachableError,
    )
    from millpond._reading import Logs, LogStream, StopHandle
    from millpond._reading_here import aggregated, by_trace_id, ingest_raw, logs, query, stream, tail
    from millpond._shipper import EventStream, Failure, Response, Shipper

#: What most programs never use is imported when it is first asked for: a log library must not slow down the start.
_LATER = {
    "_async_reading": ("AsyncLogStream", "AsyncLogs"),
    "_client": ("AsyncClient", "Client"),
    "_doctor": ("Diagnosis", "Finding", "doctor"),
    "_log": ("Bucket", "Count", "Log", "Page", "Receipt", "Rejected", "Statistics"),
    "_read_errors": (
        "AccessError", "MalformedAnswerError", "QueryError", "ReadError", "ReadTimeoutError", "RefusedError",
        "UnreachableError",
    ),
    "_reading": ("LogStream", "Logs", "StopHandle"),
    "_reading_here": ("aggregated", "by_trace_id", "ingest_raw", "logs", "query", "stream", "tail"),
    "_shipper": ("EventStream", "Failure", "Response", "Shipper"),
}  # fmt: skip
_MODULES = {name: module for module, names in _LATER.items() for name in names}


# Type checkers would take it for a promise of any name.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module 'millpond' has no attribute {name!r}")
        found: object = getattr(importlib.import_module(f"millpond.{_MODULES[name]}"), name)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})


__all__ = [
    "AccessError",
    "AsyncClient",
    "AsyncLogStream",
    "AsyncLogs",
    "Bucket",
    "Client",
    "ConfigurationError",
    "Count",
    "Diagnosis",
    "EventStream",
    "Failure",
    "Finding",
    "Flow",
    "Handler",
    "Log",
    "LogStream",
    "Logger",
    "Logs",
    "MalformedAnswerError",
    "Page",
    "QueryError",
    "ReadError",
    "ReadTimeoutError",
    "Receipt",
    "RefusedError",
    "Rejected",
    "Response",
    "Shipper",
    "Statistics",
    "StopHandle",
    "TraceContext",
    "UnreachableError",
    "__version__",
    "add_tags",
    "aggregated",
    "bind",
    "breadcrumb",
    "by_trace_id",
    "close",
    "context",
    "continue_trace",
    "current_context",
    "current_trace",
    "doctor",
    "flow",
    "flow_from_server",
    "flush",
    "get_logger",
    "ingest_raw",
    "init",
    "logs",
    "metrics",
    "new_span_id",
    "new_trace_id",
    "outgoing_headers",
    "parse_traceparent",
    "persist",
    "preview",
    "query",
    "reset_metrics",
    "resume_flow",
    "set_session",
    "set_user",
    "span",
    "stream",
    "tail",
    "unbind",
]

"""LogTide's Python SDK (the interface of logtide-sdk 0.10.0) on Millpond's engine, for LogTide's server and Millpond's.

This module owns the names; what they do is in the modules of the same layout as the original's.
"""

from __future__ import annotations

from millpond.compat.logtide_sdk import _version
from millpond.compat.logtide_sdk.async_client import AsyncLogTideClient
from millpond.compat.logtide_sdk.client import LogTideClient
from millpond.compat.logtide_sdk.dsn import DsnParseError, DsnParts, parse_dsn
from millpond.compat.logtide_sdk.enums import CircuitState, LogLevel
from millpond.compat.logtide_sdk.exceptions import BufferFullError, CircuitBreakerOpenError, LogTideError
from millpond.compat.logtide_sdk.handler import LogTideHandler
from millpond.compat.logtide_sdk.models import (
    AggregatedStatsOptions,
    AggregatedStatsResponse,
    ClientMetrics,
    ClientOptions,
    LogEntry,
    LogsResponse,
    PayloadLimitsOptions,
    QueryOptions,
)
from millpond.compat.logtide_sdk.scope import (
    Breadcrumb,
    Scope,
    User,
    add_breadcrumb,
    get_current_scope,
    push_scope,
    set_extra,
    set_session_id,
    set_tag,
    set_user,
)
from millpond.compat.logtide_sdk.serialization import serialize_exception
from millpond.compat.logtide_sdk.tracecontext import (
    TraceContext,
    format_traceparent,
    generate_span_id,
    generate_trace_id,
    inject_traceparent,
    parse_traceparent,
    resolve_trace_id,
)

__version__ = _version.VERSION

__all__ = [
    "AggregatedStatsOptions",
    "AggregatedStatsResponse",
    "AsyncLogTideClient",
    "Breadcrumb",
    "BufferFullError",
    "CircuitBreakerOpenError",
    "CircuitState",
    "ClientMetrics",
    "ClientOptions",
    "DsnParseError",
    "DsnParts",
    "LogEntry",
    "LogLevel",
    "LogTideClient",
    "LogTideError",
    "LogTideHandler",
    "LogsResponse",
    "PayloadLimitsOptions",
    "QueryOptions",
    "Scope",
    "TraceContext",
    "User",
    "add_breadcrumb",
    "format_traceparent",
    "generate_span_id",
    "generate_trace_id",
    "get_current_scope",
    "inject_traceparent",
    "parse_dsn",
    "parse_traceparent",
    "push_scope",
    "resolve_trace_id",
    "serialize_exception",
    "set_extra",
    "set_session_id",
    "set_tag",
    "set_user",
]

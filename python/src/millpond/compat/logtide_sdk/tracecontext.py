"""Trace ids as W3C writes them, and where the active trace comes from."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = [
    "LEGACY_TRACE_HEADER",
    "TRACEPARENT_HEADER",
    "TraceContext",
    "active_trace_context",
    "format_traceparent",
    "generate_span_id",
    "generate_trace_id",
    "inject_traceparent",
    "parse_traceparent",
    "register_active_context_provider",
    "resolve_trace_id",
]

TRACEPARENT_HEADER = "traceparent"
LEGACY_TRACE_HEADER = "X-Trace-ID"

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_Provider = Callable[[], "tuple[str | None, str | None]"]


@dataclass(frozen=True)
class TraceContext:
    """What a ``traceparent`` says."""

    trace_id: str
    span_id: str
    sampled: bool


def generate_trace_id() -> str:
    """A new trace id: 32 hexadecimal digits."""
    return secrets.token_hex(16)


def generate_span_id() -> str:
    """A new span id: 16 hexadecimal digits."""
    return secrets.token_hex(8)


def parse_traceparent(header: str | None) -> TraceContext | None:
    """What the header says; ``None`` if it is not exactly as W3C has it."""
    found = _TRACEPARENT.fullmatch(header.strip()) if isinstance(header, str) else None
    if found is None:
        return None
    version, trace_id, span_id, flags = found.groups()
    if version == "ff" or not trace_id.strip("0") or not span_id.strip("0"):
        return None
    return TraceContext(trace_id, span_id, bool(int(flags, 16) & 1))


def format_traceparent(trace_id: str, span_id: str, sampled: bool = True) -> str:
    """The header for these ids."""
    return f"00-{trace_id}-{span_id}-{'01' if sampled else '00'}"


def resolve_trace_id(traceparent: str | None, legacy: str | None) -> str:
    """The trace of a request: that of its ``traceparent``, otherwise of its ``X-Trace-ID``, otherwise a new one."""
    parsed = parse_traceparent(traceparent)
    return parsed.trace_id if parsed is not None else legacy or generate_trace_id()


#: Who knows the active span.
_providers: list[_Provider] = []


def register_active_context_provider(provider: _Provider | None) -> None:
    """Has this asked for trace id and span id of the active span, each ``None`` if there is none."""
    _providers[:] = [] if provider is None else [provider]


def active_trace_context() -> tuple[str | None, str | None]:
    """Trace id and span id of the active span, each ``None`` if there is none."""
    for provider in tuple(_providers):
        try:
            trace_id, span_id = provider()
        except Exception:
            break
        return trace_id, span_id
    return None, None


def inject_traceparent(headers: Any) -> None:
    """Adds the header to those of a request that goes out, unless it is there or there is no trace."""
    from millpond.compat.logtide_sdk.scope import get_current_scope

    if TRACEPARENT_HEADER in headers:
        return
    trace_id, span_id = active_trace_context()
    if not trace_id:
        scope = get_current_scope()
        trace_id, span_id = scope.trace_id, scope.span_id
    if trace_id:
        headers[TRACEPARENT_HEADER] = format_traceparent(trace_id, span_id or generate_span_id())

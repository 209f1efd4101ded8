"""The active span of OpenTelemetry, if the program uses it. Nothing is imported for it."""

from __future__ import annotations

import sys
from typing import Any

#: The native client asks only when this is there.
MODULE = "opentelemetry.trace"


def active_span() -> tuple[str, str] | None:
    """Trace id and span id of the active span; ``None`` without one."""
    trace: Any = sys.modules.get(MODULE)
    if trace is None:
        return None
    span = trace.get_current_span().get_span_context()
    if not span.is_valid:
        return None
    return f"{span.trace_id:032x}", f"{span.span_id:016x}"

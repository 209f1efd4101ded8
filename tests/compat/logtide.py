"""What LogTide's requests are made of, and how its entries are kept."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from comparing import Shape, comparable
from recording import Request

VENV = "logtide_sdk"
INGEST = "/api/v1/ingest"


def _entries(request: Request, body: Any) -> list[Any] | None:
    return body.pop("logs") if request.path == INGEST else None


HEADERS = ("content-type", "x-api-key")
SHAPE = Shape("logtide", _entries, HEADERS)
#: Where tracebacks go through frameworks, whose versions may be others.
WEB = Shape("logtide", _entries, HEADERS, members={"raw": "<traceback>", "stacktrace": "<frames>"})


def _entries_beside_spans(request: Request, body: Any) -> list[Any] | None:
    """Spans are in a form of their own, and differ in their ids."""
    return [] if request.path == "/v1/otlp/traces" else _entries(request, body)


#: Where ids are made by OpenTelemetry.
TRACING = Shape(
    "logtide",
    _entries_beside_spans,
    HEADERS,
    patterns=[(re.compile(r"\b([0-9a-f]{32}|[0-9a-f]{16})\b"), "<id>")],
)


#: The server has a spelling of its own for times.
TIME = (re.compile(r"<time[^>]*>"), "<time>")


def sent(requests: Iterable[Request], shape: Shape = SHAPE) -> list[Any]:
    """The entries, comparable, in an order that does not depend on when they were logged."""
    shape = replace(shape, patterns=[*shape.patterns, TIME])
    return sorted(map(_ordered, comparable(shape, requests)["entries"]), key=json.dumps)


def kept(records: Iterable[Mapping[str, Any]], shape: Shape = SHAPE) -> list[Any]:
    """Native records as the entries that they were."""
    body = json.dumps({"logs": [_entry(record) for record in records]}).encode()
    return sent([Request("POST", INGEST, {}, {}, body, 0, 0.0)], shape)


def _entry(record: Mapping[str, Any]) -> dict[str, Any]:
    metadata = dict(record.get("fields", {}))
    if "exception" in record:
        metadata["exception"] = record["exception"]
    entry = {name: record[name] for name in ("service", "level", "message", "time")}
    ids = {name: record[name] for name in ("trace_id", "span_id", "session_id") if name in record}
    return {**entry, "metadata": metadata, **ids}


def _ordered(value: Any) -> Any:
    """The order of members is nobody's promise."""
    if isinstance(value, dict):
        return {name: _ordered(value[name]) for name in sorted(value)}
    return [_ordered(member) for member in value] if isinstance(value, list) else value

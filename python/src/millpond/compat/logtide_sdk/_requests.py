"""What a client asks the server, and what it makes of the answers. Pure."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote, urlencode

from millpond import Response
from millpond.compat.logtide_sdk.models import (
    AggregatedStatsOptions,
    AggregatedStatsResponse,
    ClientOptions,
    LogsResponse,
    QueryOptions,
)

#: LogTide's SDKs send it with a GET too; Millpond's server knows them by it.
HEADERS = {"Content-Type": "application/json"}
TIMEOUT_S = 30.0


def query_url(options: ClientOptions, query: QueryOptions) -> str:
    """Where logs are found."""
    level = query.level
    return _url(
        options,
        "logs",
        limit=query.limit,
        offset=query.offset,
        service=query.service,
        level=getattr(level, "value", level),
        q=query.q,
        **{"from": query.from_time and _moment(query.from_time), "to": query.to_time and _moment(query.to_time)},
    )


def trace_url(options: ClientOptions, trace_id: str) -> str:
    """Where the logs of a trace are."""
    return _url(options, f"logs/trace/{quote(str(trace_id), safe='')}")


def statistics_url(options: ClientOptions, asked: AggregatedStatsOptions, what: str = "aggregated") -> str:
    """Where statistics are, or (``top-services``, ``top-errors``) what there is most of."""
    period = {"from": _moment(asked.from_time), "to": _moment(asked.to_time)}
    if what == "aggregated":
        return _url(options, "logs/aggregated", **period, interval=asked.interval, service=asked.service)
    return _url(options, f"logs/{what}", **period)


def stream_url(options: ClientOptions, filters: dict[str, str] | None) -> str:
    """Where logs are heard of as they come. The key is in a header: an address is written to many logs."""
    return _url(options, "logs/stream", **(filters or {}))


def is_success(answer: Response) -> bool:
    """Whether it is what was asked for; a redirect is not followed, because the key would go along."""
    return 200 <= answer.status < 300


def logs_response(text: str) -> LogsResponse:
    """What was found."""
    answer = json.loads(text)
    return LogsResponse(logs=answer.get("logs", []), total=answer.get("total", 0))


def trace_logs(text: str) -> list[dict[str, Any]]:
    """The logs of a trace. LogTide's server puts them into an object."""
    answer = json.loads(text)
    logs: list[dict[str, Any]] = answer.get("logs", []) if isinstance(answer, dict) else answer
    return logs


def statistics(text: str) -> AggregatedStatsResponse:
    """Counts over time."""
    answer = json.loads(text)
    return AggregatedStatsResponse(
        timeseries=answer.get("timeseries", []),
        top_services=answer.get("top_services", []),
        top_errors=answer.get("top_errors", []),
    )


def is_without_top(text: str) -> bool:
    """Whether the server answered with counts over time alone, as LogTide's does."""
    return "top_services" not in json.loads(text)


def top(text: str, what: str) -> list[dict[str, Any]]:
    """The list of that name; empty where there is none."""
    answer = json.loads(text)
    found = answer.get(what) if isinstance(answer, dict) else None
    return found if isinstance(found, list) else []


def streamed_log(text: str) -> dict[str, Any] | None:
    """The log of an event: its members, as the documentation has them, besides ``type`` and ``data``, as LogTide's
    server sends them. ``None`` if the event is none of a log.

    :raises ValueError: the text is no JSON object.
    """
    event = json.loads(text)
    if not isinstance(event, dict):
        raise ValueError(f"the event is {text[:80]!r}, expected an object")
    data = event.get("data")
    if isinstance(data, dict) and event.get("type") == "log":
        return {**data, **event}
    return None if event.get("type") == "connected" else event


def _url(options: ClientOptions, path: str, **parameters: Any) -> str:
    base = f"{(options.api_url or '').rstrip('/')}/api/v1/{path}"
    given = {name: value for name, value in parameters.items() if value is not None and value != ""}
    return f"{base}?{urlencode(given)}" if given else base


def _moment(moment: datetime) -> str:
    """LogTide's server takes no time without a zone; ``datetime.now()`` means that of this machine."""
    if moment.tzinfo is None:
        moment = moment.astimezone(timezone.utc)
    return moment.isoformat()

"""Logs -> the payloads that carry them. Pure.

A payload is a head, which says of which request the logs are, and up to 200 of them. A request that has more is sent
in several payloads with the same head, which the server puts together again.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from millpond._native import Written
from millpond.compat.logiscout_logger import _times
from millpond.compat.logiscout_logger.events import LogEvent

#: Most logs of a payload.
LOGS_MAX = 200
#: Most bytes of a body: the original's server refuses those of 1 MiB and more. 4 KiB are left for what a proxy may add.
BODY_BYTES_MAX = (1 << 20) - (4 << 10)
#: Most bytes of the logs of a payload: a shipper takes entries of 960 KiB, and 64 KiB are left for the head.
LOGS_BYTES_MAX = (960 << 10) - (64 << 10)
#: Where one log is cut. What the writer puts in place of the rest is shorter than a KiB.
LOG_BYTES_MAX = LOGS_BYTES_MAX - (1 << 10)
#: Most characters of a path: with the escapes of JSON less than the head has room for.
_PATH_CHARACTERS_MAX = 4096

Head = Mapping[str, Any]


def head(
    correlation_id: str | None,
    started_at: str,
    ended_at: str | None,
    duration_ms: float | None,
    request: Mapping[str, Any],
) -> dict[str, Any]:
    """All of a payload but its logs. What nobody knows yet of a request is null."""
    path = request.get("path")
    if isinstance(path, str) and len(path) > _PATH_CHARACTERS_MAX:
        request = {**request, "path": path[:_PATH_CHARACTERS_MAX]}
    return {
        "correlationId": correlation_id,
        "startedAt": started_at,
        "endedAt": ended_at,
        "durationMS": duration_ms,
        "request": dict(request),
    }


def single_head(correlation_id: object = None) -> dict[str, Any]:
    """The head of a log that belongs to no request: an id of its own, unless it names one, and no duration."""
    known = correlation_id if isinstance(correlation_id, str) and correlation_id else str(uuid.uuid4())
    now = _times.with_z(_times.now())
    return head(known, now, now, None, {})


def written(event: LogEvent) -> Written:
    """The log as it is now, whatever happens to its values. One that is too large is cut from its end."""
    time = event.timestamp
    return Written(
        {
            "timestamp": _times.with_offset(time) if isinstance(time, datetime) else time,
            "level": event.level,
            "loggerName": event.loggerName,
            "message": event.message,
            "exception": event.exception,
            "metadata": event.metadata,
        },
        LOG_BYTES_MAX,
    )


def slices(head: Head, logs: Iterable[Written], logs_max: int = LOGS_MAX) -> Iterator[dict[str, Any]]:
    """The payloads for these logs of one request, in their order; none for none."""
    part: list[Written] = []
    size = 0
    for log in logs:
        # With the comma before it.
        if part and (len(part) >= logs_max or size + len(log) + 1 > LOGS_BYTES_MAX):
            yield {**head, "logs": part}
            part, size = [], 0
        part.append(log)
        size += len(log) + 1
    if part:
        yield {**head, "logs": part}

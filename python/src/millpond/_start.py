"""Native clients: how they are made of settings, and what is asked of them beside logging."""

from __future__ import annotations

import sys
from typing import Any

from millpond import _levels, _native
from millpond._config import SECONDS_MAX, ConfigurationError, Settings
from millpond._context import _current
from millpond._exit import exit_
from millpond._gevent import patiently
from millpond._opentelemetry import MODULE, active_span


def start(settings: Settings) -> _native.Client:
    """A native client with these settings, which will be flushed at exit."""
    options = dict(settings.native)
    source = options.get("trace_source", "opentelemetry")
    if source == "opentelemetry":
        options["trace_source"] = active_span
        options["trace_module"] = (sys.modules, MODULE)
    elif source == "off":
        del options["trace_source"]
    try:
        client = _native.Client(options)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
    exit_.watch(client, settings)
    return client


def seconds(given: float) -> float:
    """A time-out as the native client takes it.

    :raises ValueError: it is no number.
    """
    timeout = float(given)
    if timeout != timeout:
        raise ValueError("the time-out is NaN, expected a number of seconds")
    return min(max(0.0, timeout), SECONDS_MAX)


def flush(client: _native.Client, timeout_s: float) -> bool:
    """Whether everything logged so far is delivered, after waiting for it at most so long."""
    return patiently(lambda seconds: client.flush(seconds)[0] == 0, timeout_s)


def persist(client: _native.Client, timeout_s: float) -> bool:
    """Whether everything logged so far is on disk or delivered, after waiting for it at most so long."""
    return patiently(lambda seconds: client.persist(seconds)[0] == 0, timeout_s)


def close(client: _native.Client, timeout_s: float) -> bool:
    """Whether everything was delivered when the client stopped."""
    exit_.forget(client)
    return patiently(lambda seconds: client.close(seconds)[0] == 0, timeout_s)


def preview(
    client: _native.Client,
    level: str | int,
    message: object,
    args: tuple[object, ...],
    name: str | None,
    exc_info: object,
    fields: dict[str, object],
) -> dict[str, Any] | None:
    """The record that a log call would send."""
    import json

    severity = _levels.from_anything(level)
    record = client.preview(severity, message, args, name, _current.get(), None, fields, exc_info)
    found: dict[str, Any] | None = None if record is None else json.loads(record)
    return found

"""Native clients: how they are made of settings, and what is asked of them beside logging."""

from __future__ import annotations

import sys
from typing import Any

from millpond import _levels, _native
from millpond._config import ConfigurationError, Settings
from millpond._context import _current
from millpond._exit import exit_
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


def pause() -> Any:
    """What a thread that waits for a flush has to do meanwhile: under gevent, to let other greenlets run."""
    gevent: Any = sys.modules.get("gevent")
    monkey: Any = sys.modules.get("gevent.monkey")
    return gevent.sleep if gevent is not None and monkey is not None and monkey.is_module_patched("threading") else None


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

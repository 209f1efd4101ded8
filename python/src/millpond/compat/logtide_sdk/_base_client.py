"""What both clients do with an entry, up to handing it to the engine.

The order is part of the interface: trace and scope, global metadata, the stamp, ``before_send``, sampling, limits. An
entry that callers give is copied first and stays theirs. Nothing here blocks, and nothing raises into a log call but
a missing service.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import millpond
from millpond._exit import say
from millpond.compat.logtide_sdk._version import SDK_NAME, VERSION
from millpond.compat.logtide_sdk.enums import CircuitState, LogLevel
from millpond.compat.logtide_sdk.json_encoder import logtide_json_dumps
from millpond.compat.logtide_sdk.models import ClientMetrics, ClientOptions, LogEntry, PayloadLimitsOptions, utc_text
from millpond.compat.logtide_sdk.payload_limits import CHARACTER_BYTES_MAX, LimitedWalk
from millpond.compat.logtide_sdk.scope import get_current_scope
from millpond.compat.logtide_sdk.serialization import serialize_exception
from millpond.compat.logtide_sdk.tracecontext import active_trace_context, generate_trace_id

#: LogTide's server refuses a request with more entries.
_BATCH_RECORDS_MAX = 1000
#: What "no timer" becomes: entries then wait for a full batch, a flush or the end.
_NEVER_S = 86_400.0
#: Both end earlier, as soon as there is nothing left that could still arrive.
FLUSH_TIMEOUT_S = 60.0
CLOSE_TIMEOUT_S = 5.0
#: More than the names of an entry's members take, and what of their values has a known length.
_MEMBERS_BYTES_MAX = 1024
_NO_IDS = {"trace_id": None, "span_id": None, "session_id": None}


class BaseClient:
    """Options, the trace id of the context, metrics, and the way of an entry."""

    def __init__(self, options: ClientOptions) -> None:
        self.options = options
        self._payload_limits = options.payload_limits or PayloadLimitsOptions()
        self._trace_id: ContextVar[str | None] = ContextVar("logtide_trace_id", default=None)
        self._closed = False
        #: Entries that did not even reach the engine.
        self._lost = 0
        self._shipper: millpond.Shipper | None = None
        if not self._is_logging_disabled():
            if not options.api_url:
                raise ValueError("api_url must be provided, or a dsn")
            if not options.api_key:
                raise ValueError("api_key must be provided, or a dsn, unless local_mode is set")
        if options.api_url and options.api_key:
            self._shipper = self._start(options, options.api_url, options.api_key)

    def _start(self, options: ClientOptions, api_url: str, api_key: str) -> millpond.Shipper:
        return millpond.Shipper(
            f"{api_url.rstrip('/')}/api/v1/ingest",
            headers={"X-API-Key": api_key, "Content-Type": "application/json"},
            prefix='{"logs":[',
            suffix="]}",
            refused="drop",
            on_failure=self._print_failure if options.debug else None,
            batch_records_due=min(max(options.batch_size, 1), _BATCH_RECORDS_MAX),
            batch_records_max=_BATCH_RECORDS_MAX,
            batch_age_s=options.flush_interval / 1000 if options.flush_interval > 0 else _NEVER_S,
            queue_records_max=max(options.max_buffer_size, 1),
            attempts_max=max(options.max_retries, 0) + 1,
            retry_delay_s=max(options.retry_delay_ms, 1) / 1000,
            breaker_failures=max(options.circuit_breaker_threshold, 1),
            breaker_reset_s=max(options.circuit_breaker_reset_ms, 0) / 1000,
        )

    def set_trace_id(self, trace_id: str | None) -> None:
        """Has the logs of this context carry a trace id: of this task and the tasks that it starts, or of this thread.
        A thread that it starts has it in a copy of the context: ``contextvars.copy_context().run``."""
        self._trace_id.set(trace_id)

    def get_trace_id(self) -> str | None:
        """The trace id of this context."""
        return self._trace_id.get()

    @contextmanager
    def with_trace_id(self, trace_id: str) -> Generator[None, None, None]:
        """:meth:`set_trace_id` for the time of a block."""
        before = self._trace_id.get()
        self._trace_id.set(trace_id)
        try:
            yield
        finally:
            self._trace_id.set(before)

    @contextmanager
    def with_new_trace_id(self) -> Generator[None, None, None]:
        """A new trace id for the time of a block."""
        with self.with_trace_id(generate_trace_id()):
            yield

    def get_metrics(self) -> ClientMetrics:
        """What became of the entries so far; a copy."""
        metrics = ClientMetrics(logs_dropped=self._lost)
        if self._shipper is not None:
            counted = self._shipper.metrics()
            metrics.logs_sent = counted["delivered"]
            metrics.logs_dropped += sum(counted["dropped"].values())
            metrics.errors = counted["errors"]
            metrics.retries = counted["retries"]
            metrics.avg_latency_ms = counted["latency_ms_mean"]
            metrics.circuit_breaker_trips = counted["breaker_trips"]
        return metrics

    def reset_metrics(self) -> None:
        """Begins to count anew. The circuit breaker stays as it is."""
        self._lost = 0
        if self._shipper is not None:
            self._shipper.reset_metrics()

    def get_circuit_breaker_state(self) -> CircuitState:
        """Whether the server is asked at all at the moment."""
        if self._shipper is None:
            return CircuitState.CLOSED
        return CircuitState(self._shipper.metrics()["breaker"].upper())

    def _is_logging_disabled(self) -> bool:
        mode = self.options.local_mode
        return mode is True or (mode == "if_unset_api_key" and not self.options.api_key)

    def _asked(self) -> millpond.Shipper:
        """What requests go through."""
        if self._shipper is None:
            # No LogTideError: what the original raises there, and callers may expect.
            raise AssertionError("there is no address or key to ask with: the client is in local mode")
        return self._shipper

    def _take_call(
        self, level: LogLevel, first: Any, second: Any, payload: Any, trace_id: str | None, span_id: str | None
    ) -> None:
        """Logs a call of either form: service, message, payload; or message, payload.

        :raises ValueError: it is of the second form, and the options name no service.
        """
        if isinstance(second, str):
            service, message = first, second
        else:
            service, message = self.options.service, first
            payload = payload if second is None else second
            if not service:
                raise ValueError("service is missing: name one in ClientOptions, or call with (service, message)")
        if self._closed or self._shipper is None or self._is_logging_disabled():
            return
        try:
            metadata = _metadata_of(payload)
            self._send(LogEntry(service, level, message, metadata=metadata, trace_id=trace_id, span_id=span_id))
        except Exception:
            self._lost += 1

    def _take(self, entry: LogEntry) -> None:
        """Logs an entry of the caller's; never raises."""
        if self._closed or self._shipper is None or self._is_logging_disabled():
            return
        try:
            self._send(copy.copy(entry))
        except Exception:
            self._lost += 1

    def _send(self, entry: LogEntry) -> None:
        prepared = self._prepared(entry)
        if prepared is not None and self._shipper is not None:
            self._shipper.ship(self._wire(prepared))

    def _prepared(self, entry: LogEntry) -> LogEntry | None:
        """The entry as it is to be sent; ``None`` if it is not."""
        metadata = entry.metadata
        entry.metadata = metadata if isinstance(metadata, dict) else _metadata_of(metadata)
        self._set_trace(entry)
        entry.metadata = {**self.options.global_metadata, **entry.metadata}
        entry.metadata.setdefault("sdk", {"name": SDK_NAME, "version": VERSION})
        hooked = self._hooked(entry)
        if hooked is None:
            return None
        rate = self.options.sample_rate
        return None if rate < 1.0 and random.random() > rate else hooked

    def _set_trace(self, entry: LogEntry) -> None:
        """What the call says goes before the active span, that before the scope, and last is the client's."""
        if entry.trace_id is None:
            trace_id, span_id = active_trace_context()
            if trace_id:
                entry.trace_id = trace_id
                entry.span_id = entry.span_id or span_id
        get_current_scope().apply_to_entry(entry)
        if entry.trace_id is None:
            entry.trace_id = generate_trace_id() if self.options.auto_trace_id else self._trace_id.get()

    def _hooked(self, entry: LogEntry) -> LogEntry | None:
        """What ``before_send`` makes of it. A hook that fails loses nothing."""
        hook = self.options.before_send
        if hook is None:
            return entry
        try:
            changed = hook(entry)
        except Exception:
            return entry
        return changed if changed is None or isinstance(changed, LogEntry) else entry

    def _wire(self, entry: LogEntry) -> dict[str, Any]:
        """The entry within its limits, of nothing but what JSON has."""
        wire = entry.to_dict()
        for name, value in wire.items():
            if name != "metadata" and type(value) is not str:
                wire[name] = str(value)
        wire["time"] = utc_text(wire["time"])
        metadata = wire["metadata"] if isinstance(wire["metadata"], dict) else _metadata_of(wire["metadata"])
        limits = self._payload_limits
        walk = LimitedWalk(limits)
        wire["metadata"] = walk.limited(metadata, "")
        around = (len(wire["message"]) + len(wire["service"])) * CHARACTER_BYTES_MAX + _MEMBERS_BYTES_MAX
        if metadata and walk.bytes_max + around > limits.max_log_size:
            # Only then is it worth the time to be exact; LogTide counts ids that are not there, as null.
            size = len(logtide_json_dumps({**_NO_IDS, **wire}).encode("utf-8"))
            if size > limits.max_log_size:
                wire["metadata"] = {"_truncated": True, "_original_size": size}
        return wire

    def _print_failure(self, failure: millpond.Failure) -> None:
        self._print(f"Failed to send {failure.records} logs (attempt {failure.attempt}): {failure.message}")

    def _ended(self, delivered: bool) -> None:
        if not delivered:
            say("LogTide: logs that could not be delivered are dropped, since the client was closed")

    def _print_sent(self) -> None:
        if self.options.debug:
            metrics = self.get_metrics()
            self._print(f"Sent {metrics.logs_sent} logs so far, dropped {metrics.logs_dropped}")

    def _print(self, text: str) -> None:
        if self.options.debug:
            print(f"[LogTide] {text}")


def _metadata_of(payload: Any) -> dict[str, Any]:
    """Metadata of what a call was given as such."""
    if payload is None:
        return {}
    if isinstance(payload, BaseException):
        return {"exception": serialize_exception(payload)}
    if isinstance(payload, Mapping):
        return dict(payload)
    return {"data": payload}

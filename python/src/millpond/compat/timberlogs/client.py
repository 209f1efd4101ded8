"""The client of Timberlogs and its flows: makes entries of calls, checks them, and hands them on. What is sent when,
and what is done about failures, is decided elsewhere; nothing here blocks but what says so."""

from __future__ import annotations

import itertools
import secrets
import time
import traceback
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from millpond._exit import say
from millpond.compat import _address
from millpond.compat._text import text_of
from millpond.compat.timberlogs._delivery import Delivery
from millpond.compat.timberlogs._raw import RawRequest, create_flow
from millpond.compat.timberlogs._retry import Retry
from millpond.compat.timberlogs.types import (
    FORMAT_CONTENT_TYPES,
    LOG_LEVEL_PRIORITY,
    Environment,
    FormatName,
    IngestRawOptions,
    LogEntry,
    LogLevel,
    LogOptions,
    TimberlogsConfig,
    validate_log_payload,
)

__all__ = ["Flow", "TimberlogsClient", "create_timberlogs"]

_ORIGINAL = "https://timberlogs-ingest.enaboapps.workers.dev"
#: Where logs are sent and flows are made, for whoever sets them; until then a client follows what ``install`` and the
#: environment say when it is made.
LOGS_ENDPOINT = _address.address("timberlogs", _ORIGINAL) + "/v1/logs"
FLOWS_ENDPOINT = _address.address("timberlogs", _ORIGINAL) + "/v1/flows"
_AS_IMPORTED = (LOGS_ENDPOINT, FLOWS_ENDPOINT)

_ERROR_NAME_CHARS_MAX = 200
_ERROR_STACK_CHARS_MAX = 10_000
#: What stands in the middle of a traceback that was cut.
_CUT = "\n  […]\n"
#: 50 that an id may have, less "-" and eight of the suffix.
_FLOW_NAME_CHARS_MAX = 41
_STEPS_MAX = 1_001


class Flow:
    """A process of several steps. Its logs have its id and their step, counted from 0 without a gap."""

    def __init__(self, flow_id: str, name: str, client: TimberlogsClient) -> None:
        self._id = flow_id
        self._name = name
        self._client = client
        # Counting is one step for all threads, and holds no lock that a fork could leave behind.
        self._steps = itertools.count()

    @property
    def id(self) -> str:
        """The id, which is on each of its logs."""
        return self._id

    @property
    def name(self) -> str:
        """What it was called."""
        return self._name

    def debug(self, message: str, data: dict[str, Any] | None = None, options: LogOptions | None = None) -> Flow:
        """Logs a step at this level."""
        return self._log(_entry("debug", message, data, options))

    def info(self, message: str, data: dict[str, Any] | None = None, options: LogOptions | None = None) -> Flow:
        """Logs a step at this level."""
        return self._log(_entry("info", message, data, options))

    def warn(self, message: str, data: dict[str, Any] | None = None, options: LogOptions | None = None) -> Flow:
        """Logs a step at this level."""
        return self._log(_entry("warn", message, data, options))

    def error(
        self,
        message: str,
        error_or_data: Exception | dict[str, Any] | None = None,
        options: LogOptions | None = None,
    ) -> Flow:
        """Logs a step at this level, with what an exception says about itself, or with data."""
        return self._log(_error_entry(message, error_or_data, options))

    def _log(self, entry: LogEntry) -> Flow:
        client = self._client
        if not client.should_log(entry.level):
            return self
        entry.flow_id = self._id
        entry.user_id = client._user_id
        entry.session_id = client._session_id
        validate_log_payload(client._payload(entry))
        # Only now: an entry that was refused leaves no gap. Later steps than the limit are sent without their number.
        step = next(self._steps)
        entry.step_index = step if step < _STEPS_MAX else None
        client.log(entry)
        return self


class TimberlogsClient:
    """Logs to Timberlogs, or to a Millpond server. Any number of threads may use one, and so may forked children.

    Log calls never wait for the network. They raise :class:`ValidationError` for an entry outside of the limits.
    """

    def __init__(self, config: TimberlogsConfig) -> None:
        self._config = config
        self._user_id = config.user_id
        self._session_id = config.session_id
        self._address = _address.address("timberlogs", _ORIGINAL)
        self._delivery = Delivery(config, self._logs_url) if config.api_key else None
        self._has_said = False

    def should_log(self, level: LogLevel) -> bool:
        """Whether logs of this level are sent."""
        return LOG_LEVEL_PRIORITY[level] >= LOG_LEVEL_PRIORITY[self._config.min_level]

    def set_user_id(self, user_id: str | None) -> TimberlogsClient:
        """From now on the user of logs that name none."""
        self._user_id = user_id
        return self

    def set_session_id(self, session_id: str | None) -> TimberlogsClient:
        """From now on the session of logs that name none."""
        self._session_id = session_id
        return self

    def log(self, entry: LogEntry) -> TimberlogsClient:
        """Logs an entry.

        :raises ValidationError: it is outside of the limits.
        """
        if not self.should_log(entry.level):
            return self
        payload = self._payload(entry)
        validate_log_payload(payload)
        payload["timestamp"] = time.time_ns() // 1_000_000
        if self._delivery is not None:
            self._delivery.take(self._logs_url, payload)
        elif not self._has_said:
            self._has_said = True
            say("Timberlogs: there is no api_key; logs are dropped")
        return self

    def debug(
        self, message: str, data: dict[str, Any] | None = None, options: LogOptions | None = None
    ) -> TimberlogsClient:
        """Logs at this level."""
        return self.log(_entry("debug", message, data, options))

    def info(
        self, message: str, data: dict[str, Any] | None = None, options: LogOptions | None = None
    ) -> TimberlogsClient:
        """Logs at this level."""
        return self.log(_entry("info", message, data, options))

    def warn(
        self, message: str, data: dict[str, Any] | None = None, options: LogOptions | None = None
    ) -> TimberlogsClient:
        """Logs at this level."""
        return self.log(_entry("warn", message, data, options))

    def error(
        self,
        message: str,
        error_or_data: Exception | dict[str, Any] | None = None,
        options: LogOptions | None = None,
    ) -> TimberlogsClient:
        """Logs at this level, with what an exception says about itself, or with data."""
        return self.log(_error_entry(message, error_or_data, options))

    def flush(self) -> None:
        """Waits until all logs are delivered, or sending them has failed as often as the options say."""
        if self._delivery is not None:
            self._delivery.flush()

    async def flush_async(self) -> None:
        """As :meth:`flush`."""
        if self._delivery is not None:
            await self._delivery.flush_async()

    def ingest_raw(self, body: str, format: FormatName, options: IngestRawOptions | None = None) -> None:
        """Sends logs that are in a format already, past the queue, and waits for the answer.

        :raises RuntimeError: there is no key.
        :raises ValueError: there is no such format.
        :raises httpx.HTTPError: the server refuses them, or does not answer.
        """
        delivery = self._delivery_for_raw()
        self._raw(body, format, options).send(delivery.shipper(self._logs_url))

    async def ingest_raw_async(self, body: str, format: FormatName, options: IngestRawOptions | None = None) -> None:
        """As :meth:`ingest_raw`."""
        delivery = self._delivery_for_raw()
        await self._raw(body, format, options).send_async(delivery.shipper(self._logs_url))

    def flow(self, name: str) -> Flow:
        """Begins a flow whose id is made here. A name too long for an id is cut."""
        cut = str(name)[:_FLOW_NAME_CHARS_MAX]
        return Flow(f"{cut}-{secrets.token_hex(4)}", name, self)

    async def flow_async(self, name: str) -> Flow:
        """Begins a flow whose id the server makes.

        :raises RuntimeError: there is no key, or the server makes none.
        """
        if self._delivery is None:
            raise RuntimeError("API key required for async flow creation")
        shipper = self._delivery.shipper(self._logs_url)
        flow_id, made = await create_flow(shipper, self._flows_url, name)
        return Flow(flow_id, made, self)

    def disconnect(self) -> None:
        """Flushes and ends sending. Logs from now on are dropped."""
        if self._delivery is not None:
            self._delivery.close()

    async def disconnect_async(self) -> None:
        """As :meth:`disconnect`."""
        if self._delivery is not None:
            await self._delivery.close_async()

    def __enter__(self) -> TimberlogsClient:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        self.disconnect()

    async def __aenter__(self) -> TimberlogsClient:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        await self.disconnect_async()

    @property
    def _logs_url(self) -> str:
        return f"{self._address}/v1/logs" if _AS_IMPORTED[0] == LOGS_ENDPOINT else LOGS_ENDPOINT

    @property
    def _flows_url(self) -> str:
        return f"{self._address}/v1/flows" if _AS_IMPORTED[1] == FLOWS_ENDPOINT else FLOWS_ENDPOINT

    def _payload(self, entry: LogEntry) -> dict[str, Any]:
        """The entry as it goes on the wire, with what the client adds where the entry leaves it open."""
        config = self._config
        payload = entry.to_dict()
        payload["source"] = config.source
        payload["environment"] = config.environment
        defaults = (("userId", self._user_id), ("sessionId", self._session_id))
        for name, value in (("version", config.version), ("dataset", config.dataset), *defaults):
            if value:
                payload.setdefault(name, value)
        data = payload.get("data")
        if data is not None and not isinstance(data, Mapping):
            payload["data"] = {"value": data}
        return payload

    def _delivery_for_raw(self) -> Delivery:
        if self._delivery is None:
            raise RuntimeError("HTTP transport requires api_key")
        return self._delivery

    def _raw(self, body: str, format: FormatName, options: IngestRawOptions | None) -> RawRequest:
        content_type = FORMAT_CONTENT_TYPES.get(format)
        if content_type is None:
            raise ValueError(f"Unsupported format: {format}")
        parameters = {"format": format, **(vars(options) if options else {})}
        return RawRequest.of(self._logs_url, parameters, content_type, body, Retry.of(self._config.retry).attempts)


def create_timberlogs(
    source: str,
    environment: Environment,
    api_key: str | None = None,
    dataset: str | None = None,
    version: str | None = None,
    user_id: str | None = None,
    session_id: str | None = None,
    batch_size: int = 10,
    flush_interval: float = 5.0,
    min_level: LogLevel = "debug",
    on_error: Callable[[Exception], None] | None = None,
    max_retries: int = 3,
    initial_delay_ms: int = 1000,
    max_delay_ms: int = 30000,
) -> TimberlogsClient:
    """Makes a client.

    :param source: name of the application, on every log.
    :param environment: where it runs, on every log.
    :param api_key: key of the server; without one nothing is sent.
    :param dataset: dataset of logs that name none.
    :param version: version of the application.
    :param user_id: user of logs that name none.
    :param session_id: session of logs that name none.
    :param batch_size: most logs of one request, at most 100.
    :param flush_interval: seconds after which logs are sent though their batch is not full; 0 for never.
    :param min_level: least level that is sent.
    :param on_error: called with an exception when sending has failed as often as the next options say.
    :param max_retries: how often a request is made again.
    :param initial_delay_ms: wait before the first retry; doubles each time.
    :param max_delay_ms: longest wait before a retry.
    """
    return TimberlogsClient(
        TimberlogsConfig(
            source=source,
            environment=environment,
            api_key=api_key,
            dataset=dataset,
            version=version,
            user_id=user_id,
            session_id=session_id,
            batch_size=batch_size,
            flush_interval=flush_interval,
            min_level=min_level,
            on_error=on_error,
            retry={
                "max_retries": max_retries,
                "initial_delay_ms": initial_delay_ms,
                "max_delay_ms": max_delay_ms,
            },
        )
    )


def _entry(level: LogLevel, message: str, data: dict[str, Any] | None, options: LogOptions | None) -> LogEntry:
    return LogEntry(level, message, data=data, tags=options.tags if options else None)


def _error_entry(message: str, error_or_data: object, options: LogOptions | None) -> LogEntry:
    if not isinstance(error_or_data, BaseException):
        data: Any = error_or_data  # Whatever it is: the annotation is for those who check it.
        return _entry("error", message, data, options)
    name = type(error_or_data).__name__
    entry = _entry("error", message, {"message": text_of(error_or_data)}, options)
    entry.error_name = name[:_ERROR_NAME_CHARS_MAX]
    entry.error_stack = _stack_of(error_or_data)
    return entry


def _stack_of(error: BaseException) -> str:
    """The traceback. One too long keeps its begin, and its end, which names the exception."""
    stack = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    if len(stack) <= _ERROR_STACK_CHARS_MAX:
        return stack
    kept = _ERROR_STACK_CHARS_MAX - len(_CUT)
    return stack[: kept // 2] + _CUT + stack[len(stack) - (kept - kept // 2) :]

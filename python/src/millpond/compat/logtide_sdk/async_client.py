"""The client for asyncio. Its log calls are coroutines, as the original's, and never wait: there is nothing to await.
It works in any loop, also in several, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import millpond
from millpond._offload import offload
from millpond.compat.logtide_sdk import _errors, _requests
from millpond.compat.logtide_sdk._base_client import CLOSE_TIMEOUT_S, FLUSH_TIMEOUT_S, BaseClient
from millpond.compat.logtide_sdk._live_tail import LiveTail
from millpond.compat.logtide_sdk._version import SDK_NAME as SDK_NAME
from millpond.compat.logtide_sdk._version import VERSION as VERSION
from millpond.compat.logtide_sdk.enums import LogLevel
from millpond.compat.logtide_sdk.models import (
    AggregatedStatsOptions,
    AggregatedStatsResponse,
    ClientOptions,
    LogEntry,
    LogsResponse,
    QueryOptions,
)


class AsyncLogTideClient(BaseClient):
    """Sends logs to LogTide or Millpond, and reads them.

    :raises ValueError: the options have no address or no key, and do not say that logging is off.
    """

    def __init__(self, options: ClientOptions) -> None:
        super().__init__(options)
        self._print(f"Async client initialized: {options.api_url}")

    async def start(self) -> None:
        """Does nothing: logs are sent from the first one on."""

    async def __aenter__(self) -> AsyncLogTideClient:
        await self.start()
        return self

    async def __aexit__(self, *args: Any) -> None:
        await self.close()

    async def close(self) -> None:
        """Delivers what is left and ends. What is logged later is ignored."""
        if self._closed:
            return
        self._closed = True
        if self._shipper is not None:
            self._ended(await self._shipper.close_async(CLOSE_TIMEOUT_S))
            self._print_sent()
        self._print("Async client closed")

    async def log(self, entry: LogEntry) -> None:
        """Logs an entry. It is copied, and stays as it is."""
        self._take(entry)

    async def debug(
        self,
        service_or_message: str,
        message: str | dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
        *,
        trace_id: str | None = None,
        span_id: str | None = None,
    ) -> None:
        """Logs ``debug``: ``(service, message, metadata)``; where the options name a service, without it."""
        self._take_call(LogLevel.DEBUG, service_or_message, message, metadata, trace_id, span_id)

    async def info(
        self,
        service_or_message: str,
        message: str | dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
        *,
        trace_id: str | None = None,
        span_id: str | None = None,
    ) -> None:
        """Logs ``info``: ``(service, message, metadata)``; where the options name a service, without it."""
        self._take_call(LogLevel.INFO, service_or_message, message, metadata, trace_id, span_id)

    async def warn(
        self,
        service_or_message: str,
        message: str | dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
        *,
        trace_id: str | None = None,
        span_id: str | None = None,
    ) -> None:
        """Logs ``warn``: ``(service, message, metadata)``; where the options name a service, without it."""
        self._take_call(LogLevel.WARN, service_or_message, message, metadata, trace_id, span_id)

    async def error(
        self,
        service_or_message: str,
        message: str | dict[str, Any] | Exception | None = None,
        metadata_or_error: dict[str, Any] | Exception | None = None,
        *,
        trace_id: str | None = None,
        span_id: str | None = None,
    ) -> None:
        """Logs ``error``: ``(service, message, metadata or exception)``; where the options name a service,
        without it."""
        self._take_call(LogLevel.ERROR, service_or_message, message, metadata_or_error, trace_id, span_id)

    async def critical(
        self,
        service_or_message: str,
        message: str | dict[str, Any] | Exception | None = None,
        metadata_or_error: dict[str, Any] | Exception | None = None,
        *,
        trace_id: str | None = None,
        span_id: str | None = None,
    ) -> None:
        """Logs ``critical``: ``(service, message, metadata or exception)``; where the options name a service,
        without it."""
        self._take_call(LogLevel.CRITICAL, service_or_message, message, metadata_or_error, trace_id, span_id)

    async def flush(self) -> None:
        """Waits until everything logged so far is delivered or given up."""
        if self._shipper is not None and not self._closed:
            await self._shipper.flush_async(FLUSH_TIMEOUT_S)
            self._print_sent()

    async def query(self, options: QueryOptions) -> LogsResponse:
        """The logs that match, the newest first.

        :raises aiohttp.ClientResponseError: the server answered with an error.
        """
        return _requests.logs_response(await self._get(_requests.query_url(self.options, options)))

    async def get_by_trace_id(self, trace_id: str) -> list[dict[str, Any]]:
        """The logs of a trace, the oldest first.

        :raises aiohttp.ClientResponseError: the server answered with an error.
        """
        return _requests.trace_logs(await self._get(_requests.trace_url(self.options, trace_id)))

    async def get_aggregated_stats(self, options: AggregatedStatsOptions) -> AggregatedStatsResponse:
        """Counts over time, and of which services and errors there are most.

        :raises aiohttp.ClientResponseError: the server answered with an error.
        """
        text = await self._get(_requests.statistics_url(self.options, options))
        statistics = _requests.statistics(text)
        if _requests.is_without_top(text):
            statistics.top_services = await self._top(options, "top-services", "services")
            statistics.top_errors = await self._top(options, "top-errors", "errors")
        return statistics

    async def stream(
        self,
        on_log: Callable[[dict[str, Any]], None],
        on_error: Callable[[Exception], None] | None = None,
        filters: dict[str, str] | None = None,
    ) -> None:
        """Calls ``on_log`` with each log that comes from now on, until the task is cancelled. A connection that is lost
        is made again; ``on_error`` is told of what ``on_log`` raises.

        :raises aiohttp.ClientResponseError: the server refused.
        """
        import asyncio

        call = asyncio.get_running_loop().call_soon_threadsafe

        def report(error: Exception) -> None:
            if on_error is not None:
                call(on_error, error)

        def heard(log: dict[str, Any]) -> None:
            # Here, because in the loop nobody would be told of what it raises.
            try:
                on_log(log)
            except Exception as error:
                report(error)

        url = _requests.stream_url(self.options, filters)
        events = self._asked().events(url, headers=_requests.HEADERS)
        tail = LiveTail(events, lambda log: call(heard, log), report)
        try:
            await offload(tail.run, tail.stop)
        except millpond.RefusedError as error:
            raise _errors.response_error(url, _errors.refusal(error)) from error
        except ConnectionError as error:
            raise _errors.client_connection_error(error) from error

    async def _get(self, url: str) -> str:
        shipper = self._asked()
        try:
            answer = await shipper.request_async("GET", url, headers=_requests.HEADERS, timeout=_requests.TIMEOUT_S)
        except ConnectionError as error:
            raise _errors.client_connection_error(error) from error
        if not _requests.is_success(answer):
            raise _errors.response_error(url, answer)
        return answer.body

    async def _top(self, options: AggregatedStatsOptions, what: str, name: str) -> list[dict[str, Any]]:
        """A list that LogTide's server has at an address of its own; without it the counts are still worth having."""
        try:
            return _requests.top(await self._get(_requests.statistics_url(self.options, options, what)), name)
        except Exception:
            return []

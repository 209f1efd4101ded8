"""The client for programs without asyncio. No call but ``flush``, ``close`` and those that read waits for a server."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import millpond
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


class LogTideClient(BaseClient):
    """Sends logs to LogTide or Millpond, and reads them.

    :raises ValueError: the options have no address or no key, and do not say that logging is off.
    """

    def __init__(self, options: ClientOptions) -> None:
        super().__init__(options)
        self._print(f"Client initialized: {options.api_url}")

    def log(self, entry: LogEntry) -> None:
        """Logs an entry. It is copied, and stays as it is."""
        self._take(entry)

    def debug(
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

    def info(
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

    def warn(
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

    def error(
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

    def critical(
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

    def flush(self) -> None:
        """Waits until everything logged so far is delivered or given up."""
        if self._shipper is not None and not self._closed:
            self._shipper.flush(FLUSH_TIMEOUT_S)
            self._print_sent()

    def close(self) -> None:
        """Delivers what is left and ends. What is logged later is ignored. The end of the program does it, too."""
        if self._closed:
            return
        self._closed = True
        if self._shipper is not None:
            self._ended(self._shipper.close(CLOSE_TIMEOUT_S))
            self._print_sent()
        self._print("Client closed")

    def query(self, options: QueryOptions) -> LogsResponse:
        """The logs that match, the newest first.

        :raises requests.HTTPError: the server answered with an error.
        """
        return _requests.logs_response(self._get(_requests.query_url(self.options, options)))

    def get_by_trace_id(self, trace_id: str) -> list[dict[str, Any]]:
        """The logs of a trace, the oldest first.

        :raises requests.HTTPError: the server answered with an error.
        """
        return _requests.trace_logs(self._get(_requests.trace_url(self.options, trace_id)))

    def get_aggregated_stats(self, options: AggregatedStatsOptions) -> AggregatedStatsResponse:
        """Counts over time, and of which services and errors there are most.

        :raises requests.HTTPError: the server answered with an error.
        """
        text = self._get(_requests.statistics_url(self.options, options))
        statistics = _requests.statistics(text)
        if _requests.is_without_top(text):
            statistics.top_services = self._top(options, "top-services", "services")
            statistics.top_errors = self._top(options, "top-errors", "errors")
        return statistics

    def stream(
        self,
        on_log: Callable[[dict[str, Any]], None],
        on_error: Callable[[Exception], None] | None = None,
        filters: dict[str, str] | None = None,
    ) -> Callable[[], None]:
        """Calls ``on_log`` with each log that comes from now on, in a thread of its own, until the function that is
        returned is called. A connection that is lost is made again; ``on_error`` is told of what ``on_log`` raises, and
        of a server that is not there or refuses, which ends it."""
        if self._shipper is None:
            return lambda: None
        url = _requests.stream_url(self.options, filters)
        tail = LiveTail(self._shipper.events(url, headers=_requests.HEADERS), on_log, on_error)

        def run() -> None:
            try:
                tail.run()
            except millpond.RefusedError as error:
                tail.report(_errors.http_error(url, _errors.refusal(error)))
            except ConnectionError as error:
                tail.report(_errors.connection_error(error))

        threading.Thread(target=run, name="logtide-stream", daemon=True).start()
        return tail.stop

    def _get(self, url: str) -> str:
        try:
            answer = self._asked().request("GET", url, headers=_requests.HEADERS, timeout=_requests.TIMEOUT_S)
        except ConnectionError as error:
            raise _errors.connection_error(error) from error
        if not _requests.is_success(answer):
            raise _errors.http_error(url, answer)
        return answer.body

    def _top(self, options: AggregatedStatsOptions, what: str, name: str) -> list[dict[str, Any]]:
        """A list that LogTide's server has at an address of its own; without it the counts are still worth having."""
        try:
            return _requests.top(self._get(_requests.statistics_url(self.options, options, what)), name)
        except Exception:
            return []

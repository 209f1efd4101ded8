"""The way of a client's logs to the server: one ``millpond.Shipper`` queues, sends and retries them. This sets it up as
Timberlogs' options say, and tells ``on_error`` or stderr what failed. It has no queue, thread or timer of its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import millpond
from millpond._config import SECONDS_MAX
from millpond._exit import say
from millpond.compat.timberlogs._errors import status_error, transport_error
from millpond.compat.timberlogs._retry import REQUEST_TIMEOUT_S, Retry, is_refusal_of_all, is_worth_retrying
from millpond.compat.timberlogs.types import TimberlogsConfig

#: Most logs that the server takes in one request.
_LOGS_MAX = 100


class Delivery:
    """Takes logs as dicts by the names on the wire. Never blocks on the network but where it says so, never raises."""

    def __init__(self, config: TimberlogsConfig, url: str) -> None:
        """
        :raises ValueError: an option has a value that nothing could be sent with.
        """
        self._config = config
        self._retry = Retry.of(config.retry)
        #: By address: whoever changes the constants of the module later is sent to from then on.
        self._shippers = {url: self._start(url)}
        self._closed = False
        self._said: set[str] = set()
        #: The failure that was told last.
        self._told = ""

    def shipper(self, url: str) -> millpond.Shipper:
        """The shipper to this address, which also makes other requests to the server."""
        found = self._shippers.get(url)
        if found is None:
            made = self._start(url)
            found = self._shippers.setdefault(url, made)
            if found is not made:
                made.close(0.0)  # Another thread was faster.
        return found

    def take(self, url: str, log: dict[str, Any]) -> None:
        """Queues a log. It is copied here: what happens to its values later changes nothing."""
        if self._closed:
            self._say_once("the client is disconnected; logs from now on are dropped")
            return
        try:
            shipper = self.shipper(url)
        except ValueError as error:  # The address was set in the module after the client was made.
            self._say_once(f"{error}; logs are dropped")
            return
        if not shipper.ship(log):
            self._say_once("the queue is full or a log too large; such logs are dropped")

    def flush(self) -> None:
        """Waits until all is delivered, or an attempt with all its retries has failed."""
        for shipper in list(self._shippers.values()):
            shipper.flush(self._retry.cycle_s)

    async def flush_async(self) -> None:
        """As :meth:`flush`."""
        for shipper in list(self._shippers.values()):
            await shipper.flush_async(self._retry.cycle_s)

    def close(self) -> None:
        """Flushes, and takes nothing any more."""
        self._closed = True
        for shipper in self._to_close():
            shipper.flush(self._retry.cycle_s)
            self._ended(shipper.close(0.0))

    async def close_async(self) -> None:
        """As :meth:`close`."""
        self._closed = True
        for shipper in self._to_close():
            await shipper.flush_async(self._retry.cycle_s)
            self._ended(await shipper.close_async(0.0))

    def _ended(self, delivered: bool) -> None:
        if not delivered:
            say("Timberlogs: logs that could not be delivered are dropped, since the client was disconnected")

    def _to_close(self) -> Iterable[millpond.Shipper]:
        return [shipper for shipper in self._shippers.values() if not shipper.is_closed]

    def _start(self, url: str) -> millpond.Shipper:
        config = self._config

        def report(failure: millpond.Failure) -> None:
            if self._is_final(failure):
                self._report(url, failure)

        return millpond.Shipper(
            url,
            headers={"X-API-Key": str(config.api_key).strip()},
            prefix='{"logs":[',
            suffix="]}",
            refused="keep",
            on_failure=report,
            batch_records_due=min(max(1, config.batch_size), _LOGS_MAX),
            batch_records_max=_LOGS_MAX,
            batch_age_s=config.flush_interval if config.flush_interval > 0 else SECONDS_MAX,
            retry_delay_s=self._retry.delay_s,
            retry_delay_s_max=self._retry.delay_s_max,
            # After so many failures a flush waits no longer; the next attempt comes at its time nevertheless.
            breaker_failures=self._retry.attempts,
            breaker_reset_s=0.0,
            compression="none",
            request_timeout_s=REQUEST_TIMEOUT_S,
        )

    def _is_final(self, failure: millpond.Failure) -> bool:
        """Whether the original would give up here, and put the logs back into its queue: after all attempts. Each one
        that follows is the end of a try of its own."""
        if failure.dropped or (failure.status is not None and is_refusal_of_all(failure.status)):
            return True
        can_change = failure.status is None or is_worth_retrying(failure.status)
        return can_change and failure.attempt >= self._retry.attempts

    def _report(self, url: str, failure: millpond.Failure) -> None:
        on_error = self._config.on_error
        if on_error is None:
            told = ": ".join(filter(None, (failure.message, failure.body[:500])))
            # Were each told, an outage would fill the terminal.
            if told != self._told:
                self._told = told
                say(f"Timberlogs error: {told}")
            return
        if failure.status is None:
            error = transport_error(url, failure.message)
        else:
            error = status_error(url, failure.status, failure.body, message=failure.message)
        try:
            on_error(error)
        except Exception as raised:
            say(f"Timberlogs: on_error raised {type(raised).__name__}: {raised}")

    def _say_once(self, what: str) -> None:
        if what not in self._said:
            self._said.add(what)
            say(f"Timberlogs: {what}")

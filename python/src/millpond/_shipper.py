"""Shippers: entries of any JSON form, delivered to any address by the engine that delivers records. What an entry looks
like, and what a server answers beside a status, is the business of whoever ships."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from millpond import _native
from millpond._config import (
    SHIPPER_OPTIONS,
    ConfigurationError,
    Settings,
    address_from,
    documentation,
    headers_from,
    shipper_settings_from,
)
from millpond._exit import exit_, say
from millpond._gevent import patiently
from millpond._offload import begin, offload
from millpond._read_errors import MalformedAnswerError, ReadError, ReadTimeoutError, RefusedError, UnreachableError
from millpond._start import seconds

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from millpond._config import ShipperOptions


class Failure(NamedTuple):
    """An attempt to deliver a batch that failed, or a refusal of it."""

    #: HTTP status; ``None`` when there was no answer.
    status: int | None
    #: What went wrong, in words.
    message: str
    #: The beginning of the answer's body; empty if there was none.
    body: str
    #: How many entries it is about.
    records: int
    #: Which attempt of this batch it was, from 1. The halves of a batch that was cut up begin anew.
    attempt: int
    #: Whether these entries are given up.
    dropped: bool


class Response(NamedTuple):
    """The answer to a request."""

    #: HTTP status.
    status: int
    #: The body as text.
    body: str
    #: The headers, by their names in lower case.
    headers: dict[str, str]


class RequestTimeoutError(ConnectionError, TimeoutError):
    """There was no answer in time."""


class EventStream:
    """The data of server-sent events as they come, each as text, whatever its type. An iterator that waits for the next
    one for as long as it takes; other threads run meanwhile, and Ctrl-C works.

    Connects when the first one is wanted. A connection that breaks later is made again, behind the last event if the
    server gives ids. The next event raises ``ConnectionError`` if there is no first connection, and
    :class:`millpond.RefusedError` (``status``, ``code``) if the server refuses. Leaving the ``with`` block stops it.
    """

    __slots__ = ("_stream",)

    def __init__(self, stream: _native.LogStream) -> None:
        self._stream = stream

    def stop(self) -> None:
        """Ends it, from any thread, also while another one waits for an event. Doing it again does no harm."""
        self._stream.stop()

    @property
    def outage(self) -> str | None:
        """Why there is no connection, while it is tried again; ``None`` while there is one."""
        outage = self._stream.outage
        return None if outage is None else str(outage)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        try:
            data = self._stream.next()
        except RefusedError:
            raise
        except ReadError as error:
            raise _raised(error) from None
        if data is None:
            raise StopIteration
        return data

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Shipper:
    """Delivers JSON of any form to any server, as :class:`millpond.Client` delivers records to Millpond's: with the
    same queue, batches, retries, circuit breaker and spool, at the end of the program, and in forked children.

    >>> shipper = millpond.Shipper("https://logs.example/v1/logs", headers={"x-api-key": "…"})
    >>> shipper.ship({"text": "order placed", "order": 4711})
    True

    Every answer 2xx means that the batch was delivered, but for entries that its JSON lists as ``rejected``. 408, 425,
    429, 5xx and no answer at all: it is tried again, when ``Retry-After`` or the ``retryAfter`` of a JSON body says so,
    at most two minutes later. 413: it is halved. 400, 415, 422 and what else is 4xx: it is cut up until the entry at
    fault is alone, and that one is dropped. 401, 403, 404, 405, 410 and redirects: see ``refused``.

    :param url: the whole address that batches are posted to.
    :param headers: headers of every request. ``Content-Type`` is ``application/json`` unless it is among them.
    :param prefix: what stands in a body in front of its entries, which are separated by commas.
    :param suffix: what stands behind them.
    :param refused: whether a batch whose key or address is refused is kept, and tried now and then and at each flush,
        or dropped and counted.
    :param on_failure: called with a :class:`Failure` after each attempt that failed, in the thread that sends: what it
        waits for, delivery waits for. It may ship, and flush (which doesn't wait there). What it raises is said once on
        stderr. It is not called any more once the interpreter is about to end.
    """

    __slots__ = ("__weakref__", "_closed", "_native", "_report", "_settings", "_url")

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] = {},
        prefix: str = "[",
        suffix: str = "]",
        refused: Literal["keep", "drop"] = "keep",
        on_failure: Callable[[Failure], object] | None = None,
        **options: Unpack[ShipperOptions],
    ) -> None:
        self._settings: Settings = shipper_settings_from(options)
        self._url = address_from(url, "Shipper(url)", "a whole address such as https://logs.example/v1/logs")
        for name, text in (("prefix", prefix), ("suffix", suffix)):
            if not isinstance(text, str):
                raise ConfigurationError(f"Shipper({name}=…) is of type {type(text).__name__}, expected a string")
        if refused not in ("keep", "drop"):
            raise ConfigurationError(f"Shipper(refused=…) is {refused!r}, expected keep or drop")
        if on_failure is not None and not callable(on_failure):
            raise ConfigurationError(f"Shipper(on_failure=…) is {on_failure!r}, expected a function")
        self._report = None if on_failure is None else _Report(on_failure)
        try:
            self._native = _native.Shipper(
                self._url,
                headers_from(headers, "Shipper(headers=…)"),
                (prefix, suffix),
                refused == "drop",
                self._report,
                dict(self._settings.native),
            )
        except ValueError as error:
            raise ConfigurationError(str(error)) from None
        self._closed = False
        exit_.watch(self._native, self._settings)

    def ship(self, entry: object) -> bool:
        """Takes a copy of the value as JSON (for odd values see ``docs/python/values.md``); whether it was taken: not
        if the shipper is closed or its queue full. Never raises, and waits only where ``overflow`` is ``block``."""
        return self._native.ship(entry)

    def hasten(self) -> None:
        """Has what waits sent at once, though no batch is full or old enough. Waits for nothing, and cuts no pause
        after a failure short, as a flush does."""
        self._native.hasten()

    def flush(self, timeout: float | None = None) -> bool:
        """Waits until everything shipped so far is delivered, at most ``timeout`` seconds (default: the shutdown
        time-out); whether it was. Other threads run meanwhile.

        Says ``False`` early where nothing comes of waiting: once a batch was given up (after ``attempts_max``, or
        because it was refused), once the server refuses everything, or once the circuit breaker is open and another
        attempt has failed."""
        return patiently(self._native.flush_hopefully, self._timeout(timeout))

    async def flush_async(self, timeout: float | None = None) -> bool:
        """As :meth:`flush`, for asyncio."""
        within = self._timeout(timeout)
        return await begin(lambda: self._native.flush_hopefully(within))

    def close(self, timeout: float | None = None) -> bool:
        """Waits as :meth:`flush`, but for as long as there is time, then stops; whether everything was delivered.
        Entries that come later are dropped and counted. Calling it again does no harm."""
        return self._close(self._timeout(timeout))

    async def close_async(self, timeout: float | None = None) -> bool:
        """As :meth:`close`, for asyncio."""
        within = self._timeout(timeout)
        return await begin(lambda: self._close(within))

    @property
    def is_closed(self) -> bool:
        """Whether it was closed."""
        return self._closed

    def metrics(self) -> dict[str, Any]:
        """The account of this process: see :func:`millpond.metrics`."""
        return self._native.metrics()

    def reset_metrics(self) -> None:
        """Begins to count anew. Entries that have no fate yet count as accepted."""
        self._native.reset_metrics()

    def request(
        self,
        method: str,
        url: str,
        body: str | bytes | None = None,
        *,
        headers: Mapping[str, str] = {},
        timeout: float | None = None,
        attempts_max: int = 1,
    ) -> Response:
        """Asks the same system something else, with the same headers (``headers`` go before them), proxy, certificates
        and time limits; waits for the answer, whatever its status is. No redirect is followed.

        :param attempts_max: how often it is tried where there is no answer, or one that asks for another try (408, 425,
            429, 5xx), with the waits of the batches between; what comes of the last attempt counts. Each has the same
            ``Idempotency-Key``, so that a Millpond server does what is asked once.
        :param timeout: seconds for each of connecting, sending, the beginning of the answer, and the rest of it.
        :raises ConnectionError: there is no answer. If it is only late, it is a ``TimeoutError`` as well.
        :raises ValueError: the request can't be written.
        """
        return self._request(None, method, url, body, headers, timeout, attempts_max)

    async def request_async(
        self,
        method: str,
        url: str,
        body: str | bytes | None = None,
        *,
        headers: Mapping[str, str] = {},
        timeout: float | None = None,
        attempts_max: int = 1,
    ) -> Response:
        """As :meth:`request`, for asyncio. A task that is cancelled ends the request."""
        stopper = _native.Stopper()
        return await offload(
            lambda: self._request(stopper, method, url, body, headers, timeout, attempts_max), stopper.stop
        )

    def events(self, url: str, *, headers: Mapping[str, str] = {}) -> EventStream:
        """The data of the server-sent events of this address, with the same headers (``headers`` go before them)."""
        return EventStream(self._native.events(url, headers_from(headers, "events(headers=…)")))

    def _request(
        self,
        stopper: _native.Stopper | None,
        method: str,
        url: str,
        body: str | bytes | None,
        headers: Mapping[str, str],
        timeout: float | None,
        attempts_max: int,
    ) -> Response:
        if not isinstance(attempts_max, int) or not 1 <= attempts_max < 1 << 32:
            raise ValueError(f"request(attempts_max=…) is {attempts_max!r}, expected a whole number from 1 on")
        payload = body.encode("utf-8", "replace") if isinstance(body, str) else body
        within = None if timeout is None else seconds(timeout)
        more = headers_from(headers, "request(headers=…)")
        try:
            status, text, found = self._native.request(method, url, payload, more, attempts_max, within, stopper)
        except ReadError as error:
            raise _raised(error) from None
        return Response(status, text, dict(found))

    def _timeout(self, given: float | None) -> float:
        return self._settings.shutdown_timeout_s if given is None else seconds(given)

    def _close(self, timeout_s: float) -> bool:
        self._closed = True
        exit_.forget(self._native)
        done = patiently(lambda within: self._native.close(within)[0] == 0, timeout_s)
        if self._report is not None:
            self._report.callback = None  # The engine would keep it for ever, and it may keep us.
        return done

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<millpond.Shipper url={self._url!r}>"


class _Report:
    """Calls the application and lets nothing out."""

    __slots__ = ("_said", "callback")

    def __init__(self, callback: Callable[[Failure], object]) -> None:
        self.callback: Callable[[Failure], object] | None = callback
        self._said = False

    def __call__(
        self, status: int | None, message: str, body: str, records: int, attempt: int, dropped: bool, /
    ) -> None:
        callback = self.callback
        if callback is None:
            return
        try:
            callback(Failure(status, message, body, records, attempt, dropped))
        except BaseException as error:
            if not self._said:
                self._said = True
                say(f"on_failure raised {_shown(error)}")


def _shown(error: BaseException) -> str:
    try:
        return repr(error)
    except Exception:
        return type(error).__name__


def _raised(error: ReadError) -> Exception:
    if isinstance(error, ReadTimeoutError):
        return RequestTimeoutError(str(error))
    if isinstance(error, (UnreachableError, MalformedAnswerError)):
        return ConnectionError(str(error))
    return ValueError(str(error))


Shipper.__doc__ = f"{Shipper.__doc__}{documentation(SHIPPER_OPTIONS)}\n"

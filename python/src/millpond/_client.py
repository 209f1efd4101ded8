"""Clients: an own connection to a server, with options of its own. Most programs need none: ``millpond.init`` makes the
one that everything else uses."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from millpond import _native
from millpond._async_reading import AsyncReading
from millpond._config import documentation, settings_from
from millpond._flow import Flow, checked_step
from millpond._logger import Levels, Logger, logger_of
from millpond._offload import begin
from millpond._reading import Reading
from millpond._sink import Sink
from millpond._start import close, flush, persist, preview, seconds, start

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from millpond._config import Options


class _Sender(Levels):
    """What clients have in common."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._settings = settings_from(options)
        self._native = start(self._settings)
        self._made: _native.Reader | None = None
        self._sink = self._native
        self._name = None
        self._bound = None

    @property
    def sink(self) -> Sink:
        """Where its records go: for bridges from other libraries."""
        return self._native

    def get_logger(self, name: str | None = None, **attributes: object) -> Logger:
        """The logger of this name, with attributes bound to it."""
        return logger_of(self._native, name, attributes)

    def flow(self, name: str) -> Flow:
        """Begins a flow: a process of several steps, each of which is a record. Its id is made here."""
        return Flow(self._native, self._native.flow(str(name)))

    def resume_flow(self, id: str, next_step: int) -> Flow:
        """Goes on with a flow that was begun elsewhere, from the step that is next."""
        return Flow(self._native, self._native.resume_flow(str(id), checked_step(next_step)))

    def preview(
        self, level: str | int, message: object, /, *args: object, exc_info: object = None, **fields: object
    ) -> dict[str, Any] | None:
        """The record that would be sent for this log call here and now, after redaction and ``before_send``, whatever
        the least level and sampling say; ``None`` if the hook drops it. Nothing is sent or counted."""
        return preview(self._native, level, message, args, self._name, exc_info, fields)

    def metrics(self) -> dict[str, Any]:
        """The account of this process: see :func:`millpond.metrics`."""
        return self._native.metrics()

    def reset_metrics(self) -> None:
        """Begins to count anew. Records that have no fate yet count as accepted."""
        self._native.reset_metrics()

    def set_min_level(self, level: str | int) -> None:
        """Changes the least level that is kept, from now on."""
        self._native.set_min_level(settings_from({"min_level": level}, {}).native["min_level"])  # type: ignore[arg-type]

    def _reader(self) -> _native.Reader:
        """Always the same one, since its connections are kept."""
        if self._made is None:
            self._made = self._native.reader()
        return self._made

    def _timeout(self, given: float | None) -> float:
        return self._settings.shutdown_timeout_s if given is None else seconds(given)

    def __repr__(self) -> str:
        native = self._settings.native
        return f"<millpond.{type(self).__name__} service={native.get('service')!r} endpoint={native.get('endpoint')!r}>"


class Client(_Sender, Reading):
    """Sends records to a Millpond server, and reads from it.

    The options are those of :func:`millpond.init`. Log calls never block on the network and never raise; a client may
    be used by any number of threads, and goes on in a forked child, with an empty queue. As a context manager it is
    closed at the end of the block. One that is never closed is flushed at the end of the program.

    >>> with millpond.Client(service="import", api_key="…") as client:
    ...     client.info("started", files=3)

    :raises ConfigurationError: an option has a value that it can't have.
    """

    def __init__(self, **options: Unpack[Options]) -> None:
        super().__init__(options)

    def flush(self, timeout: float | None = None) -> bool:
        """Waits until everything logged so far is delivered, at most ``timeout`` seconds (default: the shutdown
        time-out); whether it was. Other threads run meanwhile."""
        return flush(self._native, self._timeout(timeout))

    def persist(self, timeout: float | None = None) -> bool:
        """Waits until everything logged so far is synced to the disk by the spool, or delivered; whether it is."""
        return persist(self._native, self._timeout(timeout))

    def close(self, timeout: float | None = None) -> bool:
        """Flushes, then stops sending; whether everything was delivered. Records logged later are dropped and
        counted. Calling it again does no harm."""
        return close(self._native, self._timeout(timeout))

    def flow_from_server(self, name: str) -> Flow:
        """Begins a flow whose id the server makes. Waits for its answer.

        :raises ConnectionError: there is no answer, or it names no flow.
        """
        return Flow(self._native, self._native.flow_from_server(str(name)))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _class: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self.close()


class AsyncClient(_Sender, AsyncReading):
    """As :class:`Client`, for asyncio: what waits is a coroutine. Log calls are not, since they never wait.

    >>> async with millpond.AsyncClient(service="import", api_key="…") as client:
    ...     client.info("started", files=3)
    ...     await client.flush()
    """

    def __init__(self, **options: Unpack[Options]) -> None:
        super().__init__(options)

    async def flush(self, timeout: float | None = None) -> bool:
        """As :meth:`Client.flush`."""
        within = self._timeout(timeout)
        return await begin(lambda: flush(self._native, within))

    async def persist(self, timeout: float | None = None) -> bool:
        """As :meth:`Client.persist`."""
        within = self._timeout(timeout)
        return await begin(lambda: persist(self._native, within))

    async def close(self, timeout: float | None = None) -> bool:
        """As :meth:`Client.close`."""
        within = self._timeout(timeout)
        return await begin(lambda: close(self._native, within))

    async def flow_from_server(self, name: str) -> Flow:
        """As :meth:`Client.flow_from_server`."""
        return Flow(self._native, await begin(lambda: self._native.flow_from_server(str(name))))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _class: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        await self.close()


for _class in (Client, AsyncClient):
    _class.__doc__ = f"{_class.__doc__}\n{documentation()}\n"

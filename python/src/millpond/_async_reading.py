"""Reading for asyncio: the same names as in ``_reading``, as coroutines and async iterators. Cancelling the task ends
the request at once; a loop that is closed, or another one later, does no harm."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from millpond import _arrow, _native
from millpond._log import Log, Page, Receipt, Statistics
from millpond._offload import begin, offload
from millpond._read_errors import ReadError
from millpond._reading import (
    PAGE_SIZE_MAX,
    Body,
    Level,
    Paging,
    RawFormat,
    body_bytes,
    level_name,
    log_of,
    page_of,
    receipt_of,
    statistics_of,
)
from millpond._times import Moment, period

if TYPE_CHECKING:
    import asyncio

_T = TypeVar("_T")


async def _ask(ask: Callable[..., str], read: Callable[[str], _T]) -> _T:
    """The answer of the engine, read on the thread that waited for it: a large page takes milliseconds."""
    stopper = _native.Stopper()
    return await offload(lambda: read(ask(stopper=stopper)), stopper.stop)


class AsyncLogs(AsyncIterator[Log]):
    """As :class:`Logs`."""

    def __init__(self, fetch: Callable[..., str], paging: Paging) -> None:
        self._fetch = fetch
        self._paging = paging
        self._page: Iterator[Log] = iter(())

    async def __anext__(self) -> Log:
        while True:
            for log in self._page:
                return log
            page = await self._next_page()
            if page is None:
                raise StopAsyncIteration
            self._page = iter(page)

    async def pages(self) -> AsyncIterator[Page]:
        """What is left, page by page."""
        begun = Page(tuple(self._page))
        if begun:
            yield begun
        while (page := await self._next_page()) is not None:
            yield page

    async def _next_page(self) -> Page | None:
        size = self._paging.next_size
        if not size:
            return None
        answer = await _ask(partial(self._fetch, cursor=self._paging.cursor, limit=size), page_of)
        self._paging.turn(answer)
        return answer

    @property
    def damaged(self) -> tuple[str, ...]:
        """Parts of the stored data that are damaged and were left out so far; normally empty."""
        return self._paging.damaged

    async def to_arrow(self) -> Any:
        """What is left, as a ``pyarrow.Table``; see :meth:`Page.to_arrow`."""
        await _aside(lambda: _arrow.require("to_arrow()", "pyarrow"))
        tables = [await _aside(page.to_arrow) async for page in self.pages()]
        return _arrow.concatenated(tables)

    async def to_pandas(self) -> Any:
        """What is left, as a ``pandas.DataFrame``."""
        await _aside(lambda: _arrow.require("to_pandas()", "pyarrow", "pandas"))
        table = await self.to_arrow()
        return await _aside(lambda: _arrow.to_pandas(lambda: table))

    async def to_polars(self) -> Any:
        """What is left, as a ``polars.DataFrame``."""
        await _aside(lambda: _arrow.require("to_polars()", "pyarrow", "polars"))
        table = await self.to_arrow()
        return await _aside(lambda: _arrow.to_polars(lambda: table))


async def _aside(work: Callable[[], _T]) -> _T:
    return await offload(work, lambda: None)


class AsyncLogStream(AsyncIterator[Log]):
    """As :class:`LogStream`. Use it with ``async with``, which stops it however the block is left.

    Cancelling one wait for a log, as ``asyncio.wait_for`` does, loses none: the next wait gets it.
    """

    def __init__(self, stream: _native.LogStream) -> None:
        self._stream = stream
        self._arrival: asyncio.Future[None] | None = None

    async def __anext__(self) -> Log:
        import asyncio

        # Others have their turn, also while there is always a next log.
        await asyncio.sleep(0)
        while not self._stream.is_ready():
            await self._arrived()
        text = self._stream.next()
        if text is None:
            raise StopAsyncIteration
        return log_of(text)

    async def _arrived(self) -> None:
        """Something is there. One thread waits for that, whoever is cancelled."""
        import asyncio

        arrival = self._arrival
        if arrival is None or arrival.done() or arrival.get_loop() is not asyncio.get_running_loop():
            self._arrival = arrival = begin(self._stream.wait)
        await asyncio.shield(arrival)

    async def __aenter__(self) -> AsyncLogStream:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stop()

    def __del__(self) -> None:
        # The thread that waits knows the engine's stream only.
        self._stream.stop()

    def stop(self) -> None:
        """Ends it, from any thread. Returns at once, and does no harm a second time."""
        self._stream.stop()

    @property
    def position(self) -> str | None:
        """As :attr:`LogStream.position`."""
        return self._stream.position

    @property
    def outage(self) -> ReadError | None:
        """As :attr:`LogStream.outage`."""
        return self._stream.outage


class AsyncReading:
    """What an async client can read: see :class:`Reading`, method by method."""

    __slots__ = ()

    def _reader(self) -> _native.Reader:
        """The engine's; always the same one, because it keeps connections."""
        raise NotImplementedError

    async def query(
        self,
        q: str = "",
        *,
        level: Level | None = None,
        service: str | None = None,
        trace_id: str | None = None,
        from_: Moment | None = None,
        to: Moment | None = None,
        last: timedelta | None = None,
        limit: int = 100,
        cursor: str | None = None,
        timeout_s: float | None = None,
    ) -> Page:
        """As :meth:`Reading.query`."""
        begin, end = period(from_, to, last)
        ask = partial(
            self._reader().query,
            q,
            level=level_name(level),
            service=service,
            trace_id=trace_id,
            from_=begin,
            to=end,
            limit=limit,
            cursor=cursor,
            timeout_s=timeout_s,
        )
        return await _ask(ask, page_of)

    def logs(
        self,
        q: str = "",
        *,
        level: Level | None = None,
        service: str | None = None,
        trace_id: str | None = None,
        from_: Moment | None = None,
        to: Moment | None = None,
        last: timedelta | None = None,
        limit: int | None = None,
        page_size: int = PAGE_SIZE_MAX,
        timeout_s: float | None = None,
    ) -> AsyncLogs:
        """As :meth:`Reading.logs`, for ``async for``."""
        begin, end = period(from_, to, last)
        fetch = partial(
            self._reader().query,
            q,
            level=level_name(level),
            service=service,
            trace_id=trace_id,
            from_=begin,
            to=end,
            timeout_s=timeout_s,
        )
        return AsyncLogs(fetch, Paging(limit, page_size))

    async def by_trace_id(self, trace_id: str, *, timeout_s: float | None = None) -> Page:
        """As :meth:`Reading.by_trace_id`."""
        return await _ask(partial(self._reader().by_trace_id, trace_id, timeout_s=timeout_s), page_of)

    async def aggregated(
        self,
        q: str = "",
        *,
        level: Level | None = None,
        service: str | None = None,
        from_: Moment | None = None,
        to: Moment | None = None,
        last: timedelta | None = None,
        interval: str | None = None,
        timeout_s: float | None = None,
    ) -> Statistics:
        """As :meth:`Reading.aggregated`."""
        begin, end = period(from_, to, last)
        ask = partial(
            self._reader().aggregated,
            q,
            level=level_name(level),
            service=service,
            from_=begin,
            to=end,
            interval=interval,
            timeout_s=timeout_s,
        )
        return await _ask(ask, statistics_of)

    def stream(
        self,
        q: str = "",
        *,
        level: Level | None = None,
        service: str | None = None,
        resume_after: str | None = None,
        silence_max_s: float | None = None,
    ) -> AsyncLogStream:
        """As :meth:`Reading.stream`, for ``async with`` and ``async for``."""
        stream = self._reader().stream(
            q, level=level_name(level), service=service, resume_after=resume_after, silence_max_s=silence_max_s
        )
        return AsyncLogStream(stream)

    async def ingest_raw(
        self,
        format: RawFormat,
        body: Body,
        *,
        level: Level | None = None,
        service: str | None = None,
        environment: str | None = None,
        dataset: str | None = None,
        user_id: str | None = None,
        session_id: str | None = None,
        request_id: str | None = None,
        flow_id: str | None = None,
        tags: Sequence[str] = (),
        retry_for_s: float | None = None,
    ) -> Receipt:
        """As :meth:`Reading.ingest_raw`. Cancelled, it is not sent again; it may have been stored or not."""
        ask = partial(
            self._reader().ingest_raw,
            format,
            body_bytes(body),
            level=level_name(level),
            service=service,
            environment=environment,
            dataset=dataset,
            user_id=user_id,
            session_id=session_id,
            request_id=request_id,
            flow_id=flow_id,
            tags=tags,
            retry_for_s=retry_for_s,
        )
        return await _ask(ask, receipt_of)

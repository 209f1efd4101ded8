"""Reading for programs with threads: what to ask for, pages, the live stream. One request has one thread of the
engine; the one that asks hears Ctrl-C while it waits.

Needs no more than :meth:`Reading._reader`. Nothing here has to do with what is logged: no query waits for records to
be sent, and nothing that is read is logged.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any, Literal, Union

from millpond import _arrow, _levels, _native
from millpond._log import Bucket, Count, Log, Page, Receipt, Rejected, Statistics
from millpond._read_errors import MalformedAnswerError, ReadError
from millpond._times import Moment, period, utc
from millpond._times import nanoseconds as _nanoseconds

#: ``json``, JSON lines, ``syslog`` (RFC 5424 and 3164), ``text``, ``csv``, Open Board Logging.
RawFormat = Union[Literal["json"], Literal["jsonl"], Literal["syslog"], Literal["text"], Literal["csv"], Literal["obl"]]
#: A name such as ``warn`` or a number of the logging module such as ``logging.WARNING``.
Level = Union[str, int]
Body = Union[str, bytes, bytearray, memoryview]

#: The most that the server gives at once.
PAGE_SIZE_MAX = 1000
#: How long stopping a tail waits for its thread, as the engine's own.
_STOP_TIME_MAX_S = 0.5
_LEVELS = ("trace", "debug", "info", "warn", "error", "critical")


def level_name(level: Level | None) -> str | None:
    """A level as the server takes it."""
    if level is None or isinstance(level, str):
        return level
    if not isinstance(level, int) or isinstance(level, bool):
        raise TypeError(f"level is {level!r} ({type(level).__name__}), expected a name or a number of logging")
    return _LEVELS[(_levels.from_stdlib(level) - 1) // 4]


def body_bytes(body: Body) -> bytes:
    """A raw body as it is sent. A text is UTF-8, what can't be written in it a question mark."""
    if isinstance(body, str):
        return body.encode("utf-8", "replace")
    if isinstance(body, (bytes, bytearray, memoryview)):
        return bytes(body)
    raise TypeError(f"body is of type {type(body).__name__}, expected str or bytes")


def log_of(text: str) -> Log:
    """A log of the live stream."""
    return Log(json.loads(text))


def page_of(text: str) -> Page:
    """An answer to a query."""
    answer = json.loads(text)
    return Page(tuple(map(Log, answer["logs"])), answer["next_cursor"], tuple(answer["damaged"]))


def statistics_of(text: str) -> Statistics:
    """An answer to an aggregation."""
    answer = json.loads(text)
    return Statistics(
        interval=answer["interval"],
        total=answer["total"],
        timeseries=tuple(
            Bucket(utc(_nanoseconds(bucket["bucket"])), bucket["total"], bucket["by_level"])
            for bucket in answer["timeseries"]
        ),
        top_services=tuple(Count(**count) for count in answer["top_services"]),
        top_errors=tuple(Count(**count) for count in answer["top_errors"]),
        damaged=tuple(answer["damaged"]),
    )


def receipt_of(text: str) -> Receipt:
    """An answer to a raw body."""
    answer = json.loads(text)
    rejected = tuple(Rejected(**record) for record in answer.pop("rejected"))
    return Receipt(rejected=rejected, **answer)


class Paging:
    """Where a walk over pages has got to. Asks nothing itself, so that both kinds of programs can use it."""

    def __init__(self, limit: int | None, page_size: int) -> None:
        if limit is not None and limit < 0:
            raise ValueError(f"limit is {limit}, expected a number of logs from 0 on, or None for all")
        if not 1 <= page_size <= PAGE_SIZE_MAX:
            raise ValueError(f"page_size is {page_size}, expected a number of logs from 1 to {PAGE_SIZE_MAX}")
        self._left = limit
        self._page_size = page_size
        self._is_over = False
        self.cursor: str | None = None
        self.damaged: tuple[str, ...] = ()

    @property
    def next_size(self) -> int:
        """How many logs to ask for; 0 at the end."""
        if self._is_over:
            return 0
        return self._page_size if self._left is None else min(self._left, self._page_size)

    def turn(self, page: Page) -> None:
        """Goes on behind this page."""
        # It would go round for ever.
        if self.cursor is not None and self.cursor == page.next_cursor:
            raise MalformedAnswerError("the answer of the server is malformed: the next page is the same page")
        self.cursor = page.next_cursor
        self._is_over = page.next_cursor is None
        if self._left is not None:
            self._left = max(0, self._left - len(page))
        self.damaged += tuple(damaged for damaged in page.damaged if damaged not in self.damaged)


class Logs(Iterator[Log]):
    """All logs that a query describes, newest first; a page is fetched when the one before was read. After an error
    the next ``next()`` asks for the same page again."""

    def __init__(self, fetch: Callable[[str | None, int], Page], paging: Paging) -> None:
        self._fetch = fetch
        self._paging = paging
        self._page: Iterator[Log] = iter(())

    def __next__(self) -> Log:
        while True:
            for log in self._page:
                return log
            self._page = iter(next(self.pages()))

    def pages(self) -> Iterator[Page]:
        """What is left, page by page."""
        begun = Page(tuple(self._page))
        if begun:
            yield begun
        while size := self._paging.next_size:
            page = self._fetch(self._paging.cursor, size)
            self._paging.turn(page)
            yield page

    @property
    def damaged(self) -> tuple[str, ...]:
        """Parts of the stored data that are damaged and were left out so far; normally empty."""
        return self._paging.damaged

    def to_arrow(self) -> Any:
        """What is left, as a ``pyarrow.Table``; see :meth:`Page.to_arrow`."""
        _arrow.require("to_arrow()", "pyarrow")
        return _arrow.concatenated([page.to_arrow() for page in self.pages()])

    def to_pandas(self) -> Any:
        """What is left, as a ``pandas.DataFrame``."""
        return _arrow.to_pandas(self.to_arrow)

    def to_polars(self) -> Any:
        """What is left, as a ``polars.DataFrame``."""
        return _arrow.to_polars(self.to_arrow)


class LogStream(Iterator[Log]):
    """Logs as they are stored, in the order in which they are stored; waits for the next one for as long as it takes.

    When the connection breaks, or the server is silent for too long, it connects again and goes on behind the last log
    that it gave: nothing is lost and nothing comes twice. It ends when it is stopped, or with an error that time won't
    heal, such as a key that is not valid. A forked child can't go on with its parent's.
    """

    def __init__(self, stream: _native.LogStream) -> None:
        self._stream = stream

    def __next__(self) -> Log:
        text = self._stream.next()
        if text is None:
            raise StopIteration
        return log_of(text)

    def __enter__(self) -> LogStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends it, from any thread, also while another one waits for the next log. Does no harm a second time."""
        self._stream.stop()

    @property
    def position(self) -> str | None:
        """What to give to ``stream(resume_after=…)`` to go on here later, also in another program: behind the last log
        that this one gave, or as far as the server has looked since. ``None`` before the first word of the server."""
        return self._stream.position

    @property
    def outage(self) -> ReadError | None:
        """Why there is no connection, while it is tried again; ``None`` while there is one."""
        return self._stream.outage


class StopHandle:
    """A running tail."""

    def __init__(self, stream: LogStream, thread: threading.Thread) -> None:
        self._stream = stream
        self._thread = thread

    def stop(self) -> bool:
        """Ends the tail. Waits for the end of its thread, at most half a second, and says whether it came; the
        callback may take longer, but gets no more logs. Called in the callback, it doesn't wait."""
        self._stream.stop()
        return threading.current_thread() is not self._thread and self.wait(_STOP_TIME_MAX_S)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Waits until the tail has ended, which it does after an error; at most so many seconds. Whether it has."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def is_running(self) -> bool:
        """Whether it still waits for logs."""
        return self._thread.is_alive()

    @property
    def position(self) -> str | None:
        """As :attr:`LogStream.position`."""
        return self._stream.position


def _follow(stream: LogStream, on_log: Callable[[Log], object], on_error: Callable[[Exception], object] | None) -> None:
    with stream:
        try:
            for log in stream:
                on_log(log)
        except Exception as error:
            if on_error is None:
                raise
            on_error(error)


class Reading:
    """What a client can read. Every method raises :class:`ReadError` when the server can't be reached, is too slow or
    refuses, and ``ValueError`` or ``TypeError`` for arguments that can't be sent.

    A query is a text in Millpond's query language (``level:>=error service:api "did not respond"``; an empty one is
    everything), and conditions beside it that all must hold:

    - ``level``, ``service``, ``trace_id``: exactly this one.
    - ``from_`` (included) and ``to`` (excluded): the time of the log. **A naive ``datetime`` is local time**, as
      everywhere in Python; a ``date`` is its local midnight; a text is as the server reads it, UTC unless it has an
      offset.
    - ``last``: a ``timedelta`` in place of ``from_``, by this machine's clock.

    ``timeout_s`` is how many seconds the server may take to begin its answer, and again to finish it; 90 by default.
    """

    __slots__ = ()

    def _reader(self) -> _native.Reader:
        """The engine's; always the same one, because it keeps connections."""
        raise NotImplementedError

    def query(
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
        """One page of logs, newest first.

        :param limit: most logs of the page, 1 to 1000.
        :param cursor: :attr:`Page.next_cursor` of the page before.
        """
        begin, end = period(from_, to, last)
        answer = self._reader().query(
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
        return page_of(answer)

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
    ) -> Logs:
        """All logs that are described, newest first, page after page. Logs that arrive meanwhile neither shift nor
        repeat what is seen. Asks nothing before the first log is wanted.

        :param limit: most logs in all; default: no limit.
        :param page_size: most logs that are fetched at once, 1 to 1000.
        """
        begin, end = period(from_, to, last)
        reader, level = self._reader(), level_name(level)

        def fetch(cursor: str | None, size: int) -> Page:
            answer = reader.query(
                q,
                level=level,
                service=service,
                trace_id=trace_id,
                from_=begin,
                to=end,
                limit=size,
                cursor=cursor,
                timeout_s=timeout_s,
            )
            return page_of(answer)

        return Logs(fetch, Paging(limit, page_size))

    def by_trace_id(self, trace_id: str, *, timeout_s: float | None = None) -> Page:
        """The logs of one trace, oldest first, at most 1000."""
        return page_of(self._reader().by_trace_id(trace_id, timeout_s=timeout_s))

    def aggregated(
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
        """Counts logs over time, by level, by service and by message; those of the last 24 hours unless told otherwise.

        :param interval: length of a bucket, a number and ``s``, ``m``, ``h`` or ``d``; default: one that gives about
            60 buckets.
        """
        begin, end = period(from_, to, last)
        answer = self._reader().aggregated(
            q,
            level=level_name(level),
            service=service,
            from_=begin,
            to=end,
            interval=interval,
            timeout_s=timeout_s,
        )
        return statistics_of(answer)

    def stream(
        self,
        q: str = "",
        *,
        level: Level | None = None,
        service: str | None = None,
        resume_after: str | None = None,
        silence_max_s: float | None = None,
    ) -> LogStream:
        """The logs that are described, from now on, as they are stored. Connects when the first one is wanted.

        :param resume_after: begins behind this event instead of now; see :attr:`LogStream.position`.
        :param silence_max_s: seconds that the server may be silent before it is connected again; default 10. It says
            something every second.
        """
        stream = self._reader().stream(
            q, level=level_name(level), service=service, resume_after=resume_after, silence_max_s=silence_max_s
        )
        return LogStream(stream)

    def tail(
        self,
        on_log: Callable[[Log], object],
        q: str = "",
        *,
        level: Level | None = None,
        service: str | None = None,
        on_error: Callable[[Exception], object] | None = None,
        resume_after: str | None = None,
        silence_max_s: float | None = None,
    ) -> StopHandle:
        """Calls ``on_log`` for each log that is described, one after the other, on a daemon thread of its own.

        :param on_error: gets the error that ends the tail: one that time won't heal, or one that ``on_log`` raised.
            Without it, ``threading.excepthook`` does.
        """
        stream = self.stream(q, level=level, service=service, resume_after=resume_after, silence_max_s=silence_max_s)
        thread = threading.Thread(target=_follow, args=(stream, on_log, on_error), name="millpond-tail", daemon=True)
        thread.start()
        return StopHandle(stream, thread)

    def ingest_raw(
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
        """Hands over a whole body of logs in one of the formats that the server reads, and waits until they are on its
        disk. It is sent again, under one idempotency key, while the server is away or in trouble; however often it
        arrives, it is stored once. The attributes are for those logs that have none themselves.

        :param retry_for_s: seconds for which a server in trouble is tried again; default 60, 0 for never.
        :raises ReadError: the server refuses, or is still in trouble: then the logs may have been stored or not.
        """
        answer = self._reader().ingest_raw(
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
        return receipt_of(answer)

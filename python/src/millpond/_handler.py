"""The stdlib's way in that an application configures itself. Decides what is sent and when it waits; what a record
becomes is told in ``_stdlib``."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from millpond._capture import is_taken
from millpond._runtime import runtime
from millpond._sink import Sink, sink_of
from millpond._stdlib import send

if TYPE_CHECKING:
    from millpond._client import AsyncClient, Client

#: Seconds that a handler waits when it is flushed or closed while the program goes on.
_FLUSH_S = 0.5


class Handler(logging.Handler):
    """Sends the records of the ``logging`` module.

    ``extra=`` becomes fields, the logger's name the attribute ``logger``, and the exception a structured one. File,
    line, function, thread and process are the fields ``file``, ``line``, ``function``, ``thread``, ``process``. The
    message is what the caller wrote: a formatter set on this handler is not used.

    It owns nothing but its level and filters. So ``close()`` ends nothing: a ``dictConfig`` that closes the handler
    while somebody still holds it loses no record. Where :func:`millpond.init` takes all records already, this handler
    leaves them alone, unless it has a client of its own.

    :param level: lowest level that it sends; default: all.
    :param client: where to send; default: what :func:`millpond.init` started.
    """

    def __init__(self, level: int | str = logging.NOTSET, *, client: Client | AsyncClient | None = None) -> None:
        super().__init__(level)
        self._sink: Sink = sink_of(client)

    def createLock(self) -> None:  # noqa: N802
        """None: nothing here needs one, and a thread that flushes must not hold up those that log."""
        self.lock = None

    def handle(self, record: logging.LogRecord) -> bool:
        """Filters, then emits. Python 3.13's own one insists on a lock."""
        if self.filters:
            kept: Any = self.filter(record)
            if not kept:
                return False
            if isinstance(kept, logging.LogRecord):
                record = kept
        self.emit(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        """Takes the record; never raises."""
        if is_taken(record) and self._sink is runtime:
            return
        try:
            send(record, self._sink)
        except RecursionError:
            raise  # As the stdlib's handlers do: the program is about to end by it (bpo-36272).
        except Exception:
            self.handleError(record)

    def flush(self) -> None:
        """Waits a moment for what was not delivered yet; at once done if the caller holds the lock of ``logging``,
        where a wait would hold up every thread that asks for a logger."""
        if runtime.exiting:
            runtime.exit_flush()
        elif not _holds_logging_lock():
            self._sink.flush(_FLUSH_S)

    def close(self) -> None:
        """Flushes. The handler can be used as before."""
        self.flush()
        super().close()


def _holds_logging_lock() -> bool:
    is_owned = getattr(getattr(logging, "_lock", None), "_is_owned", None)
    return bool(is_owned is not None and is_owned())

"""The stdlib's way in."""

from __future__ import annotations

import logging
from typing import Any

from millpond import _levels
from millpond._context import _current
from millpond._runtime import runtime

#: What every stdlib record has; everything else in it came by ``extra=``.
_OWN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
#: More than so many attributes: some may be of others.
_OWN_COUNT = len(logging.makeLogRecord({}).__dict__)
#: Seconds that a handler waits when it is flushed or closed while the program goes on.
_FLUSH_S = 0.5


class Handler(logging.Handler):
    """Sends the records of the ``logging`` module.

    ``extra=`` becomes fields, the logger's name the attribute ``logger``, and the exception a structured one. File,
    line, function, thread and process are the fields ``file``, ``line``, ``function``, ``thread``, ``process``. The
    message is what the caller wrote: a formatter set on this handler is not used.

    It sends through the client that :func:`millpond.init` started and owns nothing itself. So ``close()`` ends
    nothing: a ``dictConfig`` that closes the handler while somebody still holds it loses no record.
    """

    def createLock(self) -> None:  # noqa: N802
        """None: nothing here needs one, and a thread that flushes must not hold up those that log."""
        self.lock = None

    def handle(self, record: logging.LogRecord) -> bool:
        """Filters, then emits. Python 3.13's own one insists on a lock."""
        kept: Any = self.filter(record)
        if isinstance(kept, logging.LogRecord):
            record = kept
        if kept:
            self.emit(record)
        return bool(kept)

    def emit(self, record: logging.LogRecord) -> None:
        """Takes the record; never raises."""
        try:
            self._emit(record)
        except RecursionError:
            raise  # As the stdlib's handlers do: the program is about to end by it (bpo-36272).
        except Exception:
            self.handleError(record)

    def _emit(self, record: logging.LogRecord) -> None:
        said = record.__dict__
        fields = {} if len(said) <= _OWN_COUNT else {name: said[name] for name in said if name not in _OWN}
        try:
            message: object = record.getMessage()
        except Exception:
            message = record.msg
            fields.setdefault("args", record.args)
        fields.setdefault("file", record.pathname)
        fields.setdefault("line", record.lineno)
        fields.setdefault("function", record.funcName)
        fields.setdefault("thread", record.threadName)
        fields.setdefault("process", record.process)
        if record.stack_info:
            fields.setdefault("stack_info", record.stack_info)
        if record.exc_text and not record.exc_info:
            # `QueueHandler` leaves the traceback only as text.
            fields.setdefault("exc_text", record.exc_text)
        runtime.log(
            _levels.from_anything(record.levelno),
            message,
            (),
            record.name,
            _current.get(),
            None,
            fields,
            record.exc_info or None,
            int(record.created * 1e9),
        )

    def flush(self) -> None:
        """Waits a moment for what was not delivered yet; at once done if the caller holds the lock of ``logging``,
        where a wait would hold up every thread that asks for a logger."""
        if runtime.exiting:
            runtime.exit_flush()
        elif not _holds_logging_lock():
            runtime.flush(_FLUSH_S)

    def close(self) -> None:
        """Flushes. The handler can be used as before."""
        self.flush()
        super().close()


def _holds_logging_lock() -> bool:
    is_owned = getattr(getattr(logging, "_lock", None), "_is_owned", None)
    return bool(is_owned is not None and is_owned())

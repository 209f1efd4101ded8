"""loguru's way in.

>>> from loguru import logger
>>> logger.add(millpond.loguru.sink, format="{message}")

loguru makes a text of each record before any sink gets it. The text is not used; ``format="{message}"`` is the
cheapest one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from millpond import _levels
from millpond._context import _current
from millpond._runtime import runtime
from millpond._sink import Sink as _Sink
from millpond._sink import sink_of

if TYPE_CHECKING:
    from millpond._client import AsyncClient, Client

__all__ = ["Sink", "sink"]

#: Seconds that ``logger.remove`` may wait while the program goes on.
_FLUSH_S = 0.5
#: Levels whose names say no more than the severity.
_SEVERITIES = {
    "TRACE": _levels.TRACE,
    "DEBUG": _levels.DEBUG,
    "INFO": _levels.INFO,
    "WARNING": _levels.WARN,
    "ERROR": _levels.ERROR,
    "CRITICAL": _levels.CRITICAL,
}

_get = _current.get


class Sink:
    """Sends the records of loguru.

    What ``bind``, ``contextualize``, patchers and the call itself put into ``extra`` becomes fields, the module's name
    the attribute ``logger``, the exception a structured one. File, line, function, thread and process are the fields
    ``file``, ``line``, ``function``, ``thread``, ``process``; the name of a level that is not one of the usual ones is
    ``level_name``.

    :param client: where to send; default: what :func:`millpond.init` started.
    """

    def __init__(self, *, client: Client | AsyncClient | None = None) -> None:
        self._sink: _Sink = sink_of(client)

    def write(self, message: Any) -> None:
        """The entry point for loguru."""
        record = message.record
        level = record["level"]
        process = record["process"]
        fields: dict[str, object] = {
            "file": record["file"].path,
            "line": record["line"],
            "function": record["function"],
            "thread": record["thread"].name,
            "process": process.id,
            **record["extra"],
        }
        severity = _SEVERITIES.get(level.name)
        if severity is None:
            severity = _levels.from_stdlib(level.no)
            fields.setdefault("level_name", level.name)
        if process.name != "MainProcess":
            fields.setdefault("process_name", process.name)
        exception = record["exception"]
        if exception and exception.value is None and exception.type is not None:
            # It went through a queue and could not be pickled.
            fields.setdefault("exc_text", exception.type.__name__)
        self._sink.log(
            severity,
            record["message"],
            (),
            record["name"],
            _get(),
            None,
            fields,
            exception,
            # loguru's clock has microseconds; as a float number of seconds they'd be off by some hundred nanoseconds.
            round(record["time"].timestamp() * 1e6) * 1000,
        )

    def stop(self) -> None:
        """loguru removes the sink. At the end of the program that comes after what ``enqueue=True`` held back, so what
        is left of the time for the exit is for that."""
        if runtime.exiting:
            runtime.exit_flush()
        else:
            self._sink.flush(_FLUSH_S)


#: For ``logger.add``.
sink = Sink()

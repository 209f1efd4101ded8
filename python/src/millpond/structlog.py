"""structlog's ways in: a processor for a chain that ends elsewhere, and a set-up that ends here.

Levels are the names of methods, whatever structlog's own list of them is: ``trace``, ``notice`` and ``fatal`` too. The
dictionaries of the caller are never changed.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

import structlog
from structlog.contextvars import merge_contextvars

from millpond import _event, _levels
from millpond._sink import Sink, sink_of

if TYPE_CHECKING:
    from millpond._client import AsyncClient, Client

__all__ = ["BoundLogger", "LoggerFactory", "Processor", "configure"]

#: How structlog calls the stdlib's levels.
_METHODS = {10: "debug", 20: "info", 30: "warning", 40: "error", 50: "critical"}


class Processor:
    """Sends each event and passes it on as it is, so that what follows renders it as before.

    It belongs behind what adds to events (``merge_contextvars``, ``add_log_level``, ``add_logger_name``) and before
    what turns parts of them into text (``format_exc_info``, ``dict_tracebacks``, ``EventRenamer``, renderers).

    :param client: where to send; default: what :func:`millpond.init` started.
    """

    def __init__(self, *, client: Client | AsyncClient | None = None) -> None:
        self._sink: Sink = sink_of(client)

    def __call__(self, logger: Any, method_name: str, event_dict: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """The entry point for structlog; never raises."""
        try:
            fields = dict(event_dict)
            name = getattr(logger, "name", None)
            severity = _event.severity_of(method_name, fields)
            _event.send(self._sink, severity, fields, name if isinstance(name, str) else None)
        except Exception:
            pass  # The event goes on; a broken mapping is for the next processor to complain about.
        return event_dict


class LoggerFactory:
    """Makes the loggers at the end of a chain without a renderer: they take events as they are.

    >>> structlog.configure(processors=[merge_contextvars], logger_factory=millpond.structlog.LoggerFactory())

    :param client: where to send; default: what :func:`millpond.init` started.
    """

    def __init__(self, *, client: Client | AsyncClient | None = None) -> None:
        self._sink: Sink = sink_of(client)

    def __call__(self, *args: Any) -> _Output:
        """The logger for ``structlog.get_logger(name)``."""
        return _Output(str(args[0]) if args and args[0] is not None else None, self._sink)


class _Output:
    """What structlog calls when an event came to the end of its chain: a method named after the level."""

    def __init__(self, name: str | None, sink: Sink) -> None:
        self.name = name
        self.sink = sink

    def __getattr__(self, method_name: str) -> Callable[..., None]:
        if method_name.startswith("__"):
            raise AttributeError(method_name)

        def send(*args: Any, **event: Any) -> None:
            if args:
                # The last processor was a renderer after all.
                event["event"] = args[0]
            _event.send(self.sink, _event.severity_of(method_name, event), event, self.name)

        self.__dict__[method_name] = send
        return send


def _method(name: str) -> Callable[..., None]:
    severity = _levels.from_name(name) or _levels.INFO
    is_exception = name == "exception"

    def method(self: BoundLogger, event: object = None, /, *args: object, **fields: object) -> None:
        if is_exception:
            fields.setdefault("exc_info", True)
        self._send(name, severity, event, args, fields)

    method.__name__ = name
    method.__doc__ = f"Sends an event of the level ``{name}``."
    return method


def _async_method(name: str) -> Callable[..., Coroutine[Any, Any, None]]:
    async def method(self: BoundLogger, /, *args: object, **fields: object) -> None:
        getattr(self, name)(*args, **fields)

    method.__name__ = f"a{name}"
    method.__doc__ = f"Does what ``{name}`` does, which never blocks, in place."
    return method


def _nothing(_self: object, /, *_args: object, **_fields: object) -> None:
    """This level is filtered out."""


class BoundLogger(structlog.BoundLoggerBase):
    """A structlog logger that hands events to the client without anything in between.

    Arguments after the event are put into it as the stdlib does. What ``structlog.contextvars`` binds is on each event.
    Nothing blocks, so ``ainfo`` and its like work in place instead of in another thread. Processors of the application,
    if there are any, may change or drop the event; what they raise comes out of the log call, as ever in structlog.
    """

    _logger: _Output

    trace, debug, info, notice = _method("trace"), _method("debug"), _method("info"), _method("notice")
    warning, warn, error, exception = _method("warning"), _method("warn"), _method("error"), _method("exception")
    critical, fatal, msg = _method("critical"), _method("fatal"), _method("info")
    atrace, adebug, ainfo, anotice = (_async_method(name) for name in ("trace", "debug", "info", "notice"))
    awarning, awarn, aerror = _async_method("warning"), _async_method("warn"), _async_method("error")
    aexception, acritical, afatal = _async_method("exception"), _async_method("critical"), _async_method("fatal")
    amsg, alog = _async_method("msg"), _async_method("log")

    def log(self, level: int | str, event: object = None, /, *args: object, **fields: object) -> None:
        """Sends an event of a level given by name or by stdlib number."""
        severity = _levels.from_anything(level)
        if severity >= self._min_severity:
            name = level.lower() if isinstance(level, str) else _METHODS.get(level, "log")
            if _levels.from_name(name) is None:
                fields.setdefault("level_name", str(level))
            self._send(name, severity, event, args, fields)

    def is_enabled_for(self, level: int) -> bool:
        """Whether an event of this stdlib level is sent."""
        return _levels.from_stdlib(level) >= self._min_severity

    #: Least severity that is sent.
    _min_severity = 0

    def _send(
        self, method: str, severity: int, event: object, args: tuple[object, ...], fields: dict[str, object]
    ) -> None:
        fields = {**self._context, **fields}
        if event is not None:
            fields["event"] = event
        if args:
            fields["positional_args"] = args
        fields = merge_contextvars(None, method, fields)  # type: ignore[assignment]
        processed = self._processed(method, fields) if self._processors else fields
        if processed is not None:
            _event.send(self._logger.sink, severity, processed, self._logger.name)

    def _processed(self, method: str, fields: Any) -> dict[str, Any] | None:
        """The event as the processors leave it; ``None`` if they drop it."""
        try:
            for processor in self._processors:
                fields = processor(self._logger, method, fields)
        except structlog.DropEvent:
            return None
        # The caller's own dictionary may come back, or the text of a renderer.
        return dict(fields) if isinstance(fields, Mapping) else {"event": fields}


def configure(
    *,
    processors: Iterable[Any] = (),
    min_level: int | str = 0,
    cache_logger_on_first_use: bool = True,
    client: Client | AsyncClient | None = None,
) -> None:
    """Sets structlog up so that each event goes straight to Millpond and nothing is rendered.

    :param processors: what is to change or drop events before; no renderer, and no ``merge_contextvars``, which is
        always done.
    :param min_level: lowest level that is logged, as name or stdlib number; the methods of those below do nothing.
    :param cache_logger_on_first_use: as in structlog.
    :param client: where to send; default: what :func:`millpond.init` started.

    :raises ValueError: there is no such level.
    """
    structlog.configure(
        # A list of its own: `structlog.testing.capture_logs` changes it for a while.
        processors=list(processors),
        wrapper_class=_filtering(_min_severity(min_level)),
        context_class=dict,
        logger_factory=LoggerFactory(client=client),
        cache_logger_on_first_use=cache_logger_on_first_use,
    )


def _min_severity(level: int | str) -> int:
    if level in (0, "notset"):
        return 0
    severity = _levels.from_name(level) if isinstance(level, str) else _levels.from_stdlib(level)
    if severity is None:
        raise ValueError(f"min_level is {level!r}, expected the name of a level or a number of the logging module")
    return severity


def _filtering(min_severity: int) -> type[BoundLogger]:
    names = [name for name in vars(BoundLogger) if (_levels.from_name(name) or _levels.CRITICAL) < min_severity]
    if min_severity > _levels.INFO:
        names.append("msg")
    methods: dict[str, object] = dict.fromkeys(names, _nothing)
    return type("BoundLogger", (BoundLogger,), {**methods, "_min_severity": min_severity})

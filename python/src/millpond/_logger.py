"""What applications log with: one method for each level, a name, bound attributes."""

from __future__ import annotations

from typing import final

from millpond import _levels
from millpond._context import _current, _merged
from millpond._native import Attributes
from millpond._runtime import runtime
from millpond._sink import Sink

_get = _current.get


class Levels:
    """One method for each level. None of them raises, whatever it is given.

    Keywords become fields of the record; ``trace_id``, ``span_id``, ``request_id``, ``user_id``, ``session_id``,
    ``flow_id``, ``dataset``, ``environment``, ``version`` and ``host`` become its own attributes, the strings of
    ``tags`` its tags. Positional arguments after the message are put into it as the stdlib does (``"%s of %d", a, b``).
    ``exc_info`` takes ``True``, an exception, or the triple of ``sys.exc_info()``.
    """

    __slots__ = ("_bound", "_name", "_sink")

    _sink: Sink
    _name: str | None
    _bound: Attributes | None

    def trace(self, message: object, /, *args: object, exc_info: object = None, **fields: object) -> None:
        """Finest detail."""
        self._sink.log(1, message, args, self._name, _get(), self._bound, fields, exc_info)

    def debug(self, message: object, /, *args: object, exc_info: object = None, **fields: object) -> None:
        """For the developer."""
        self._sink.log(5, message, args, self._name, _get(), self._bound, fields, exc_info)

    def info(self, message: object, /, *args: object, exc_info: object = None, **fields: object) -> None:
        """Normal operation."""
        self._sink.log(9, message, args, self._name, _get(), self._bound, fields, exc_info)

    def warning(self, message: object, /, *args: object, exc_info: object = None, **fields: object) -> None:
        """Might be a problem."""
        self._sink.log(13, message, args, self._name, _get(), self._bound, fields, exc_info)

    warn = warning

    def error(self, message: object, /, *args: object, exc_info: object = None, **fields: object) -> None:
        """A failure."""
        self._sink.log(17, message, args, self._name, _get(), self._bound, fields, exc_info)

    def critical(self, message: object, /, *args: object, exc_info: object = None, **fields: object) -> None:
        """The service can't go on."""
        self._sink.log(21, message, args, self._name, _get(), self._bound, fields, exc_info)

    fatal = critical

    def exception(self, message: object, /, *args: object, exc_info: object = True, **fields: object) -> None:
        """A failure, with the exception that is being handled."""
        self._sink.log(17, message, args, self._name, _get(), self._bound, fields, exc_info)

    def log(
        self, level: str | int, message: object, /, *args: object, exc_info: object = None, **fields: object
    ) -> None:
        """Logs at a level given by name (synonyms such as ``warn`` and ``fatal`` too) or stdlib number. A level that
        nobody knows is ``info``."""
        severity = _levels.from_anything(level)
        self._sink.log(severity, message, args, self._name, _get(), self._bound, fields, exc_info)

    def is_enabled_for(self, level: str | int) -> bool:
        """Whether a record of this level would be kept: worth asking before a costly message is made."""
        return self._sink.enabled(_levels.from_anything(level))

    def bind(self, **attributes: object) -> Logger:
        """A logger whose records carry these attributes too. They are captured now, not when a record is logged."""
        return Logger(self._sink, self._name, _merged(self._bound, attributes))


@final
class Logger(Levels):
    """Logs under a name, with the attributes bound to it. Immutable: ``bind`` and ``unbind`` return another one."""

    __slots__ = ()

    def __init__(self, sink: Sink, name: str | None, bound: Attributes | None = None) -> None:
        self._sink = sink
        self._name = name
        self._bound = bound

    @property
    def name(self) -> str | None:
        """The name under which it logs."""
        return self._name

    def unbind(self, *names: str) -> Logger:
        """A logger without these attributes; names that are not bound are fine."""
        return self if self._bound is None else Logger(self._sink, self._name, self._bound.without(names))

    def bound(self) -> dict[str, object]:
        """A copy of the attributes bound to it."""
        return {} if self._bound is None else self._bound.as_dict()

    def __repr__(self) -> str:
        # Only names: a value may be a secret.
        names = ", ".join(self.bound())
        return f"<millpond.Logger {self._name!r}{' with ' if names else ''}{names}>"

    def __copy__(self) -> Logger:
        return self

    def __deepcopy__(self, _memo: object) -> Logger:
        return self

    def __reduce__(self) -> tuple[object, ...]:
        """What it logs in another process goes to the client of that process."""
        if self._sink is not runtime:
            raise TypeError("a logger of a Client can't be pickled; take one from millpond.get_logger")
        return _unpickled, (self._name, self.bound())


def _unpickled(name: str | None, bound: dict[str, object]) -> Logger:
    return logger_of(runtime, name, bound)


def logger_of(sink: Sink, name: str | None, attributes: dict[str, object]) -> Logger:
    """The logger of this name, with attributes bound to it."""
    return Logger(sink, None if name is None else str(name), Attributes(attributes) if attributes else None)

"""The logger that applications hold: a name, bound attributes, and one method for each level."""

from __future__ import annotations

from typing import final

from millpond import _levels
from millpond._context import _current, _merged
from millpond._native import Attributes
from millpond._runtime import runtime

_get = _current.get


@final
class Logger:
    """Logs under a name, with the attributes bound to it. Immutable: ``bind`` and ``unbind`` return another one.

    No method raises, whatever it is given. Keywords become fields of the record; ``trace_id``, ``span_id``,
    ``request_id``, ``user_id``, ``session_id``, ``flow_id``, ``environment``, ``version`` and ``host`` become its own
    attributes. Positional arguments after the message are put into it as the stdlib does (``"%s of %d", a, b``).
    ``exc_info`` takes ``True``, an exception, or the triple of ``sys.exc_info()``.
    """

    __slots__ = ("_bound", "_name")

    def __init__(self, name: str, bound: Attributes | None = None) -> None:
        self._name = name
        self._bound = bound

    @property
    def name(self) -> str:
        """The name under which it logs."""
        return self._name

    def bind(self, **attributes: object) -> Logger:
        """A logger whose records carry these attributes too. They are captured now, not when a record is logged."""
        return Logger(self._name, _merged(self._bound, attributes))

    def unbind(self, *names: str) -> Logger:
        """A logger without these attributes; names that are not bound are fine."""
        return self if self._bound is None else Logger(self._name, self._bound.without(names))

    def bound(self) -> dict[str, object]:
        """A copy of the attributes bound to it."""
        return {} if self._bound is None else self._bound.as_dict()

    def is_enabled_for(self, level: str | int) -> bool:
        """Whether a record of this level would be kept: worth asking before a costly message is made."""
        return runtime.enabled(_levels.from_anything(level))

    def trace(self, message: object, /, *args: object, exc_info: object = None, **fields: object) -> None:
        """Finest detail."""
        runtime.log(1, message, args, self._name, _get(), self._bound, fields, exc_info)

    def debug(self, message: object, /, *args: object, exc_info: object = None, **fields: object) -> None:
        """For the developer."""
        runtime.log(5, message, args, self._name, _get(), self._bound, fields, exc_info)

    def info(self, message: object, /, *args: object, exc_info: object = None, **fields: object) -> None:
        """Normal operation."""
        runtime.log(9, message, args, self._name, _get(), self._bound, fields, exc_info)

    def warning(self, message: object, /, *args: object, exc_info: object = None, **fields: object) -> None:
        """Might be a problem."""
        runtime.log(13, message, args, self._name, _get(), self._bound, fields, exc_info)

    warn = warning

    def error(self, message: object, /, *args: object, exc_info: object = None, **fields: object) -> None:
        """A failure."""
        runtime.log(17, message, args, self._name, _get(), self._bound, fields, exc_info)

    def critical(self, message: object, /, *args: object, exc_info: object = None, **fields: object) -> None:
        """The service can't go on."""
        runtime.log(21, message, args, self._name, _get(), self._bound, fields, exc_info)

    fatal = critical

    def exception(self, message: object, /, *args: object, exc_info: object = True, **fields: object) -> None:
        """A failure, with the exception that is being handled."""
        runtime.log(17, message, args, self._name, _get(), self._bound, fields, exc_info)

    def log(
        self, level: str | int, message: object, /, *args: object, exc_info: object = None, **fields: object
    ) -> None:
        """Logs at a level given by name (synonyms such as ``warn`` and ``fatal`` too) or stdlib number. A level that
        nobody knows is ``info``."""
        severity = _levels.from_anything(level)
        runtime.log(severity, message, args, self._name, _get(), self._bound, fields, exc_info)

    def __repr__(self) -> str:
        return f"<millpond.Logger {self._name!r} {self.bound()!r}>"


def get_logger(name: str | None = None, **attributes: object) -> Logger:
    """The logger of this name (``__name__`` is a good one), with attributes bound to it. Works before
    :func:`millpond.init`, and costs nothing to call again."""
    logger = Logger("root" if name is None else str(name))
    return logger.bind(**attributes) if attributes else logger

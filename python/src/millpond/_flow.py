"""Flows: processes of several steps, each a record that says which step of which flow it is."""

from __future__ import annotations

import contextvars
from types import TracebackType
from typing import final

from millpond import _native
from millpond._context import _current
from millpond._logger import Levels, Logger
from millpond._native import Attributes
from millpond._sink import Sink


def checked_step(next_step: int) -> int:
    """The step from which a flow goes on.

    :raises ValueError: it is none.
    """
    if not isinstance(next_step, int) or not 0 <= next_step < 1 << 32:
        raise ValueError(f"next_step is {next_step!r}, expected a whole number from 0 to 4294967295")
    return next_step


@final
class Flow(Levels):
    """A process of several steps. Its records have ``flow_id`` and ``step_index``, counted from 0.

    A record takes its step when nothing can keep it from being sent any more, so that a gap in a flow is a record that
    was lost. As a context manager it makes all records logged inside of it its steps, whichever logger they come from.

    >>> with millpond.flow("checkout") as flow:
    ...     flow.step("cart checked", items=3).step("payment taken")
    ...     log.info("order placed")
    """

    __slots__ = ("_flow", "_tokens")

    def __init__(self, sink: Sink, flow: _native.Flow, name: str | None = None) -> None:
        self._sink = sink
        self._name = name
        self._bound = Attributes({}, flow)
        self._flow = flow
        self._tokens: list[contextvars.Token[Attributes | None]] = []

    @property
    def id(self) -> str:
        """The id, to hand to whoever goes on with the flow: see ``resume_flow``."""
        return self._flow.id

    @property
    def name(self) -> str:
        """The name, without the random part of the id."""
        return self._flow.name

    @property
    def next_step(self) -> int:
        """The step that the next record will be."""
        return self._flow.next_step

    def step(self, message: object, /, *args: object, **fields: object) -> Flow:
        """Records a step at level ``info``. Calls can be chained."""
        self.info(message, *args, **fields)
        return self

    def get_logger(self, name: str) -> Logger:
        """A logger whose records are steps of this flow."""
        return Logger(self._sink, name, self._bound)

    def __enter__(self) -> Flow:
        outer = _current.get()
        inner = Attributes({}, self._flow) if outer is None else outer.merged({}, False, self._flow)
        self._tokens.append(_current.set(inner))
        return self

    def __exit__(
        self, _class: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        try:
            _current.reset(self._tokens.pop())
        except ValueError:
            pass  # Closed in another context, as an async generator may be; there is nothing to undo there.

    def __repr__(self) -> str:
        return f"<millpond.Flow {self.id!r} next_step={self.next_step}>"

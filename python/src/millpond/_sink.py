"""Where records go: the client of the process, or another one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from millpond._runtime import runtime

if TYPE_CHECKING:
    from millpond._client import AsyncClient, Client


class Sink(Protocol):
    """A native client, or the runtime of the process, whose client may change."""

    @property
    def log(self) -> Callable[..., None]:
        """Takes ``(severity, message, args, logger, context, bound, fields, exc_info, time_ns)``; never blocks."""
        ...

    def enabled(self, level: int, /) -> bool:
        """Whether records of this severity are kept."""
        ...

    def flush(self, timeout_s: float, /) -> object:
        """Waits until what was taken is delivered."""
        ...


def sink_of(client: Client | AsyncClient | None) -> Sink:
    """Where a client sends; ``None`` means the one that :func:`millpond.init` started."""
    return runtime if client is None else client.sink

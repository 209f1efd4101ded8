"""Blocking work for asyncio, on daemon threads: unlike those of the loop's executor, nothing waits for them when a
loop is closed or the program ends. Programs without asyncio don't pay for its import."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import asyncio

_T = TypeVar("_T")


def begin(work: Callable[[], _T]) -> asyncio.Future[_T]:
    """Starts the work; the future is the running loop's. Cancelling it leaves the work alone."""
    import asyncio

    loop = asyncio.get_running_loop()
    future: asyncio.Future[_T] = loop.create_future()

    def succeed(result: _T) -> None:
        if not future.done():
            future.set_result(result)

    def fail(error: BaseException) -> None:
        if not future.done():
            future.set_exception(error)

    def run() -> None:
        try:
            try:
                result = work()
            except BaseException as error:
                loop.call_soon_threadsafe(fail, error)
            else:
                loop.call_soon_threadsafe(succeed, result)
        except RuntimeError:
            pass  # The loop is closed: nobody waits any more.

    threading.Thread(target=run, name="millpond-read", daemon=True).start()
    return future


async def offload(work: Callable[[], _T], stop: Callable[[], None]) -> _T:
    """What the work returns or raises. A caller that is cancelled stops it and does not wait for its end."""
    try:
        return await begin(work)
    except BaseException:
        # Cancelled, closed, or failed by itself: then there is nothing to stop, and no harm in it.
        stop()
        raise

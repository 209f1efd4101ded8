"""Hears of logs as they come. The engine makes a connection that is lost again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import millpond
from millpond.compat.logtide_sdk import _requests


class LiveTail:
    """Calls back from whatever thread :meth:`run` is in. What ``on_log`` raises is given to ``on_error``."""

    def __init__(
        self,
        events: millpond.EventStream,
        on_log: Callable[[dict[str, Any]], object],
        on_error: Callable[[Exception], object] | None,
    ) -> None:
        self._events = events
        self._on_log = on_log
        self._on_error = on_error

    def run(self) -> None:
        """Until it is stopped.

        :raises ConnectionError: there is no server.
        :raises millpond.RefusedError: the server refused.
        """
        for text in self._events:
            try:
                log = _requests.streamed_log(text)
                if log is not None:
                    self._on_log(log)
            except Exception as error:
                self.report(error)

    def stop(self) -> None:
        """Ends it, from any thread, also while nothing comes."""
        self._events.stop()

    def report(self, error: Exception) -> None:
        """Tells ``on_error``, if there is one."""
        if self._on_error is not None:
            try:
                self._on_error(error)
            except Exception:
                pass  # Nobody is left to tell.

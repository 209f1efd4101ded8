"""Hears of logs as they come, until it is stopped: a connection that ends is made again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from millpond.compat.logtide_sdk import _requests

if TYPE_CHECKING:
    import millpond

#: Before the first attempt to connect again; doubles with each that fails.
_PAUSE_S = 0.5
_PAUSE_S_MAX = 30.0


class LiveTail:
    """Calls back from whatever thread :meth:`run` is in. What a callback raises is given to ``on_error``."""

    def __init__(
        self,
        shipper: millpond.Shipper,
        url: str,
        on_log: Callable[[dict[str, Any]], object],
        on_error: Callable[[Exception], object] | None,
    ) -> None:
        self._shipper = shipper
        self._url = url
        self._on_log = on_log
        self._on_error = on_error
        self._events: millpond.EventStream | None = None
        self._stopped = threading.Event()

    def run(self) -> None:
        """Until :meth:`stop`, or until the server refuses; what it refused with is raised."""
        pause_s = _PAUSE_S
        while not self._stopped.is_set():
            try:
                for text in self._connected():
                    pause_s = _PAUSE_S
                    self._deliver(text)
            except ConnectionError as error:
                self._report(error)
            if self._stopped.wait(pause_s):
                break
            pause_s = min(pause_s * 2, _PAUSE_S_MAX)

    def run_reporting(self) -> None:
        """As :meth:`run`, but a refusal is reported, too."""
        try:
            self.run()
        except Exception as error:
            self._report(error)

    def stop(self) -> None:
        """Ends it, from any thread, also while nothing comes."""
        self._stopped.set()
        events = self._events
        if events is not None:
            events.stop()

    def _connected(self) -> millpond.EventStream:
        self._events = events = self._shipper.events(self._url, headers=_requests.HEADERS)
        if self._stopped.is_set():
            events.stop()
        return events

    def _deliver(self, text: str) -> None:
        try:
            log = _requests.streamed_log(text)
            if log is not None and not self._stopped.is_set():
                self._on_log(log)
        except Exception as error:
            self._report(error)

    def _report(self, error: Exception) -> None:
        if self._on_error is None or self._stopped.is_set():
            return
        try:
            self._on_error(error)
        except Exception:
            pass  # Nobody is left to tell.

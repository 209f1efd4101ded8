"""The client of the process: made by ``init``, used by everything that was not told otherwise.

Before ``init`` there is none: records are dropped and counted, and the first one says so on stderr, once. Nothing is
buffered for a start that may never come, and nothing is printed into a program that did not ask for it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

from millpond import _native
from millpond._config import Settings
from millpond._exit import exit_, say
from millpond._start import close, flush, persist, seconds, start

_Log = Callable[..., None]


class Runtime:
    """What the module's functions share. ``log`` is the native client's own method: one attribute load per call."""

    __slots__ = ("_before_init", "_hooked", "_lock", "client", "log", "settings")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._before_init = 0
        self._hooked = False
        self.client: _native.Client | None = None
        self.settings: Settings | None = None
        self.log: _Log = self._drop

    def _drop(self, *_record: object) -> None:
        self._before_init += 1
        if self._before_init == 1:
            say("a record was logged before millpond.init(); such records are dropped")

    def init(self, settings: Settings) -> None:
        """Starts a client with these settings, in place of one with others."""
        with self._lock:
            if self.client is not None and settings.is_like(self.settings):
                return
            client = start(settings)
            before, self.client, self.settings = self.client, client, settings
            self.log = client.log
            if not self._hooked and hasattr(os, "register_at_fork"):
                self._hooked = True
                os.register_at_fork(after_in_child=self._after_fork_in_child)
        if before is not None:
            close(before, settings.shutdown_timeout_s)

    def enabled(self, level: int, /) -> bool:
        """Whether records of this severity are kept."""
        return self.client is not None and self.client.enabled(level)

    @property
    def native(self) -> _native.Client:
        """The native client; before ``init`` one that does nothing."""
        return _native.Client({"mode": "silent"}) if self.client is None else self.client

    def flush(self, timeout_s: float) -> bool:
        """Whether everything is delivered, after waiting for it at most so long."""
        return True if self.client is None else flush(self.client, timeout_s)

    def persist(self, timeout_s: float) -> bool:
        """Whether everything is on disk or delivered, after waiting for it at most so long."""
        return True if self.client is None else persist(self.client, timeout_s)

    def close(self, timeout_s: float) -> bool:
        """The closed client stays, to count what still comes; the next ``init`` replaces it."""
        with self._lock:
            self.settings = None
        if self.client is None:
            return True
        return close(self.client, timeout_s)

    def metrics(self) -> dict[str, Any]:
        """The account."""
        account = self.native.metrics()
        account["accepted"] += self._before_init
        account["dropped"]["before_init"] = self._before_init
        return account

    def exit_flush(self) -> None:
        """Flushes within what is left of the time that all of the exit may take."""
        exit_.flush()

    @property
    def exiting(self) -> bool:
        """Whether the program is about to end."""
        return exit_.exiting

    def timeout(self, given: float | None) -> float:
        """The seconds that were given, or those that the end of the program has."""
        if given is not None:
            return seconds(given)
        if self.settings is not None:
            return self.settings.shutdown_timeout_s
        return float(_native.DEFAULTS["shutdown_timeout_s"])

    def _after_fork_in_child(self) -> None:
        """Another thread may have held the lock; that thread is not here."""
        self._lock = threading.Lock()


runtime = Runtime()

"""The end of the process, and its forks: what every open client still holds is delivered, within the time that the
client was given for it, however the program ends that lets us do anything at all."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import time
from typing import Any, Union

from millpond import _native
from millpond._celery import at_child_exit
from millpond._config import Settings

#: What can be flushed.
_Client = Union[_native.Client, _native.Shipper]

#: Seconds that the disk may take to write what could not be delivered.
_SPOOL_S = 0.5


class _Exit:
    """What has to be flushed. One of it."""

    __slots__ = (
        "__weakref__",
        "_clients",
        "_deadlines",
        "_hooked",
        "_hooked_celery",
        "_hooked_multiprocessing",
        "_lock",
        "_said",
    )

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: By ``id`` of the native client.
        self._clients: dict[int, tuple[_Client, Settings]] = {}
        self._deadlines: dict[int, float] = {}
        self._hooked = False
        self._hooked_celery = False
        self._hooked_multiprocessing = False
        self._said = False

    def watch(self, client: _Client, settings: Settings) -> None:
        """From now on the client is flushed at exit. Until it is closed it is kept: what was logged to it is owed,
        whoever still holds it."""
        with self._lock:
            self._clients[id(client)] = (client, settings)
            if not self._hooked:
                self._hooked = True
                atexit.register(self._end)
                if hasattr(os, "register_at_fork"):
                    os.register_at_fork(before=self._hook_celery, after_in_child=self._after_fork_in_child)
        self._hook_multiprocessing()
        if settings.flush_on_sigterm:
            _flush_on_sigterm()

    def forget(self, client: _Client) -> None:
        """The client was closed."""
        self._clients.pop(id(client), None)
        self._deadlines.pop(id(client), None)

    def go_on(self) -> None:
        """It was not the end after all."""
        self._deadlines = {}
        self._said = False

    @property
    def exiting(self) -> bool:
        """Whether the end has begun."""
        return bool(self._deadlines)

    def flush(self) -> None:
        """Flushes every client within what is left of the time that all of the exit may take."""
        clients = list(self._clients.values())
        now = time.monotonic()
        deadlines = []
        for client, settings in clients:
            deadlines.append(self._deadlines.setdefault(id(client), now + settings.shutdown_timeout_s))
            client.flush(0)  # All of them begin to send; the waits come after.
        lost = 0
        # A client may be closed meanwhile, and a signal say that it is not the end: what was decided above holds.
        for (client, settings), deadline in zip(clients, deadlines):
            remaining = max(0.0, deadline - time.monotonic())
            left, spooled = client.flush(remaining)
            if left > spooled and settings.has_spool:
                left, spooled = client.persist(max(remaining, _SPOOL_S))
            lost += max(0, left - spooled)
        if lost and not self._said:
            self._said = True
            say(f"{lost} records could not be delivered before the end of the program")

    def _end(self) -> None:
        """The interpreter is about to end, and only daemon threads are left beside this one."""
        self.flush()
        _native.begin_ending()

    def _after_fork_in_child(self) -> None:
        _native.after_fork()
        # Another thread may have held the lock; that thread is not here.
        self._lock = threading.Lock()
        self._deadlines = {}
        self._said = False
        self._hook_multiprocessing()
        if signal.getsignal(signal.SIGTERM) is _on_sigterm:
            _native.insist_on_sigterm()

    def _hook_celery(self) -> None:
        """Before a fork and not after it: another thread may hold a lock of Celery's, and would not be in the child."""
        if not self._hooked_celery:
            self._hooked_celery = at_child_exit(self.flush)

    def _hook_multiprocessing(self) -> None:
        """Children of multiprocessing leave by ``os._exit``, which runs no atexit functions, only their own."""
        util: Any = sys.modules.get("multiprocessing.util")
        if util is None or self._hooked_multiprocessing:
            return
        self._hooked_multiprocessing = True
        # The child's start clears the finalizers and then runs what was registered here.
        util.register_after_fork(self, _Exit._finalize_child)
        process: Any = sys.modules.get("multiprocessing.process")
        if process is not None and process.parent_process() is not None:
            self._finalize_child()

    def _finalize_child(self) -> None:
        util: Any = sys.modules["multiprocessing.util"]
        util.Finalize(None, self.flush, exitpriority=-100)


exit_ = _Exit()


def _flush_on_sigterm() -> None:
    """Where SIGTERM would end the process at once, it flushes before, and ends it then. A handler that is there, or
    comes later, is left alone: what it does with the process is its business, and its end is ours again."""
    if threading.current_thread() is not threading.main_thread():
        return  # Handlers are set by the main thread only.
    try:
        if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
            _handle_sigterm()
    except ValueError:
        pass  # A subinterpreter.


def _handle_sigterm() -> None:
    signal.signal(signal.SIGTERM, _on_sigterm)
    _native.insist_on_sigterm()


def _on_sigterm(_number: int, _frame: object) -> None:
    _native.sigterm_is_heard()
    ends = signal.getsignal(signal.SIGTERM) is _on_sigterm
    try:
        exit_.flush()
    finally:
        if ends:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)
            # Still here: the first process of a container is not ended by it.
            _handle_sigterm()
        # Or another handler has called this one, and decides by itself.
        exit_.go_on()


def say(text: str) -> None:
    """Says something on stderr, if there is one."""
    try:
        sys.stderr.write(f"millpond: {text}\n")
    except Exception:
        pass  # No stderr (pythonw, a closed pipe) is no reason to fail.

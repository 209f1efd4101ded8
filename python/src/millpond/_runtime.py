"""The one client of the process: started by ``init``, flushed at exit, carried over a fork.

Before ``init`` there is none: records are dropped and counted, and the first one says so on stderr, once. Nothing is
buffered for a start that may never come, and nothing is printed into a program that did not ask for it.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from millpond import _native
from millpond._celery import at_child_exit
from millpond._config import SHUTDOWN_TIMEOUT_S, Settings, settings_from
from millpond._gevent import patiently

_Log = Callable[..., None]


class _Runtime:
    """What the module's functions share. ``log`` is the native client's own method: one attribute load per call."""

    __slots__ = (
        "__weakref__",
        "_before_init",
        "_exit_deadline",
        "_hooked",
        "_hooked_celery",
        "_hooked_multiprocessing",
        "_lock",
        "client",
        "log",
        "settings",
    )

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._before_init = 0
        self._exit_deadline: float | None = None
        self._hooked = False
        self._hooked_celery = False
        self._hooked_multiprocessing = False
        self.client: _native.Client | None = None
        self.settings: Settings | None = None
        self.log: _Log = self._drop

    def _drop(self, *_record: object) -> None:
        self._before_init += 1
        if self._before_init == 1:
            self._say("a record was logged before millpond.init(); such records are dropped")

    @staticmethod
    def _say(text: str) -> None:
        try:
            sys.stderr.write(f"millpond: {text}\n")
        except Exception:
            pass  # No stderr (pythonw, a closed pipe) is no reason to fail.

    def init(self, settings: Settings) -> None:
        with self._lock:
            if self.client is not None and self.settings == settings:
                return
            client = _start(settings)
            before, self.client, self.settings = self.client, client, settings
            self.log = client.log
            if not self._hooked:
                self._hooked = True
                atexit.register(self.exit_flush)
                os.register_at_fork(before=self._hook_celery, after_in_child=self._after_fork_in_child)
                self._hook_multiprocessing()
        if before is not None:
            before.close(settings.shutdown_timeout_s)

    def enabled(self, severity: int) -> bool:
        return self.client is not None and self.client.enabled(severity)

    def flush(self, timeout_s: float) -> bool:
        return True if self.client is None else patiently(self.client.flush, timeout_s)

    def close(self, timeout_s: float) -> bool:
        """The closed client stays, to count what still comes; the next ``init`` replaces it."""
        with self._lock:
            self.settings = None
        return True if self.client is None else self.client.close(timeout_s)

    def metrics(self) -> dict[str, Any]:
        account: dict[str, Any] = {"accepted": 0, "delivered": 0, "queued": 0, "dropped": {}}
        if self.client is not None:
            account = self.client.metrics()
        account["accepted"] += self._before_init
        account["dropped"]["before_init"] = self._before_init
        return account

    def exit_flush(self) -> None:
        """Flushes within what is left of the time that all of the exit may take."""
        client, settings = self.client, self.settings
        if client is None or settings is None:
            return
        if self._exit_deadline is None:
            self._exit_deadline = time.monotonic() + settings.shutdown_timeout_s
        client.flush(max(0.0, self._exit_deadline - time.monotonic()))

    def _after_fork_in_child(self) -> None:
        # Another thread may have held the lock; that thread is not here.
        self._lock = threading.Lock()
        self._exit_deadline = None
        self._hook_multiprocessing()

    def _hook_celery(self) -> None:
        """Before a fork and not after it: another thread may hold a lock of Celery's, and would not be in the child."""
        if not self._hooked_celery:
            self._hooked_celery = at_child_exit(self.exit_flush)

    def _hook_multiprocessing(self) -> None:
        """Children of multiprocessing leave by ``os._exit``, which runs no atexit functions, only their own."""
        util: Any = sys.modules.get("multiprocessing.util")
        if util is None or self._hooked_multiprocessing:
            return
        self._hooked_multiprocessing = True
        # The child's start clears the finalizers and then runs what was registered here.
        util.register_after_fork(self, _Runtime._finalize_child)
        process: Any = sys.modules.get("multiprocessing.process")
        if process is not None and process.parent_process() is not None:
            self._finalize_child()

    def _finalize_child(self) -> None:
        util: Any = sys.modules["multiprocessing.util"]
        util.Finalize(None, self.exit_flush, exitpriority=-100)

    @property
    def exiting(self) -> bool:
        return self._exit_deadline is not None


def _start(settings: Settings) -> _native.Client:
    return _native.Client(
        endpoint=settings.endpoint,
        api_key=settings.api_key,
        service=settings.service,
        environment=settings.environment,
        version=settings.version,
        host=settings.host,
        min_level=settings.min_level,
        compression=settings.compression,
        queue_bytes_max=settings.queue_bytes_max,
        batch_records_max=settings.batch_records_max,
        batch_age_s=settings.batch_age_s,
        request_timeout_s=settings.request_timeout_s,
    )


runtime = _Runtime()


def init(
    *,
    service: str | None = None,
    endpoint: str | None = None,
    api_key: str | None = None,
    environment: str | None = None,
    version: str | None = None,
    host: str | None = None,
    min_level: str | int | None = None,
    compression: str | None = None,
    queue_bytes_max: int | None = None,
    batch_records_max: int | None = None,
    batch_age_s: float | None = None,
    request_timeout_s: float | None = None,
    shutdown_timeout_s: float | None = None,
) -> None:
    """Starts sending. Every setting may also come from the environment: ``MILLPOND_`` and its name in capitals
    (``MILLPOND_LEVEL`` for ``min_level``); arguments go first.

    :param service: name of this service; default ``unknown_service``.
    :param endpoint: address of the server; default ``http://127.0.0.1:4480``. Nothing breaks while it can't be
        reached: records wait in memory, up to ``queue_bytes_max``.
    :param api_key: key with the scope ``ingest``.
    :param environment: such as ``production``.
    :param version: version of the service.
    :param host: default: the host's name.
    :param min_level: records below it are not kept; default ``trace``.
    :param compression: ``zstd`` (default), ``gzip`` or ``none``.
    :param queue_bytes_max: most bytes of records that wait in memory; default 64 MiB. Beyond it new ones are dropped
        and counted.
    :param batch_records_max: most records of one request; default 10,000.
    :param batch_age_s: seconds after which a record is sent though its batch is not full; default 1.
    :param request_timeout_s: seconds that one request may take; default 30.
    :param shutdown_timeout_s: seconds that the end of the program may wait for what was not delivered yet; default 2.

    Calling it again with the same settings does nothing; with others, a new client takes over and the old one is
    flushed and closed.

    :raises ConfigurationError: a setting has a value that it can't have.
    """
    runtime.init(settings_from({name: value for name, value in locals().items() if value is not None}))


def flush(timeout: float | None = None) -> bool:
    """Waits until everything logged so far is delivered, at most ``timeout`` seconds (default: the shutdown
    time-out); whether it was. Other threads run meanwhile."""
    return runtime.flush(_timeout(timeout))


def close(timeout: float | None = None) -> bool:
    """Flushes, then stops sending; whether everything was delivered. Records logged later are dropped and counted,
    until ``init`` is called again."""
    return runtime.close(_timeout(timeout))


def metrics() -> dict[str, Any]:
    """The account of this process since the last ``init``: ``accepted`` records, of which so many were ``delivered``,
    are ``queued``, or were ``dropped``, by reason: ``overflow`` of the queue, ``too_large``, ``rejected`` one by one or
    ``refused`` with their batch by the server, ``closed`` before they could be delivered, ``panicked`` while they were
    written, ``nested`` too deep in other log calls, ``before_init``. At every moment
    ``accepted == delivered + queued + sum(dropped.values())``."""
    return runtime.metrics()


def _timeout(given: float | None) -> float:
    if given is not None:
        return max(0.0, float(given))
    return SHUTDOWN_TIMEOUT_S if runtime.settings is None else runtime.settings.shutdown_timeout_s

"""Celery's prefork children leave by ``os._exit``, past exit functions and finalizers; they send a signal before."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any


def at_child_exit(work: Callable[[], None]) -> bool:
    """Has ``work`` done when a prefork child of Celery is about to leave; whether Celery is there to tell. Imports
    nothing: without Celery there are no such children."""
    signals: Any = sys.modules.get("celery.signals")
    shutdown: Any = getattr(signals, "worker_process_shutdown", None)
    if shutdown is None:
        return False

    def flush(**_: object) -> None:
        work()

    # Celery would hold the function only weakly.
    shutdown.connect(flush, weak=False, dispatch_uid="millpond")
    return True

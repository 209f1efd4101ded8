"""Waiting without holding up the greenlets of the thread: under gevent, all of them stand still while one of them
waits in native code."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any


def patiently(wait: Callable[[float], bool], timeout_s: float) -> bool:
    """``wait(timeout_s)``, which other greenlets need not wait for. It runs in a thread of gevent's pool, and not in
    slices here with a switch between them: native code must not be left by a greenlet in the middle of it."""
    monkey: Any = sys.modules.get("gevent.monkey")
    if monkey is None or timeout_s <= 0 or not monkey.is_module_patched("threading"):
        return wait(timeout_s)
    gevent: Any = sys.modules["gevent"]
    hub: Any = gevent.get_hub()
    if gevent.getcurrent() is hub:
        return wait(timeout_s)  # A callback of the loop itself, which nobody could come back to.
    return bool(hub.threadpool.apply(wait, (timeout_s,)))

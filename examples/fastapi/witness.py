"""The ground truth: a file that says which records this service logged, written without Millpond. Whoever counts what
arrived compares with it. Part of the example only so that a test can trust it; without ``GROUND_TRUTH`` it does
nothing."""

from __future__ import annotations

import itertools
import os
import uuid

_RUN = uuid.uuid4().hex[:16]
_NUMBERS = itertools.count()
_PATH = os.environ.get("GROUND_TRUTH")
_FILE = os.open(_PATH, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644) if _PATH else None


def event_id(what: str) -> str:
    """An id that no other record has, written down before it is given out: one line, one write, so that several
    processes may share the file."""
    identity = f"orders-{_RUN}-{os.getpid()}-{next(_NUMBERS)}"
    if _FILE is not None:
        os.write(_FILE, f"{identity}\t{what}\n".encode())
    return identity

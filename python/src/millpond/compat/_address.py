"""Where a drop-in sends when its original has the address hard-wired."""

from __future__ import annotations

import os
from collections.abc import Iterable

_installed: dict[str, str] = {}


def address(name: str, default: str) -> str:
    """The server of this drop-in, without a slash at the end: what ``install`` was given, else the environment's
    ``MILLPOND_ENDPOINT``, else the original's own."""
    return _installed.get(name) or os.environ.get("MILLPOND_ENDPOINT", "").strip().rstrip("/") or default


def use(names: Iterable[str], given: str) -> None:
    """Sets the server of these drop-ins."""
    if not given.startswith(("http://", "https://")):
        raise ValueError(f"address is {given!r}, expected one such as 'http://127.0.0.1:4480'")
    for name in names:
        _installed[name] = given.rstrip("/")

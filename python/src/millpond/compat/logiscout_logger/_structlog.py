"""structlog's context variables, if the program has imported structlog; nothing is imported here.

A request ends with what it bound there: what was bound before it stays, what it bound is gone.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

#: What a request binds, and what is no metadata of its logs, which have it in their payload.
REQUEST_NAMES = ("correlation_id", "http_method", "url_path")


def _module() -> Any:
    return sys.modules.get("structlog.contextvars")


def bound() -> dict[str, Any]:
    """What is bound; a copy."""
    module = _module()
    return {} if module is None else dict(module.get_contextvars())


def bind(**values: Any) -> None:
    """Binds these too."""
    module = _module()
    if module is not None:
        module.bind_contextvars(**values)


def unbind(*names: str) -> None:
    """Names that are not bound are fine."""
    module = _module()
    if module is not None:
        module.unbind_contextvars(*names)


def replace(values: Mapping[str, Any]) -> None:
    """Has these bound and nothing else."""
    module = _module()
    if module is None:
        return
    now = module.get_contextvars()
    gone = [name for name in now if name not in values]
    if gone:
        module.unbind_contextvars(*gone)
    changed = {name: value for name, value in values.items() if name not in now or now[name] is not value}
    if changed:
        module.bind_contextvars(**changed)

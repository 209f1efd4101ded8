"""The setting ``MILLPOND``: options of ``init`` and of the middleware, in one place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import conf

from millpond._config import ConfigurationError
from millpond.middleware import RequestOptions


def split() -> tuple[dict[str, Any], dict[str, Any]]:
    """The options of ``init``, and those of the middleware.

    :raises ConfigurationError: the setting is no mapping.
    """
    said = getattr(conf.settings, "MILLPOND", None) or {}
    if not isinstance(said, Mapping):
        raise ConfigurationError(f"setting MILLPOND is {said!r}, expected a dictionary of options")
    of_requests = RequestOptions.__annotations__.keys()
    return (
        {name: value for name, value in said.items() if name not in of_requests},
        {name: value for name, value in said.items() if name in of_requests},
    )

"""A drop-in for ``logingestor``, the name that Streamlogia's package 0.1.0 had and its documentation still has:
``from millpond.compat.logingestor import LogIngestorClient``. The same client as
:mod:`millpond.compat.streamlogia`, with fewer options."""

from __future__ import annotations

from collections.abc import Callable

from millpond.compat import streamlogia
from millpond.compat._address import address
from millpond.compat.streamlogia import Level

DEFAULT_BASE_URL = streamlogia.DEFAULT_BASE_URL


class LogIngestorClient(streamlogia.LogIngestorClient):
    """Sends entries to one project. The server is the one that ``install`` or ``MILLPOND_ENDPOINT`` name, otherwise
    Streamlogia's."""

    _package = "logingestor"

    def __init__(
        self,
        api_key: str,
        project_id: str,
        *,
        source: str = "unknown",
        batch_size: int = 1,
        flush_interval: float = 5.0,
        console: bool = True,
        on_error: Callable[[Exception], None] | None = None,
    ) -> None:
        self._project_id = project_id
        base_url = address("logingestor", DEFAULT_BASE_URL)
        self._start(api_key, source, batch_size, flush_interval, console, on_error, base_url, None)


__all__ = ["DEFAULT_BASE_URL", "Level", "LogIngestorClient"]

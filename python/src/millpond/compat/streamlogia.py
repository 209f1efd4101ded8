"""A drop-in for ``streamlogia`` 0.4.0: ``from millpond.compat.streamlogia import LogIngestorClient``.

It owns names, options and the form of an entry. Queue, batches, retries and the end of the process are those of
:class:`millpond.Shipper`, so a log call never waits, and an entry is lost only if the server refuses it.
``docs/compat/streamlogia.md`` says where it differs from the original.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import weakref
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timezone
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

from millpond import Shipper
from millpond._native import Written
from millpond.compat._address import address
from millpond.compat._text import text_of

if TYPE_CHECKING:
    from flask import Flask

DEFAULT_BASE_URL = "https://api.streamlogia.com"
ENV_BASE_URL = "STREAMLOGIA_API_URL"
ENV_CA_FILE = "STREAMLOGIA_CA_FILE"

#: As long as the original waits for an answer, and for its threads at the end.
_REQUEST_TIMEOUT_S = 10.0
_CLOSE_TIMEOUT_S = 15.0
#: As much as a Millpond server takes at once.
_INGEST_BYTES_MAX = 64 << 20
#: Between two attempts to reach a server that fails.
_PAUSE_S = 2.0
#: What is left after that may take so long.
_GRACE_S = 2.0
#: No interval is shorter, and none longer than a day.
_INTERVAL_S_MIN = 0.001
_INTERVAL_S_MAX = 86_400.0
#: Loggers that fill a log at DEBUG with what concerns nobody but their libraries.
_CHATTER = ("asyncio", "botocore", "h2", "hpack", "httpcore", "httpx", "urllib3")


class Level:
    """The levels of entries."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARN = "WARN"
    ERROR = "ERROR"


class LogIngestorClient:
    """Sends entries to one project of Streamlogia or of a Millpond server.

    :param api_key: the key; ``STREAMLOGIA_API_KEY`` if left out.
    :param project_id: the project; ``STREAMLOGIA_PROJECT_ID`` if left out.
    :param source: what every entry is from.
    :param batch_size: entries are sent as soon as there are so many.
    :param flush_interval: seconds after which fewer are sent.
    :param console: whether entries are printed as well, those from WARN on to stderr.
    :param on_error: called with the exception of each request that failed, in the thread that sends. What can be tried
        again is tried again.
    :param base_url: address of the server; ``STREAMLOGIA_API_URL``, then ``MILLPOND_ENDPOINT`` if left out.
    :param ca_file: certificates (PEM) that are trusted, and no others; ``STREAMLOGIA_CA_FILE`` if left out.
    :raises ValueError: key or project is missing, or an option has a value that it can't have.
    :raises OSError: ``ca_file`` can't be read.
    """

    #: Who says on stderr that a request failed.
    _package = "streamlogia"

    def __init__(
        self,
        api_key: str | None = None,
        project_id: str | None = None,
        *,
        source: str = "unknown",
        batch_size: int = 1,
        flush_interval: float = 5.0,
        console: bool = True,
        on_error: Callable[[Exception], None] | None = None,
        base_url: str | None = None,
        ca_file: str | None = None,
    ) -> None:
        key = api_key or _variable("API_KEY", "api_key")
        self._project_id = project_id or _variable("PROJECT_ID", "project_id")
        given = base_url or os.environ.get(ENV_BASE_URL) or address("streamlogia", DEFAULT_BASE_URL)
        certificates = ca_file or os.environ.get(ENV_CA_FILE)
        self._start(key, source, batch_size, flush_interval, console, on_error, given, certificates)

    def _start(
        self,
        api_key: str,
        source: str,
        batch_size: int,
        flush_interval: float,
        console: bool,
        on_error: Callable[[Exception], None] | None,
        base_url: str,
        ca_file: str | None,
    ) -> None:
        from millpond.compat._streamlogia.errors import Reporter

        self._source = source or "unknown"
        self._console = console
        self._url = f"{base_url.strip().rstrip('/')}/v1/ingest"
        self._batch_size = max(batch_size, 1)
        self._logged = count(1)
        options: dict[str, Any] = {"batch_age_s": min(max(flush_interval, _INTERVAL_S_MIN), _INTERVAL_S_MAX)}
        if ca_file:
            import ssl

            # What users of the original may catch: there is no such file, or no certificate in it.
            ssl.create_default_context(cafile=ca_file)
            options["ca_file"] = ca_file
        self._open = partial(
            Shipper,
            self._url,
            headers={"Authorization": f"Bearer {api_key}"},
            on_failure=Reporter(self._package, self._url, on_error),
            request_timeout_s=_REQUEST_TIMEOUT_S,
            # Who flushes waits for one attempt, as with the original. The others are made later.
            breaker_failures=1,
            breaker_reset_s=_PAUSE_S,
            **options,
        )
        self._shipper = self._open()

    def debug(self, message: str, *, meta: dict[str, Any] | None = None, tags: list[str] | None = None) -> None:
        """Logs at DEBUG."""
        self._log(Level.DEBUG, message, meta, tags)

    def info(self, message: str, *, meta: dict[str, Any] | None = None, tags: list[str] | None = None) -> None:
        """Logs at INFO."""
        self._log(Level.INFO, message, meta, tags)

    def warn(self, message: str, *, meta: dict[str, Any] | None = None, tags: list[str] | None = None) -> None:
        """Logs at WARN."""
        self._log(Level.WARN, message, meta, tags)

    def error(self, message: str, *, meta: dict[str, Any] | None = None, tags: list[str] | None = None) -> None:
        """Logs at ERROR."""
        self._log(Level.ERROR, message, meta, tags)

    def ingest(self, entries: list[dict[str, Any]]) -> dict[str, Any]:
        """Sends entries as they are, at once, and waits for the answer, which is returned.

        :raises urllib.error.HTTPError: the server refused them.
        :raises urllib.error.URLError: there was no answer.
        """
        from urllib.error import URLError

        from millpond.compat._streamlogia.errors import http_error

        body = str(Written(entries, _INGEST_BYTES_MAX))
        try:
            answer = self._shipper.request("POST", self._url, body, timeout=_REQUEST_TIMEOUT_S)
        except ConnectionError as error:
            raise URLError(error) from error
        if not 200 <= answer.status < 300:
            raise http_error(self._url, answer.status, answer.body, answer.headers)
        received: dict[str, Any] = json.loads(answer.body) if answer.body.strip() else {}
        return received

    def flush(self) -> None:
        """Has everything sent that was logged before, and waits for it. Failures are for ``on_error``."""
        self._shipper.flush(_REQUEST_TIMEOUT_S)

    async def _flush_async(self) -> None:
        await self._shipper.flush_async(_REQUEST_TIMEOUT_S)

    def close(self) -> None:
        """Has everything sent. What is logged later is sent nevertheless."""
        # The flush ends early where nothing comes of waiting.
        self._shipper.flush(_CLOSE_TIMEOUT_S)
        self._shipper.close(_GRACE_S)

    def flask_middleware(self, app: Flask) -> Flask:
        """Logs each request of a Flask application, which is returned."""
        from millpond.compat._streamlogia.requests import watch_flask

        watch_flask(self, app)
        return app

    def asgi_middleware(self) -> type:
        """A class of middleware that logs each request of an ASGI application: FastAPI, Starlette and others."""
        from millpond.compat._streamlogia.requests import middleware_of

        return middleware_of(self)

    def logging_handler(self) -> logging.Handler:
        """A handler that sends records of stdlib logging."""
        from millpond.compat._streamlogia.handler import LogIngestorHandler

        return LogIngestorHandler(self)

    def _log(
        self, level: str, message: object, meta: object, tags: object, shown: dict[str, Any] | None = None
    ) -> None:
        """``shown`` is what the console has of ``meta``."""
        text = message if isinstance(message, str) else text_of(message)
        fields = {} if meta is None else meta if isinstance(meta, Mapping) else {"value": meta}
        # What a server insists on goes first: an entry that is too large is cut from its end.
        entry = {
            "projectId": self._project_id,
            "level": level,
            "source": self._source,
            "timestamp": datetime.now(timezone.utc).isoformat(),
            "message": text,
            "tags": _labels(tags),
            "meta": fields,
        }
        if not self._shipper.ship(entry) and self._shipper.is_closed:
            self._shipper = self._open()
            self._shipper.ship(entry)
        if next(self._logged) % self._batch_size == 0:
            # What comes while a request is on its way goes with the next one, however much that is.
            self._shipper.hasten()
        if self._console:
            _print(level, text, fields if shown is None else shown)


def _variable(name: str, argument: str) -> str:
    """An option from the environment, under the name of today or that of the documentation."""
    value = os.environ.get(f"STREAMLOGIA_{name}") or os.environ.get(f"LOGINGESTOR_{name}")
    if not value:
        raise ValueError(f"{argument} is missing, expected it as an argument or in STREAMLOGIA_{name}")
    return value


def _labels(tags: object) -> list[str]:
    if tags is None:
        return []
    try:
        labels = list(tags) if isinstance(tags, Iterable) and not isinstance(tags, str) else [tags]
    except Exception:
        return []
    return [label if isinstance(label, str) else text_of(label) for label in labels]


def _print(level: str, message: str, meta: object) -> None:
    """One line, to the stream that is there now; a log call doesn't fail for it."""
    try:
        stream = sys.stderr if level in (Level.WARN, Level.ERROR) else sys.stdout
        print(f"[{level}] {message} {meta}", file=stream, flush=True)
    except Exception:
        pass


#: Applications that have the middleware of an earlier `init`.
_watched: weakref.WeakSet[Any] = weakref.WeakSet()


def init(
    app: Any = None,
    *,
    source: str = "unknown",
    batch_size: int = 1,
    flush_interval: float = 5.0,
    console: bool = True,
    log_level: int = logging.DEBUG,
    api_key: str | None = None,
    project_id: str | None = None,
    on_error: Callable[[Exception], None] | None = None,
    base_url: str | None = None,
    ca_file: str | None = None,
) -> LogIngestorClient:
    """Makes a client, sends it all records of stdlib logging from ``log_level`` on, and the requests of ``app`` if that
    is one of Flask, FastAPI or Starlette. A later call replaces the handler of an earlier one."""
    from millpond.compat._streamlogia.handler import RootHandler

    client = LogIngestorClient(
        api_key,
        project_id,
        source=source,
        batch_size=batch_size,
        flush_interval=flush_interval,
        console=console,
        on_error=on_error,
        base_url=base_url,
        ca_file=ca_file,
    )
    root = logging.getLogger()
    for former in [handler for handler in root.handlers if isinstance(handler, RootHandler)]:
        root.removeHandler(former)
    root.setLevel(log_level)
    root.addHandler(RootHandler(client))
    for logger in map(logging.getLogger, _CHATTER):
        if logger.level == logging.NOTSET:
            logger.setLevel(max(root.level, logging.INFO))
    if app is not None and app not in _watched:
        _watch(client, app)
    return client


def _watch(client: LogIngestorClient, app: Any) -> None:
    if hasattr(app, "add_middleware"):
        app.add_middleware(client.asgi_middleware())
    elif hasattr(app, "before_request"):
        client.flask_middleware(app)
    else:
        return
    _watched.add(app)

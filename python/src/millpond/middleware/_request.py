"""One request as a unit: the ids that its records share, and the one record of it.

Knows no protocol and no framework. Whoever carries a request through an application tells it what was asked, enters
and leaves its context, tells what was answered, and calls ``record`` at the end. That never raises, and writes once.
"""

from __future__ import annotations

import contextvars
import os
import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict, Union

from millpond._capture import leave_out
from millpond._config import ConfigurationError
from millpond._context import _clean_request_id, _current, parse_traceparent, remember_sampling
from millpond._init import get_logger
from millpond._logger import Logger
from millpond._native import Attributes
from millpond.middleware._body import BODY_BYTES, Body
from millpond.middleware._network import Proxies

#: Not recorded unless asked for: they are asked for every few seconds, and say nothing but that they were asked for.
HEALTH_PATHS = ("/health", "/healthz", "/livez", "/readyz", "/ping", "/metrics")
#: Loggers of servers and frameworks that say of each request what its record says too.
ACCESS_LOGGERS = (
    "aiohttp.access",
    "django.request",
    "django.server",
    "granian.access",
    "gunicorn.access",
    "hypercorn.access",
    "tornado.access",
    "uvicorn.access",
    "werkzeug",
)
#: The key of a scope (ASGI) or environment (WSGI) under which a request that is recorded already is found.
KEY = "millpond.request"
#: What nginx writes when the client went away before it was answered.
CLIENT_CLOSED_REQUEST = 499
#: Characters of a path, user agent or header that are recorded; the rest is cut off.
_TEXT_CHARACTERS_MAX = 2048
_FORWARDED_HEADERS = ("x-forwarded-for", "forwarded")
#: The headers that are read of every request.
_HEADERS = ("traceparent", "x-request-id", "x-correlation-id", "user-agent")

PathPattern = Union[str, "re.Pattern[str]"]


class RequestOptions(TypedDict, total=False):
    """The options that every kind of middleware takes.

    ``skip_paths``: paths that are not recorded unless they fail with an exception or a status from 500 on; what is
    logged for them has its ids nevertheless. A path as it is, with or without a slash at its end; a beginning, with a
    ``*`` behind it (``/static/*``); or a compiled regular expression, which is searched for. Default: the paths of
    health checks, :data:`HEALTH_PATHS`.

    ``trusted_proxies``: addresses or networks (``10.0.0.0/8``) of the proxies that are believed when they name the
    address that a request came from, and ``unix`` for what comes through a Unix socket. Default: nobody, for
    everybody can write the header.

    ``forwarded_header``: the header in which they do, ``x-forwarded-for`` (default) or ``forwarded``. Only one is
    read: what the proxies do not write themselves, they pass on as the client wrote it.

    ``capture_headers``: names of the headers of requests and responses that are recorded, or ``True`` for all.
    Default: none.

    ``capture_body``: whether bodies of requests and responses are recorded, or how many bytes of each; ``True`` is
    8,192. Default: no.

    ``logger``: the logger to use. Default: one named ``millpond.request``.
    """

    skip_paths: PathPattern | Collection[PathPattern]
    trusted_proxies: str | Collection[str]
    forwarded_header: str
    capture_headers: bool | Collection[str]
    capture_body: bool | int
    logger: Logger | None


@dataclass(frozen=True)
class Options:
    """The options, checked and made ready."""

    skip_paths: PathPattern | Collection[PathPattern] = HEALTH_PATHS
    trusted_proxies: str | Collection[str] = ()
    forwarded_header: str = "x-forwarded-for"
    capture_headers: bool | Collection[str] = False
    capture_body: bool | int = False
    logger: Logger | None = None

    #: Headers that are read of every request.
    headers: tuple[str, ...] = field(init=False, default=_HEADERS)
    #: Most bytes of a body that are kept; 0 for none.
    body_bytes_max: int = field(init=False, default=0)
    proxies: Proxies | None = field(init=False, default=None)
    captures_header: Callable[[str], bool] | None = field(init=False, default=None)
    _paths: frozenset[str] = field(init=False, default=frozenset())
    _beginnings: tuple[str, ...] = field(init=False, default=())
    _patterns: tuple[re.Pattern[str], ...] = field(init=False, default=())
    _logger: Logger = field(init=False, default_factory=lambda: get_logger(KEY))

    def __post_init__(self) -> None:
        # Who asks for options records requests.
        leave_out(ACCESS_LOGGERS)
        ready = self.__dict__
        for name in ("skip_paths", "trusted_proxies"):
            if not isinstance(getattr(self, name), (str, re.Pattern, Collection)):
                raise ConfigurationError(f"{name} is {getattr(self, name)!r}, expected a string or several")
        skipped = [self.skip_paths] if isinstance(self.skip_paths, (str, re.Pattern)) else list(self.skip_paths)
        texts = [path for path in skipped if isinstance(path, str)]
        exact = [path.rstrip("/") for path in texts if not path.endswith("*")]
        ready["_paths"] = frozenset([*exact, *(path + "/" for path in exact)])
        ready["_beginnings"] = tuple(path[:-1] for path in texts if path.endswith("*"))
        ready["_patterns"] = tuple(path for path in skipped if isinstance(path, re.Pattern))
        if len(texts) + len(self._patterns) < len(skipped):
            raise ConfigurationError(f"skip_paths is {skipped!r}, expected strings and compiled regular expressions")
        self._use_proxies(self.forwarded_header)
        if self.logger is not None:
            if not isinstance(self.logger, Logger):
                raise ConfigurationError(f"logger is {self.logger!r}, expected one of millpond.get_logger")
            ready["_logger"] = self.logger
        if not isinstance(self.capture_body, int) or self.capture_body < 0:
            raise ConfigurationError(f"capture_body is {self.capture_body!r}, expected a bool or a number of bytes")
        ready["body_bytes_max"] = BODY_BYTES if self.capture_body is True else int(self.capture_body)
        ready["captures_header"] = _header_choice(self.capture_headers)

    def _use_proxies(self, header: str) -> None:
        if not isinstance(header, str) or header.lower() not in _FORWARDED_HEADERS:
            raise ConfigurationError(f"forwarded_header is {header!r}, expected {' or '.join(_FORWARDED_HEADERS)}")
        if self.trusted_proxies:
            self.__dict__["proxies"] = Proxies(self.trusted_proxies, header.lower())
            self.__dict__["headers"] = (*_HEADERS, header.lower())

    def skips(self, path: str) -> bool:
        """Whether requests of this path are not recorded unless they fail."""
        return (
            path in self._paths
            or path.startswith(self._beginnings)
            or any(pattern.search(path) for pattern in self._patterns)
        )


def _header_choice(chosen: bool | Collection[str]) -> Callable[[str], bool] | None:
    if not chosen:
        return None
    if chosen is True:
        return lambda _name: True
    if not isinstance(chosen, Collection) or not all(isinstance(name, str) for name in chosen):
        raise ConfigurationError(f"capture_headers is {chosen!r}, expected true, false or names of headers")
    names = frozenset(name.lower() for name in ([chosen] if isinstance(chosen, str) else chosen))
    return names.__contains__


class Exchange:
    """One request from its beginning to its record."""

    __slots__ = (
        "_attributes",
        "_began",
        "_correlation_id",
        "_ended",
        "_options",
        "_peer",
        "_recorded",
        "_root",
        "_token",
        "_wanted",
        "disconnected",
        "error",
        "fields",
        "method",
        "path",
        "request_body",
        "request_headers",
        "request_id",
        "response_body",
        "response_headers",
        "route",
        "status",
    )

    def __init__(
        self, options: Options, method: str, path: str, headers: Mapping[str, str], peer: str | None, root: str = ""
    ) -> None:
        """``headers`` has those named by ``options.headers``, in lower case, as far as they came. ``root`` is the part
        of the path under which the application is mounted."""
        self._began = time.perf_counter()
        self._options = options
        self._peer = peer
        self._root = root
        self._wanted = headers
        self._recorded = False
        self._ended: float | None = None
        self._token: contextvars.Token[Attributes | None] | None = None
        self.method = method
        self.path = path[:_TEXT_CHARACTERS_MAX]
        self._correlation_id = _clean_request_id(headers.get("x-correlation-id"))
        given = _clean_request_id(headers.get("x-request-id")) or self._correlation_id
        trace_id, span_id, new_request_id = _new_ids()
        self.fields: dict[str, Any] = {}
        parent = parse_traceparent(headers.get("traceparent"))
        if parent is not None:
            trace_id = parent.trace_id
            self.fields["parent_span_id"] = parent.span_id
            remember_sampling(parent)
        self.request_id = given or new_request_id
        ids: dict[str, object] = {"trace_id": trace_id, "span_id": span_id, "request_id": self.request_id}
        outer = _current.get()
        self._attributes = Attributes(ids) if outer is None else outer.merged(ids, True)
        #: The template of the path, such as ``/orders/{number}``.
        self.route: str | None = None
        self.status: int | None = None
        #: An exception that the framework turned into a response.
        self.error: BaseException | None = None
        self.disconnected = False
        body_bytes_max = options.body_bytes_max
        self.request_body = Body(body_bytes_max) if body_bytes_max else None
        self.response_body = Body(body_bytes_max) if body_bytes_max else None
        #: Set by whoever has them, if ``options.captures_header`` or bodies are wanted: pairs of name and value.
        self.request_headers: Iterable[tuple[str, str]] = ()
        self.response_headers: Iterable[tuple[str, str]] = ()

    @property
    def wants_headers(self) -> bool:
        """Whether the record needs the headers of request and response."""
        return self._options.captures_header is not None or self.request_body is not None

    def enter(self) -> None:
        """From here on, what is logged belongs to the request. In this thread or task only, until ``leave``."""
        self._token = _current.set(self._attributes)

    def leave(self) -> None:
        """The end of that. What the application added to the context is kept for the next ``enter``."""
        token, self._token = self._token, None
        if token is None:
            return
        attributes = _current.get()
        if attributes is not None:
            self._attributes = attributes
        try:
            _current.reset(token)
        except ValueError:
            pass  # Left in another context than entered, which ends by itself.

    def answer_headers(self, present: Collection[str]) -> list[tuple[str, str]]:
        """The headers to add to a response that has those of ``present``, in lower case."""
        added = [] if "x-request-id" in present else [("x-request-id", self.request_id)]
        if self._correlation_id is not None and "x-correlation-id" not in present:
            added.append(("x-correlation-id", self._correlation_id))
        return added

    def completed(self) -> None:
        """The response ended; what comes later does not belong to its duration."""
        if self._ended is None:
            self._ended = time.perf_counter()

    @property
    def is_complete(self) -> bool:
        """Whether the response ended."""
        return self._ended is not None

    @property
    def is_recorded(self) -> bool:
        """Whether its record is written."""
        return self._recorded

    def record(self, error: BaseException | None = None, *, answered: bool = True) -> None:
        """Writes the record of the request, with the exception that ended it. Only the first call does. Unless it was
        ``answered``, the server answers an exception by itself, with 500."""
        if self._recorded:
            return
        self._recorded = True
        unhandled = isinstance(error, Exception)
        cancelled = error is not None and not unhandled
        error, self.error = (error if unhandled else self.error), None
        if self.disconnected and not self.is_complete:
            self.status = CLIENT_CLOSED_REQUEST
        elif unhandled and (self.status is None or not answered):
            self.status = 500
        status = self.status
        is_failure = error is not None or (status is not None and status >= 500)
        if not is_failure and self._is_skipped():
            return
        if cancelled and not self.is_complete:
            self.fields["cancelled"] = True
        logger = self._options._logger
        if is_failure:
            log = logger.error
        elif status is None or status >= 400 or "cancelled" in self.fields:
            log = logger.warning
        else:
            log = logger.info
        message = f"{self.method} {self.path} {'-' if status is None else status}"
        log(message, exc_info=error, **self._facts())

    def _is_skipped(self) -> bool:
        skips, path, root = self._options.skips, self.path, self._root
        return skips(path) or (bool(root) and path.startswith(root) and skips(path[len(root) :]))

    def _facts(self) -> dict[str, Any]:
        """What the record of the request says."""
        ended = time.perf_counter() if self._ended is None else self._ended
        facts: dict[str, Any] = {"method": self.method, "path": self.path}
        if self.route is not None:
            facts["route"] = self.route[:_TEXT_CHARACTERS_MAX]
        facts["status"] = self.status
        facts["duration_ms"] = round((ended - self._began) * 1000, 3)
        wanted, options = self._wanted, self._options
        ip = self._peer
        if options.proxies is not None:
            ip = options.proxies.client(ip, wanted.get(options.headers[-1]))
        if ip:
            facts["ip"] = ip
        user_agent = wanted.get("user-agent")
        if user_agent is not None:
            facts["user_agent"] = user_agent[:_TEXT_CHARACTERS_MAX]
        if self._correlation_id is not None and self._correlation_id != self.request_id:
            facts["correlation_id"] = self._correlation_id
        if self.disconnected and not self.is_complete:
            facts["disconnected"] = True
        if self.fields:
            facts.update(self.fields)
        if self.wants_headers:
            self._add_captured(facts)
        return facts

    def _add_captured(self, facts: dict[str, Any]) -> None:
        captures = self._options.captures_header
        for side, pairs, body in (
            ("request", self.request_headers, self.request_body),
            ("response", self.response_headers, self.response_body),
        ):
            headers: dict[str, str] = {}
            for name, value in pairs:
                name = name.lower()
                headers[name] = f"{headers[name]}, {value}" if name in headers else value
            if captures is not None:
                chosen = {name: value[:_TEXT_CHARACTERS_MAX] for name, value in headers.items() if captures(name)}
                if chosen:
                    facts[f"{side}_headers"] = chosen
            if body is not None and body.size:
                facts[f"{side}_body"] = body.value(headers.get("content-type"), headers.get("content-encoding"))


def _new_ids() -> tuple[str, str, str]:
    """A trace id, a span id and a request id, from one call to the system."""
    while True:
        digits = os.urandom(40).hex()
        trace_id, span_id = digits[:32], digits[32:48]
        # All zero means "none" to W3C.
        if trace_id.strip("0") and span_id.strip("0"):
            return trace_id, span_id, digits[48:]

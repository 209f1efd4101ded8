"""What a piece of work knows about itself: attributes that every record logged during it carries.

Kept in one context variable, so threads, tasks and generators each see their own. The mapping behind it is never
changed, only replaced.
"""

from __future__ import annotations

import contextlib
import contextvars
import os
import re
from collections.abc import Generator, Mapping
from typing import NamedTuple

from millpond import _levels
from millpond._native import Attributes

_current: contextvars.ContextVar[Attributes | None] = contextvars.ContextVar("millpond.context", default=None)

# Compiled when they are first used.
#: A trace that its first service does not record; which one says whom it is about, so that nobody need take it back.
_unsampled: contextvars.ContextVar[str | None] = contextvars.ContextVar("millpond.unsampled", default=None)

_TRACEPARENT = r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?"
_TRACE_ID = r"[0-9a-f]{32}"
_SPAN_ID = r"[0-9a-f]{16}"
#: Longest request id taken from a header, in characters. Longer ones are no ids.
_REQUEST_ID_CHARACTERS_MAX = 128


@contextlib.contextmanager
def context(**attributes: object) -> Generator[None, None, None]:
    """Adds attributes to every record logged inside of the ``with`` block, in this thread or task and in the tasks
    started from it.

    ``trace_id``, ``span_id``, ``request_id``, ``user_id``, ``session_id``, ``flow_id``, ``dataset``, ``environment``,
    ``version`` and ``host`` become the record's own attributes, the strings of ``tags`` its tags, other names fields.
    Inner blocks go before outer ones, the keywords of a log call before both; ``None`` hides what an outer block said.
    """
    with _entered(attributes, fork=False):
        yield


@contextlib.contextmanager
def unit(attributes: dict[str, object]) -> Generator[None, None, None]:
    """As :func:`context`, for a piece of work of its own, such as a request: its breadcrumbs are its own too."""
    with _entered(attributes, fork=True):
        yield


@contextlib.contextmanager
def _entered(attributes: dict[str, object], *, fork: bool) -> Generator[None, None, None]:
    token = _current.set(_merged(_current.get(), attributes, fork=fork))
    try:
        yield
    finally:
        # An async generator may be closed by the event loop in another context; there is nothing to undo there.
        with contextlib.suppress(ValueError):
            _current.reset(token)


def bind(**attributes: object) -> None:
    """Adds attributes to every record logged from now on in this thread or task, up to the end of the innermost
    :func:`context` block or request. What they become is said there."""
    _current.set(_merged(_current.get(), attributes))


def unbind(*names: str) -> None:
    """Takes attributes out again; names that are not bound are fine."""
    attributes = _current.get()
    if attributes is not None:
        _current.set(attributes.without(names))


def set_user(user_id: object, **about: object) -> None:
    """Binds the user: ``user_id``, and what else is to be known about them in the field ``user``; ``None`` for
    nobody."""
    bind(user_id=user_id, **({"user": about} if about else {}))


def set_session(session_id: object) -> None:
    """Binds the user's session; ``None`` for none."""
    bind(session_id=session_id)


def add_tags(*tags: str) -> None:
    """Binds tags, behind those that are bound already."""
    attributes = _current.get()
    before = None if attributes is None else attributes.get("tags")
    known: list[object] = list(before) if isinstance(before, (list, tuple)) else []
    bind(tags=known + [tag for tag in tags if tag not in known])


def breadcrumb(message: object, /, *, category: str | None = None, level: str | int = "info", **fields: object) -> None:
    """Leaves a breadcrumb: a step on the way that is of interest only if something goes wrong later. The last 100 of
    a request, or of the thread or task, go with its records of level ``error`` and above (option
    ``breadcrumbs_min_level``), in the field ``breadcrumbs``. Never raises."""
    attributes = _current.get()
    if attributes is None:
        attributes = Attributes({})
        _current.set(attributes)
    try:
        attributes.leave(_levels.from_anything(level), message, category, fields)
    except Exception:
        pass  # A breadcrumb that can't be written is no reason to fail.


def current_context() -> dict[str, object]:
    """A copy of the attributes that a record logged here would carry."""
    attributes = _current.get()
    return {} if attributes is None else attributes.as_dict()


def _merged(outer: Attributes | None, values: dict[str, object], *, fork: bool = False) -> Attributes:
    return Attributes(values) if outer is None else outer.merged(values, fork)


class TraceContext(NamedTuple):
    """A place in a trace, as W3C Trace Context writes it."""

    #: 32 lower-case hex digits, not all zero.
    trace_id: str
    #: 16 lower-case hex digits, not all zero.
    span_id: str
    #: Whether the caller recorded the trace.
    sampled: bool = True

    def traceparent(self) -> str:
        """The value of a ``traceparent`` header."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"

    def child(self) -> TraceContext:
        """A new span of the same trace."""
        return TraceContext(self.trace_id, new_span_id(), self.sampled)

    @staticmethod
    def new() -> TraceContext:
        """The first span of a new trace."""
        return TraceContext(new_trace_id(), new_span_id())


def new_trace_id() -> str:
    """A random trace id."""
    return _random_hex(16)


def new_span_id() -> str:
    """A random span id."""
    return _random_hex(8)


def _random_hex(size_bytes: int) -> str:
    # The last byte is never zero: all zero means "none" to W3C.
    return (os.urandom(size_bytes - 1) + bytes([os.urandom(1)[0] | 1])).hex()


def parse_traceparent(header: str | None) -> TraceContext | None:
    """Reads a ``traceparent`` header; ``None`` if it is none that W3C Trace Context allows."""
    match = re.fullmatch(_TRACEPARENT, header.strip()) if isinstance(header, str) else None
    if match is None:
        return None
    version, trace_id, span_id, flags, more = match.groups()
    if version == "ff" or (version == "00" and more) or not trace_id.strip("0") or not span_id.strip("0"):
        return None
    return TraceContext(trace_id, span_id, bool(int(flags, 16) & 1))


def outgoing_headers() -> dict[str, str]:
    """The headers that carry the current trace and request id to another service.

    >>> httpx.post(url, headers=millpond.outgoing_headers())
    """
    attributes = _current.get()
    if attributes is None:
        return {}
    headers = {}
    trace = current_trace()
    if trace is not None:
        headers["traceparent"] = trace.traceparent()
    request_id = attributes.get("request_id")
    if isinstance(request_id, str) and _clean_request_id(request_id):
        headers["x-request-id"] = request_id
    return headers


def current_trace() -> TraceContext | None:
    """The trace of the current context, if its ids are such as W3C Trace Context allows."""
    attributes = _current.get()
    if attributes is None:
        return None
    trace_id = attributes.get("trace_id")
    if not isinstance(trace_id, str) or not re.fullmatch(_TRACE_ID, trace_id) or not trace_id.strip("0"):
        return None
    span_id = attributes.get("span_id")
    if not isinstance(span_id, str) or not re.fullmatch(_SPAN_ID, span_id) or not span_id.strip("0"):
        span_id = new_span_id()
    return TraceContext(trace_id, span_id, _unsampled.get() != trace_id)


def remember_sampling(trace: TraceContext) -> None:
    """Whether a trace is recorded is passed on with it. To be called where its id enters the context."""
    if not trace.sampled:
        _unsampled.set(trace.trace_id)
    elif _unsampled.get() == trace.trace_id:
        _unsampled.set(None)


@contextlib.contextmanager
def continue_trace(
    headers: Mapping[str, str] | None = None, **attributes: object
) -> Generator[TraceContext, None, None]:
    """Runs the ``with`` block as a new span of the trace that the headers of a request or message carry, or of a new
    trace if they carry none. ``attributes`` are added to the context as by :func:`context`."""
    folded = {name.lower(): value for name, value in (headers or {}).items()}
    parent = parse_traceparent(folded.get("traceparent"))
    trace = TraceContext.new() if parent is None else parent.child()
    ids: dict[str, object] = {"trace_id": trace.trace_id, "span_id": trace.span_id}
    request_id = _clean_request_id(folded.get("x-request-id")) or _clean_request_id(folded.get("x-correlation-id"))
    if request_id is not None:
        ids["request_id"] = request_id
    remember_sampling(trace)
    with unit({**ids, **attributes}):
        yield trace


@contextlib.contextmanager
def span(**attributes: object) -> Generator[TraceContext, None, None]:
    """Runs the ``with`` block as a new span of the current trace, or of a new one if there is none. ``attributes`` are
    added to the context as by :func:`context`."""
    parent = current_trace()
    trace = TraceContext.new() if parent is None else parent.child()
    with context(**{"trace_id": trace.trace_id, "span_id": trace.span_id, **attributes}):
        yield trace


def _clean_request_id(text: str | None) -> str | None:
    """The id of a header, if it is one: printable ASCII without spaces, not too long."""
    text = (text or "").strip()
    if not text or len(text) > _REQUEST_ID_CHARACTERS_MAX or not all("!" <= letter <= "~" for letter in text):
        return None
    return text

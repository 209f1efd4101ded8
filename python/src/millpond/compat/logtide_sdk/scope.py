"""What goes with all logs of a context: tags, a user, a session, a trace, what happened before.

The scope is in a context variable. One that is pushed belongs to the block and to all tasks and threads that copy its
context, so that what a view sets is on the log of its middleware. The one at the root belongs to its task or thread
alone: others get a copy when they first look, and never see each other's user.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from millpond.compat.logtide_sdk.models import LogEntry

__all__ = [
    "Breadcrumb",
    "Scope",
    "User",
    "add_breadcrumb",
    "get_current_scope",
    "push_scope",
    "set_extra",
    "set_session_id",
    "set_tag",
    "set_user",
]

DEFAULT_MAX_BREADCRUMBS = 100


@dataclass(frozen=True)
class User:
    """Who it is that something is done for."""

    id: str | None = None
    email: str | None = None
    username: str | None = None
    ip: str | None = None

    def to_dict(self) -> dict[str, str]:
        """What is known."""
        known = {"id": self.id, "email": self.email, "username": self.username, "ip": self.ip}
        return {name: value for name, value in known.items() if value is not None}


def _now() -> str:
    return f"{datetime.now(timezone.utc).isoformat(timespec='milliseconds')[:-6]}Z"


@dataclass
class Breadcrumb:
    """Something that happened before."""

    message: str = ""
    type: str = "custom"
    category: str | None = None
    data: dict[str, Any] | None = None
    level: str = "info"
    timestamp: str = field(default_factory=_now)

    def to_dict(self) -> dict[str, Any]:
        """As it is sent: without a category or data that there is not."""
        crumb: dict[str, Any] = {
            "message": self.message,
            "type": self.type,
            "level": self.level,
            "timestamp": self.timestamp,
        }
        if self.category is not None:
            crumb["category"] = self.category
        if self.data:
            crumb["data"] = self.data
        return crumb


class Scope:
    """What goes with logs."""

    def __init__(self, max_breadcrumbs: int = DEFAULT_MAX_BREADCRUMBS) -> None:
        self.max_breadcrumbs = max_breadcrumbs
        self.tags: dict[str, str] = {}
        self.extra: dict[str, Any] = {}
        self.user: User | None = None
        self.session_id: str | None = None
        self.trace_id: str | None = None
        self.span_id: str | None = None
        self.breadcrumbs: deque[Breadcrumb] = deque(maxlen=max_breadcrumbs)
        #: Of a root: the task or thread that it belongs to.
        self._home: object = None

    def set_tag(self, key: str, value: str) -> None:
        """Sets one of the ``tags``."""
        self.tags[key] = value

    def remove_tag(self, key: str) -> None:
        """Takes one away, if it is there."""
        self.tags.pop(key, None)

    def set_extra(self, key: str, value: Any) -> None:
        """Sets a field; the metadata of a log goes before it."""
        self.extra[key] = value

    def set_user(self, user: User | dict[str, str] | None) -> None:
        """Sets the user, or that there is none."""
        self.user = User(**user) if isinstance(user, dict) else user

    def set_session_id(self, session_id: str | None) -> None:
        """Sets the session; LogTide's server takes only UUIDs."""
        self.session_id = session_id

    def set_trace_context(self, trace_id: str | None, span_id: str | None = None) -> None:
        """Sets trace and span."""
        self.trace_id = trace_id
        self.span_id = span_id

    def add_breadcrumb(self, crumb: Breadcrumb | dict[str, Any]) -> None:
        """Adds one; the oldest goes if there are too many."""
        self.breadcrumbs.append(Breadcrumb(**crumb) if isinstance(crumb, dict) else crumb)

    def clear_breadcrumbs(self) -> None:
        """Forgets them."""
        self.breadcrumbs.clear()

    def clone(self) -> Scope:
        """One that changes apart from this one."""
        twin = Scope(self.max_breadcrumbs)
        twin.tags = dict(self.tags)
        twin.extra = dict(self.extra)
        twin.user = self.user
        twin.session_id, twin.trace_id, twin.span_id = self.session_id, self.trace_id, self.span_id
        twin.breadcrumbs.extend(self.breadcrumbs)
        return twin

    def apply_to_entry(self, entry: LogEntry) -> None:
        """Adds what the entry does not say itself. Its metadata becomes a new dictionary: the old one may be the
        caller's."""
        metadata = {**self.extra, **(entry.metadata or {})}
        if self.tags:
            metadata.setdefault("tags", dict(self.tags))
        if self.user is not None:
            metadata.setdefault("user", self.user.to_dict())
        if self.breadcrumbs:
            metadata.setdefault("breadcrumbs", [crumb.to_dict() for crumb in self.breadcrumbs])
        entry.metadata = metadata
        if entry.session_id is None:
            entry.session_id = self.session_id
        if entry.trace_id is None:
            entry.trace_id = self.trace_id
        if entry.span_id is None:
            entry.span_id = self.span_id


_current_scope: ContextVar[Scope | None] = ContextVar("logtide_scope", default=None)


def _here() -> object:
    """The task that runs, otherwise the thread."""
    try:
        import asyncio

        task = asyncio.current_task()
    except RuntimeError:
        task = None
    return threading.get_ident() if task is None else id(task)


def get_current_scope() -> Scope:
    """The scope of this context."""
    scope = _current_scope.get()
    if scope is not None and scope._home is None:
        return scope
    here = _here()
    if scope is None or scope._home != here:
        scope = Scope() if scope is None else scope.clone()
        scope._home = here
        _current_scope.set(scope)
    return scope


@contextmanager
def push_scope() -> Generator[Scope, None, None]:
    """A copy of the current scope, for the time of a block."""
    before = _current_scope.get()
    scope = get_current_scope().clone()
    token = _current_scope.set(scope)
    try:
        yield scope
    finally:
        try:
            _current_scope.reset(token)
        except ValueError:
            # The block ends in another context than it began in, as that of a generator may.
            _current_scope.set(before)


def set_tag(key: str, value: str) -> None:
    """:meth:`Scope.set_tag` of the current scope."""
    get_current_scope().set_tag(key, value)


def set_extra(key: str, value: Any) -> None:
    """:meth:`Scope.set_extra` of the current scope."""
    get_current_scope().set_extra(key, value)


def set_user(user: User | dict[str, str] | None) -> None:
    """:meth:`Scope.set_user` of the current scope."""
    get_current_scope().set_user(user)


def set_session_id(session_id: str | None) -> None:
    """:meth:`Scope.set_session_id` of the current scope."""
    get_current_scope().set_session_id(session_id)


def add_breadcrumb(crumb: Breadcrumb | dict[str, Any]) -> None:
    """:meth:`Scope.add_breadcrumb` of the current scope."""
    get_current_scope().add_breadcrumb(crumb)

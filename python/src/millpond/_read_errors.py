"""What can go wrong when reading, as exceptions that say what was asked, of whom, and what is wrong."""

from __future__ import annotations


class ReadError(Exception):
    """Something could not be read from the server, or not be handed to it."""

    #: The HTTP status, if the server refused.
    status: int | None
    #: What the server calls the error, such as ``invalid_query``; empty if it gave no name.
    code: str
    #: Whether the same may work later: the server is away, overloaded or slow, rather than of another opinion.
    is_passing: bool

    def __init__(self, message: str, *, status: int | None = None, code: str = "", is_passing: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.is_passing = is_passing


class UnreachableError(ReadError):
    """No answer, or a part of one: the connection could not be made, or broke."""


class ReadTimeoutError(UnreachableError):
    """The server was too slow."""


class RefusedError(ReadError):
    """The server answered that it won't: ``status`` and ``code`` say why."""


class QueryError(RefusedError):
    """The query or a parameter is wrong; the message says where, and what was expected."""


class AccessError(RefusedError):
    """The key is missing, not valid, or lacks the scope."""


class MalformedAnswerError(ReadError):
    """The answer is none of a Millpond server."""


_KINDS: dict[str, type[ReadError]] = {
    "unreachable": UnreachableError,
    "timeout": ReadTimeoutError,
    "refused": RefusedError,
    "malformed": MalformedAnswerError,
}
_STATUSES: dict[int | None, type[ReadError]] = {400: QueryError, 401: AccessError, 403: AccessError}


def failure(kind: str, message: str, status: int | None, code: str, is_passing: bool) -> ReadError:
    """The exception for an error of the engine; the native half asks for it."""
    error = _STATUSES.get(status) or _KINDS.get(kind, ReadError)
    return error(message, status=status, code=code, is_passing=is_passing)

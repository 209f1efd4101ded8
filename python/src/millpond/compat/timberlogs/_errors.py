"""What is raised, or given to ``on_error``, when a request fails: the exceptions of httpx, as with the original, where
httpx can be imported, and otherwise exceptions with the same names and attributes. Nothing here needs httpx."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http.client import responses
from typing import Any, NamedTuple


class Request(NamedTuple):
    """What was asked."""

    method: str
    url: str


class Answer(NamedTuple):
    """What was answered."""

    status_code: int
    text: str
    headers: Mapping[str, str]
    request: Request

    @property
    def content(self) -> bytes:
        """The body as bytes."""
        return self.text.encode()

    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.text)


class TransportError(Exception):
    """There was no answer."""

    def __init__(self, message: str, request: Request) -> None:
        super().__init__(message)
        self.request = request


class HTTPStatusError(Exception):
    """The answer was a refusal."""

    def __init__(self, message: str, *, request: Request, response: Answer) -> None:
        super().__init__(message)
        self.request = request
        self.response = response


def status_error(
    url: str, status: int, body: str, headers: Mapping[str, str] | None = None, message: str = ""
) -> Exception:
    """What stands for an answer that is no success, or, with a ``message``, for what a success refuses in its body."""
    try:
        import httpx
    except ImportError:
        request = Request("POST", url)
        said = f"HTTP {status} {responses.get(status, '')} for url {url!r}"
        return HTTPStatusError(said, request=request, response=Answer(status, body, headers or {}, request))
    answer = httpx.Response(status, text=body, request=httpx.Request("POST", url))
    answer.headers.update(headers or {})
    try:
        answer.raise_for_status()
    except httpx.HTTPStatusError as error:
        return error.with_traceback(None)
    return httpx.HTTPStatusError(message, request=answer.request, response=answer)


def transport_error(url: str, message: str) -> Exception:
    """What stands for an answer that did not come."""
    try:
        import httpx
    except ImportError:
        return TransportError(message, Request("POST", url))
    kind = httpx.ReadTimeout if "timeout" in message or "timed out" in message else httpx.ConnectError
    return kind(message, request=httpx.Request("POST", url))

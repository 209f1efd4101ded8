"""Failures of requests, as the exceptions that callers of the original catch."""

from __future__ import annotations

import io
import sys
import urllib.error
from collections.abc import Callable, Mapping
from email.message import Message
from functools import partial
from http.client import responses

from millpond import Failure


def http_error(url: str, status: int, body: str, headers: Mapping[str, str]) -> urllib.error.HTTPError:
    """An answer that is no success."""
    answered = Message()
    for name, value in headers.items():
        answered[name] = value
    reason = responses.get(status, "")
    return urllib.error.HTTPError(url, status, reason, answered, io.BytesIO(body.encode("utf-8", "replace")))


class Reporter:
    """Tells ``on_error`` of each request that failed. It knows no client, which would never end for it."""

    def __init__(self, package: str, url: str, on_error: Callable[[Exception], None] | None) -> None:
        self._url = url
        self._on_error = on_error or partial(_complain, package)

    def __call__(self, failure: Failure) -> None:
        error: Exception
        if failure.status is None:
            error = urllib.error.URLError(ConnectionError(failure.message))
        else:
            error = http_error(self._url, failure.status, failure.body, {})
        self._on_error(error)


def _complain(package: str, error: Exception) -> None:
    try:
        print(f"[{package}] {error}", file=sys.stderr, flush=True)
    except (AttributeError, OSError, ValueError):
        pass  # There is no stderr, or it is closed.

"""The exceptions of requests that failed: those of requests or aiohttp, where they are installed, since that is what
callers catch; otherwise ones of the same name and attributes."""

from __future__ import annotations

import importlib
import json
from typing import Any, cast

from millpond import RefusedError, Response


class HTTPError(OSError):
    """The server answered with an error; ``response`` has ``status_code``, ``text``, ``headers`` and ``json()``."""

    def __init__(self, message: str, response: FailedResponse) -> None:
        super().__init__(message)
        self.response = response
        self.request: Any = None


class FailedResponse:
    """As much of a response of requests as an error needs."""

    def __init__(self, url: str, answer: Response) -> None:
        self.url = url
        self.status_code = answer.status
        self.text = answer.body
        self.headers = answer.headers
        self.ok = False

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.text)


class ClientResponseError(Exception):
    """The server answered an async client with an error."""

    def __init__(self, url: str, answer: Response) -> None:
        super().__init__(_described(url, answer))
        self.status = answer.status
        self.message = answer.body
        self.headers = answer.headers


def refusal(error: RefusedError) -> Response:
    """The answer that a stream was refused with."""
    return Response(error.status or 0, str(error), {})


def http_error(url: str, answer: Response) -> Exception:
    """What a sync client raises."""
    message = _described(url, answer)
    requests = _installed("requests")
    if requests is None:
        return HTTPError(message, FailedResponse(url, answer))
    response = requests.Response()
    response.status_code = answer.status
    response.url = url
    response.headers.update(answer.headers)
    response.encoding = "utf-8"
    response._content = answer.body.encode()
    return _exception(requests.HTTPError(message, response=response))


def response_error(url: str, answer: Response) -> Exception:
    """What an async client raises."""
    aiohttp, multidict, yarl = map(_installed, ("aiohttp", "multidict", "yarl"))
    if aiohttp is None or multidict is None or yarl is None:
        return ClientResponseError(url, answer)
    headers = multidict.CIMultiDict(answer.headers)
    address = yarl.URL(url)
    asked = aiohttp.RequestInfo(address, "GET", multidict.CIMultiDictProxy(multidict.CIMultiDict()), address)
    failed = aiohttp.ClientResponseError(asked, (), status=answer.status, message=answer.body[:200], headers=headers)
    return _exception(failed)


def connection_error(error: ConnectionError) -> Exception:
    """What a sync client raises when there was no answer."""
    requests = _installed("requests")
    return error if requests is None else _exception(requests.ConnectionError(str(error)))


def client_connection_error(error: ConnectionError) -> Exception:
    """What an async client raises when there was no answer."""
    aiohttp = _installed("aiohttp")
    return error if aiohttp is None else _exception(aiohttp.ClientConnectionError(str(error)))


def _installed(name: str) -> Any:
    """The module; ``None`` if it is not there. None of them is needed for anything but its exceptions."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def _exception(made: Any) -> Exception:
    return cast(Exception, made)


def _described(url: str, answer: Response) -> str:
    place = url.partition("?")[0]
    return f"{answer.status} for {place}: {answer.body[:200]}"

"""What the tests of the drop-in for logiscout-logger share."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from millpond.compat import logiscout_logger as logiscout
from millpond.compat.logiscout_logger import _setup
from recorder import Recorder

log = logiscout.get_logger("shop.orders")


@contextlib.contextmanager
def not_set_up() -> Iterator[None]:
    """Undoes what ``init`` and structlog's variables are in the block, as a process of its own would."""
    structlog.contextvars.clear_contextvars()
    yield
    _setup.use(_setup.NONE)
    structlog.contextvars.clear_contextvars()


@contextlib.contextmanager
def in_production(server: Recorder, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    monkeypatch.setenv("MILLPOND_ENDPOINT", server.url)
    with not_set_up():
        logiscout.init(api_token="lgs_token", service_name="shop", env=logiscout.PROD)
        transport = _setup.current().transport
        assert transport is not None
        yield server
        transport._shipper.close(5)


def payloads(server: Recorder) -> list[dict[str, Any]]:
    """All so far."""
    manager = _setup.current().batch_manager
    assert manager is not None
    manager.flush()
    return [payload for body in server.records for payload in body["payloads"]]


def the_payload(server: Recorder) -> dict[str, Any]:
    """The only one."""
    (payload,) = payloads(server)
    return payload


def messages(payload: dict[str, Any]) -> list[str]:
    return [entry["message"] for entry in payload["logs"]]


def wsgi(app: Any, **environ: Any) -> tuple[bytes, list[tuple[str, str]]]:
    """The body and the headers of the answer to one request."""
    started: list[Any] = []
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/orders", **environ}
    response = logiscout.wsgiConfiguration(app)(environ, lambda *given: started.append(given))
    body = b"".join(response)
    response.close()  # type: ignore[attr-defined]
    return body, started[0][1]


def answer(environ: Any, start_response: Any) -> list[bytes]:
    log.info("answered")
    start_response("200 OK", [])
    return [b"ok"]


async def asgi(app: Any, **scope: Any) -> list[Any]:
    """What one request is answered with."""
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/orders", "headers": [], **scope}
    await logiscout.asgiConfiguration(app)(scope, receive, send)
    return sent


async def asgi_answer(scope: Any, receive: Any, send: Any) -> None:
    log.info("answered")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})

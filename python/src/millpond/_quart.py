"""Request logging for Quart: ASGI, with what Quart alone knows, the rule of the URL and the exception behind a 500."""

from __future__ import annotations

from typing import Any

import quart

from millpond.middleware import ASGIMiddleware
from millpond.middleware._request import KEY, Exchange


def init_app(app: quart.Quart, **options: Any) -> None:
    """Has each request of the application recorded. Calling it twice does no harm; the first call's options stay."""
    if "millpond" in app.extensions:
        return
    middleware = ASGIMiddleware(app.asgi_app, **options)  # type: ignore[arg-type]
    app.extensions["millpond"] = middleware
    app.asgi_app = middleware  # type: ignore[assignment]
    quart.got_request_exception.connect(_on_exception, app)
    quart.request_finished.connect(_on_finished, app)


def _exchange() -> Exchange | None:
    exchange = quart.request.scope.get(KEY)
    return exchange if isinstance(exchange, Exchange) else None


async def _on_exception(_sender: object, exception: BaseException, **_more: Any) -> None:
    exchange = _exchange()
    if exchange is not None:
        exchange.error = exception


async def _on_finished(_sender: object, **_more: Any) -> None:
    exchange, rule = _exchange(), quart.request.url_rule
    if exchange is not None and rule is not None:
        exchange.route = rule.rule
        exchange.fields["endpoint"] = rule.endpoint

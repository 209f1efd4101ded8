"""Request logging for Flask.

>>> import flask, millpond.flask
>>> app = flask.Flask(__name__)
>>> millpond.flask.init_app(app)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import flask

from millpond.middleware._request import KEY, Exchange, RequestOptions
from millpond.middleware.wsgi import WSGIMiddleware

if TYPE_CHECKING:
    from typing_extensions import Unpack


def init_app(app: flask.Flask, **options: Unpack[RequestOptions]) -> None:
    """Has each request of the application recorded, with the rule of its URL as ``route`` and its ``endpoint``, and
    with the exception that Flask answers with 500. What Flask does with exceptions stays as it is. Calling it twice
    does no harm; the first call's options stay.

    :param app: the application.
    :param options: see :class:`~millpond.middleware.RequestOptions`.
    :raises ConfigurationError: an option has a value that it can't have.
    """
    if "millpond" in app.extensions:
        return
    middleware = WSGIMiddleware(app.wsgi_app, **options)
    app.extensions["millpond"] = middleware
    app.wsgi_app = middleware  # type: ignore[method-assign]
    flask.request_started.connect(_on_request, app)
    flask.got_request_exception.connect(_on_exception, app)


def _on_request(_sender: object, **_more: Any) -> None:
    """Flask tells it when the URL is matched, before anything of the application is called."""
    exchange, rule = flask.request.environ.get(KEY), flask.request.url_rule
    if isinstance(exchange, Exchange) and rule is not None:
        exchange.route = rule.rule
        exchange.fields["endpoint"] = rule.endpoint


def _on_exception(_sender: object, exception: BaseException, **_more: Any) -> None:
    """Flask tells of each exception that nobody handled, before it answers with 500 or raises it on."""
    exchange = flask.request.environ.get(KEY)
    if isinstance(exchange, Exchange):
        exchange.error = exception


__all__ = ["init_app"]

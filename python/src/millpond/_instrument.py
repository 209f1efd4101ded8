"""Tells the framework of an application by its class, and has its requests recorded. Imports no framework that the
application did not import."""

from __future__ import annotations

from typing import Any

from millpond._config import ConfigurationError

#: Set on a Starlette application that is instrumented.
_MARK = "_millpond"


def instrument(app: Any, **options: Any) -> None:
    """Has the requests of an application recorded, which then belongs to Flask, Quart, FastAPI or Starlette. Calling it
    twice does no harm; the first call's options stay. An application that serves already is recorded from now on.

    :param app: the application itself, not something wrapped around it.
    :param options: see :class:`~millpond.middleware.RequestOptions`.
    :raises ConfigurationError: it is something else; the error says what to do. Or an option has a value that it can't
        have.
    """
    kinds = {f"{kind.__module__.partition('.')[0]}.{kind.__name__}" for kind in type(app).__mro__}
    # Quart is Flask's cousin, FastAPI is Starlette's child.
    if "quart.Quart" in kinds:
        from millpond import _quart

        _quart.init_app(app, **options)
    elif "flask.Flask" in kinds:
        from millpond import flask

        flask.init_app(app, **options)
    elif "starlette.Starlette" in kinds:
        _instrument_starlette(app, options)
    else:
        raise ConfigurationError(_refusal(app, kinds))


def _instrument_starlette(app: Any, options: dict[str, Any]) -> None:
    """Around the whole stack, for what ``add_middleware`` adds is inside of the one that answers exceptions with 500,
    and would not give that answer its headers."""
    from millpond.middleware import ASGIMiddleware

    if _MARK in app.__dict__:
        return
    if any(getattr(added, "cls", None) is ASGIMiddleware for added in app.user_middleware):
        return
    # Wrong options fail here and now.
    ASGIMiddleware(app, **options)
    build = app.build_middleware_stack

    def build_middleware_stack() -> Any:
        return ASGIMiddleware(build(), **options)

    app.__dict__[_MARK] = True
    app.build_middleware_stack = build_middleware_stack
    if app.middleware_stack is not None:
        app.middleware_stack = ASGIMiddleware(app.middleware_stack, **options)


def _refusal(app: Any, kinds: set[str]) -> str:
    shown = f"{type(app).__module__}.{type(app).__qualname__}"
    if any(kind.startswith("django.") for kind in kinds):
        return (
            f"init(app=…) is Django's {shown}, which has read its settings already: put `import millpond.django` and "
            "`millpond.django.install(globals())` at the end of settings.py instead"
        )
    if callable(app):
        return (
            f"init(app=…) is {shown}, expected an application of Flask, Quart, FastAPI or Starlette; wrap any other "
            "yourself: app = millpond.middleware.ASGIMiddleware(app), or WSGIMiddleware(app)"
        )
    return f"init(app=…) is {shown}, expected an application of Flask, Quart, FastAPI or Starlette"


__all__ = ["instrument"]

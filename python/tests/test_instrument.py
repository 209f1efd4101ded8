"""``instrument``: tells the framework by the class of the application, and imports none."""

from __future__ import annotations

import asyncio
from typing import Any

import fastapi
import flask
import httpx
import pytest
import quart
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

import millpond
from conftest import Program
from millpond._instrument import instrument
from millpond.middleware import ASGIMiddleware
from recorder import Recorder
from web import logged, requests, the_request

log = millpond.get_logger("app")


async def get(app: Any, path: str) -> httpx.Response:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as http:
        return await http.get(path)


def starlette_app() -> Starlette:
    async def order(request: Any) -> PlainTextResponse:
        log.info("looked up")
        if request.path_params["number"] == "500":
            raise ZeroDivisionError
        return PlainTextResponse("ok")

    routes = [Route("/orders/{number}", order)]
    return Starlette(routes=[*routes, Mount("/mounted", app=Starlette(routes=routes))])


def fastapi_app() -> fastapi.FastAPI:
    app, mounted = fastapi.FastAPI(), fastapi.FastAPI()

    def order(number: int) -> str:
        log.info("looked up")
        return str(1 // (500 - number))

    for each in (app, mounted):
        each.get("/orders/{number}")(order)
    app.mount("/mounted", mounted)
    return app


@pytest.mark.parametrize("make", [starlette_app, fastapi_app])
def test_starlette_and_fastapi_are_recorded_with_the_answer_to_a_failure(client: Recorder, make: Any) -> None:
    app = make()
    instrument(app)
    instrument(app)
    for path in ("/orders/7", "/mounted/orders/7"):
        assert asyncio.run(get(app, path)).status_code == 200
    failed = asyncio.run(get(app, "/orders/500"))
    assert failed.status_code == 500
    *good, bad = requests(client)
    assert [record["fields"]["route"] for record in good] == ["/orders/{number}", "/mounted/orders/{number}"]
    assert failed.headers["x-request-id"] == bad["request_id"]
    assert (bad["level"], bad["exception"]["type"]) == ("error", "ZeroDivisionError")
    assert len({record["request_id"] for record in logged(client)}) == 3


@pytest.mark.parametrize("make", [starlette_app, fastapi_app])
def test_an_application_that_serves_already_is_recorded_from_now_on(client: Recorder, make: Any) -> None:
    app = make()
    asyncio.run(get(app, "/orders/7"))
    instrument(app)
    asyncio.run(get(app, "/orders/8"))
    assert the_request(client)["fields"]["path"] == "/orders/8"


def test_a_middleware_that_is_there_already_stays_the_only_one(client: Recorder) -> None:
    app = starlette_app()
    app.add_middleware(ASGIMiddleware)
    instrument(app)
    asyncio.run(get(app, "/orders/7"))
    the_request(client)


def test_middlewares_may_be_added_afterwards(client: Recorder) -> None:
    app = fastapi_app()
    instrument(app)

    @app.middleware("http")
    async def refuse(_request: fastapi.Request, _call_next: Any) -> fastapi.Response:
        log.info("refused")
        return fastapi.Response(status_code=401)

    asyncio.run(get(app, "/orders/7"))
    refused, outer = logged(client)
    assert (outer["fields"]["status"], outer["request_id"]) == (401, refused["request_id"])


def test_flask_is_recorded(client: Recorder) -> None:
    class Shop(flask.Flask):
        pass

    app = Shop("shop")
    app.get("/orders/<int:number>")(str)
    app.add_url_rule("/x/<int:number>", view_func=lambda number: str(number))
    instrument(app)
    instrument(app)
    assert app.test_client().get("/x/7", buffered=True).status_code == 200
    assert the_request(client)["fields"]["route"] == "/x/<int:number>"


def test_quart_is_recorded_with_its_exceptions(client: Recorder) -> None:
    app = quart.Quart("shop")

    @app.get("/orders/<int:number>")
    async def order(number: int) -> str:
        log.info("looked up")
        return str(1 // (500 - number))

    instrument(app)
    instrument(app)

    async def both() -> list[int]:
        http = app.test_client()
        return [(await http.get(f"/orders/{number}")).status_code for number in (7, 500)]

    assert asyncio.run(both()) == [200, 500]
    good, bad = requests(client)
    assert (good["fields"]["route"], good["fields"]["endpoint"]) == ("/orders/<int:number>", "order")
    assert (bad["level"], bad["exception"]["type"]) == ("error", "ZeroDivisionError")
    assert len({record["request_id"] for record in logged(client)}) == 2


def test_options_are_checked_at_once() -> None:
    for app in (starlette_app(), flask.Flask("shop"), quart.Quart("shop")):
        with pytest.raises(millpond.ConfigurationError, match="trusted_proxies"):
            instrument(app, trusted_proxies="nonsense")
        with pytest.raises(TypeError):
            instrument(app, skip_path="/")
        # Nothing was done by halves.
        instrument(app)


@pytest.mark.parametrize(
    ("app", "advice"),
    [
        (lambda _environ, _start_response: [], "WSGIMiddleware"),
        (ASGIMiddleware(starlette_app()), "ASGIMiddleware"),
        (WSGIHandler, "ASGIMiddleware"),
        (WSGIHandler.__new__(WSGIHandler), "settings.py"),
        (ASGIHandler.__new__(ASGIHandler), "millpond.django.install"),
        ("shop:app", "expected an application of Flask"),
        (None, "expected an application of Flask"),
    ],
)
def test_anything_else_is_refused_with_advice(app: Any, advice: str) -> None:
    with pytest.raises(millpond.ConfigurationError, match=advice):
        instrument(app)


@pytest.mark.parametrize(
    ("module", "name", "others"),
    [
        ("flask", "Flask('x')", ("starlette", "quart", "django")),
        ("starlette.applications", "Starlette()", ("fastapi", "flask", "quart", "django")),
    ],
)
def test_no_framework_is_imported_that_was_not(program: Program, module: str, name: str, others: Any) -> None:
    program.run(
        f"""
        import sys
        import millpond.middleware
        from millpond._instrument import instrument
        assert not {{"flask", "starlette", "quart", "django", "asyncio"}} & set(sys.modules)
        import {module}
        instrument({module}.{name})
        assert not set({others!r}) & set(sys.modules)
        """
    )

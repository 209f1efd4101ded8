"""A shop as an application of Django, as WSGI or ASGI, asked a few times."""

from __future__ import annotations

import asyncio
import sys
from typing import Any
from wsgiref.util import setup_testing_defaults

import django
from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.urls import path
from given import KEY, report
from logiscout_logger import PROD, asgiConfiguration, get_logger, init, wsgiConfiguration

init(api_token=KEY, service_name="shop", env=PROD)
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="x", LOGGING_CONFIG=None)
django.setup()
log = get_logger("views")


def order(request: HttpRequest, number: int) -> JsonResponse:
    log.info("Processing request", number=number)
    return JsonResponse({"status": "ok"})


def broken(request: HttpRequest) -> JsonResponse:
    log.error("Breaking")
    raise RuntimeError("broken")


urlpatterns = [path("orders/<int:number>", order), path("broken", broken)]
PATHS = ("/orders/7", "/nowhere", "/broken")


def by_wsgi() -> list[Any]:
    from django.core.wsgi import get_wsgi_application

    application = wsgiConfiguration(get_wsgi_application())
    answers: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], *_: Any) -> None:
        answers.append([int(status[:3]), {name.lower(): value for name, value in headers}.get("x-correlation-id")])

    for asked in PATHS:
        environ: dict[str, Any] = {"PATH_INFO": asked}
        setup_testing_defaults(environ)
        response = application(environ, start_response)
        b"".join(response)
        getattr(response, "close", lambda: None)()
    return answers


async def by_asgi() -> list[Any]:
    import httpx
    from django.core.asgi import get_asgi_application

    transport = httpx.ASGITransport(app=asgiConfiguration(get_asgi_application()))
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        answers = [await client.get(asked) for asked in PATHS]
    return [[answer.status_code, answer.headers.get("x-correlation-id")] for answer in answers]


report(by_wsgi() if sys.argv[1] == "wsgi" else asyncio.run(by_asgi()))

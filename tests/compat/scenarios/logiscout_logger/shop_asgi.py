"""A shop as an application of FastAPI or Starlette, asked a few times."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import httpx
from fastapi import BackgroundTasks, FastAPI
from given import KEY, report
from logiscout_logger import PROD, asgiConfiguration, get_logger, init
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.routing import Route

init(api_token=KEY, service_name="shop", env=PROD)
log = get_logger("api")


def fastapi_app() -> Any:
    app = FastAPI()
    app.add_middleware(asgiConfiguration)

    @app.get("/users/{user_id}")
    async def user(user_id: int, tasks: BackgroundTasks) -> dict[str, int]:
        log.info("Fetching user", user_id=user_id)
        tasks.add_task(lambda: log.info("In the background"))
        return {"user_id": user_id}

    @app.get("/sync")
    def sync() -> str:
        log.info("In a thread of the pool")
        return "ok"

    @app.get("/quiet")
    async def quiet() -> str:
        return "ok"

    @app.get("/broken")
    async def broken() -> None:
        log.error("Breaking")
        raise RuntimeError("broken")

    return app


def starlette_app() -> Any:
    async def user(request: Any) -> JSONResponse:
        log.info("Fetching user", user_id=request.path_params["user_id"])
        return JSONResponse({})

    async def sync(request: Any) -> JSONResponse:
        await run_in_threadpool(log.info, "In a thread of the pool")
        return JSONResponse({})

    async def quiet(request: Any) -> JSONResponse:
        return JSONResponse({})

    async def broken(request: Any) -> JSONResponse:
        log.error("Breaking")
        raise RuntimeError("broken")

    routes = [Route("/users/{user_id:int}", user), Route("/sync", sync), Route("/quiet", quiet)]
    return Starlette(routes=[*routes, Route("/broken", broken)], middleware=[Middleware(asgiConfiguration)])


async def main(app: Any) -> None:
    answers = []
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        for path in ("/users/7?verbose=1", "/sync", "/quiet", "/nowhere", "/broken"):
            headers = {"X-Correlation-ID": "given-1"} if path == "/sync" else {}
            answer = await client.get(path, headers=headers)
            answers.append([answer.status_code, answer.headers.get("x-correlation-id")])
    report(answers)


asyncio.run(main({"fastapi": fastapi_app, "starlette": starlette_app}[sys.argv[1]]()))

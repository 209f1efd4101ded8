"""Starlette or FastAPI (the argument) behind its middleware, asked over ASGI."""

import asyncio
import sys

from given import ADDRESS, KEY, report
from logtide_sdk import ClientOptions, LogTideClient, set_tag

client = LogTideClient(ClientOptions(api_url=ADDRESS, api_key=KEY, flush_interval=0))


def starlette_app():
    from logtide_sdk.middleware import LogTideStarletteMiddleware
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    async def orders(request):
        set_tag("view", "orders")
        client.info("asgi-api", "in the view")
        return JSONResponse({"orders": [1]})

    async def missing(request):
        raise HTTPException(404)

    async def fails(request):
        raise ValueError("no such order")

    routes = [Route("/orders", orders), Route("/missing", missing), Route("/fails", fails), Route("/health", orders)]
    return Starlette(routes=routes), LogTideStarletteMiddleware


def fastapi_app():
    from fastapi import FastAPI, HTTPException
    from logtide_sdk.middleware import LogTideFastAPIMiddleware

    made = FastAPI()

    @made.get("/orders")
    def orders():
        set_tag("view", "orders")
        client.info("asgi-api", "in the view")
        return {"orders": [1]}

    @made.get("/missing")
    async def missing():
        raise HTTPException(404)

    @made.get("/fails")
    async def fails():
        raise ValueError("no such order")

    @made.get("/health")
    def health():
        return "ok"

    return made, LogTideFastAPIMiddleware


async def asked(app, path, headers):
    """The status; or the name of what the application raised, as a server sees it."""
    sent = []
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b"secret=1"}
    scope |= {"headers": pairs, "client": ("10.0.0.1", 4711), "server": ("shop", 80), "scheme": "http"}
    scope |= {"http_version": "1.1", "asgi": {"version": "3.0"}, "root_path": ""}
    done = asyncio.Event()

    async def receive():
        if done.is_set():
            await asyncio.Event().wait()
        done.set()
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    try:
        await app(scope, receive, send)
    except Exception as error:
        return [type(error).__name__, sent[0]["status"]]
    return sent[0]["status"]


async def main():
    app, middleware = {"starlette": starlette_app, "fastapi": fastapi_app}[sys.argv[1]]()
    app.add_middleware(middleware, client=client, service_name="asgi-api", skip_paths=["/metrics"])
    trace = {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"}
    seen = [await asked(app, path, trace) for path in ("/orders", "/missing", "/nowhere", "/fails")]
    seen += [await asked(app, path, {}) for path in ("/health", "/healthz", "/docs", "/openapi.json", "/metrics")]
    seen.append(await asked(app, "/orders", {"x-trace-id": "legacy", "x-forwarded-for": "1.2.3.4, 5.6.7.8"}))
    again, _ = {"starlette": starlette_app, "fastapi": fastapi_app}[sys.argv[1]]()
    again.add_middleware(middleware, client=client, service_name="asgi-api", include_headers=True, log_responses=False)
    secret = {"authorization": "Bearer hunter2", "x-shop": "a", "x-trace-id": "full"}
    seen.append(await asked(again, "/orders", secret))
    client.close()
    report(seen)


asyncio.run(main())

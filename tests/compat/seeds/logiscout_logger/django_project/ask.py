"""The Django sample, and a request to it by WSGI and by ASGI."""

import asyncio
from wsgiref.util import setup_testing_defaults

import httpx


async def by_asgi():
    from myproject.asgi import application

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=application), base_url="http://app") as client:
        assert (await client.get("/mine?by=asgi")).json() == {"status": "ok"}


def by_wsgi():
    from myproject.wsgi import application

    environ = {"PATH_INFO": "/mine"}
    setup_testing_defaults(environ)
    response = application(environ, lambda *_: None)
    assert b"".join(response) == b'{"status": "ok"}'
    response.close()


by_wsgi()
asyncio.run(by_asgi())

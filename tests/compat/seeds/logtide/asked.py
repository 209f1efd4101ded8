"""Asks an ASGI application, as a server does."""

import asyncio


def ask(app, path):
    scope = {
        'type': 'http', 'method': 'GET', 'path': path, 'raw_path': path.encode(), 'query_string': b'',
        'headers': [], 'client': ('10.0.0.1', 4711), 'server': ('shop', 80), 'scheme': 'http',
        'http_version': '1.1', 'asgi': {'version': '3.0'}, 'root_path': '',
    }

    async def main():
        requests = asyncio.Queue()
        requests.put_nowait({'type': 'http.request', 'body': b'', 'more_body': False})

        async def send(message):
            pass

        await app(scope, requests.get, send)

    asyncio.run(main())

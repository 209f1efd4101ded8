"""What callers catch when a key is refused, or there is no server."""

import asyncio

import aiohttp
import requests
from given import ADDRESS, KEY, report
from logtide_sdk import AsyncLogTideClient, ClientOptions, LogTideClient, QueryOptions

NOBODY = "http://127.0.0.1:9"


def sync(address):
    client = LogTideClient(ClientOptions(api_url=address, api_key=KEY, flush_interval=0))
    try:
        client.query(QueryOptions())
    except requests.HTTPError as error:
        return error.response.status_code
    except requests.ConnectionError:
        return True


async def asynchronous(address):
    async with AsyncLogTideClient(ClientOptions(api_url=address, api_key=KEY, flush_interval=0)) as client:
        try:
            await client.query(QueryOptions())
        except aiohttp.ClientResponseError as error:
            return error.status
        except aiohttp.ClientConnectionError:
            return True


report(
    [
        sync(ADDRESS),
        asyncio.run(asynchronous(ADDRESS)),
        sync(NOBODY),
        asyncio.run(asynchronous(NOBODY)),
    ]
)

import asyncio

from given import ADDRESS, KEY

from millpond.compat.logtide_sdk import AsyncLogTideClient, ClientOptions

async def main():
    async with AsyncLogTideClient(ClientOptions(
        api_url=ADDRESS,
        api_key=KEY,
    )) as client:
        await client.info('my-service', 'Hello from async!')
        await client.error('my-service', 'Something failed', Exception('oops'))

asyncio.run(main())


async def by_hand():
    options = ClientOptions(api_url=ADDRESS, api_key=KEY)
    client = AsyncLogTideClient(options)
    await client.start()   # starts background flush loop
    try:
        await client.info('svc', 'message')
    finally:
        await client.close()

asyncio.run(by_hand())

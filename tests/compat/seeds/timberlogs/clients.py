"""Configuration, flushing, and clients as context managers."""

import asyncio
import os

from given import KEY

from millpond.compat.timberlogs import create_timberlogs

timber = create_timberlogs(
    source="my-app",
    environment=os.getenv("ENVIRONMENT", "development"),
    api_key=KEY,
    dataset="clients",
    version="2.0.0",
    user_id="u1",
    session_id="s1",
    batch_size=50,
    flush_interval=2.5,
    min_level="info",
    on_error=lambda error: print(error),
    max_retries=5,
    initial_delay_ms=100,
    max_delay_ms=5000,
)
timber.debug("Filtered")
timber.info("Configured")
timber.flush()
timber.disconnect()

with create_timberlogs(source="my-app", environment="development", api_key=KEY) as timber:
    timber.info("In a block")


async def main():
    async with create_timberlogs(source="my-app", environment="development", api_key=KEY) as timber:
        timber.info("In an async block")
        await timber.flush_async()
    timber = create_timberlogs(source="my-app", environment="development", api_key=KEY)
    timber.info("By hand")
    await timber.disconnect_async()


asyncio.run(main())

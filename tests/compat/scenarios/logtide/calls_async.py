"""Every way to log with the async client."""

import asyncio

from given import ADDRESS, KEY, report
from logtide_sdk import AsyncLogTideClient, ClientOptions, LogEntry, LogLevel, push_scope


def options(**more):
    return ClientOptions(api_url=ADDRESS, api_key=KEY, flush_interval=0, service="own", **more)


async def in_a_task(client, name):
    with push_scope() as scope:
        scope.set_tag("task", name)
        await asyncio.sleep(0)
        await client.info("svc", f"task {name}")


async def main():
    async with AsyncLogTideClient(options(global_metadata={"env": "test"})) as client:
        for level in ("debug", "info", "warn", "error", "critical"):
            await getattr(client, level)("svc", level, {"n": 1})
        await client.error("svc", "an exception", ValueError("no"))
        await client.info("without service", {"n": 2}, trace_id="explicit", span_id="cd" * 8)
        await client.log(LogEntry("svc", LogLevel.INFO, "an entry"))
        client.set_trace_id("set")
        await client.info("svc", "set")
        client.set_trace_id(None)
        await in_a_task(client, "a")
        await client.flush()
        sent = client.get_metrics().logs_sent
        state = client.get_circuit_breaker_state()
        client.reset_metrics()
    await client.info("svc", "after the end")

    by_hand = AsyncLogTideClient(options())
    await by_hand.start()
    try:
        await by_hand.info("svc", "by hand")
    finally:
        await by_hand.close()
    await by_hand.close()
    report([sent, state, client.get_trace_id()])


asyncio.run(main())

"""Live tail with both clients, while logs come; reports what callbacks saw."""

import asyncio
import queue
import sys

from given import ADDRESS, KEY, report
from logtide_sdk import AsyncLogTideClient, ClientOptions, LogTideClient

#: How many logs are waited for; what is sent is the test's business, or ours.
COUNT = int(sys.argv[1])
SENDS = sys.argv[2] == "sends"
FILTERS = {"service": "svc", "level": "error"}


def options():
    return ClientOptions(api_url=ADDRESS, api_key=KEY, flush_interval=0)


def line(log):
    return [log["level"], log["service"], log["message"], log["metadata"], "time" in log]


def sync():
    client, heard, failed = LogTideClient(options()), queue.Queue(), queue.Queue()

    def on_log(log):
        heard.put(line(log))
        if log["message"].endswith("raise"):
            raise RuntimeError("a callback that raises")

    stop = client.stream(on_log, failed.put, FILTERS)
    found = []
    while len(found) < COUNT:
        if SENDS:
            client.info("svc", "not asked for")
            client.error("svc", "sync")
            client.flush()
        try:
            found.append(heard.get(timeout=0.2 if SENDS else 20))
        except queue.Empty:
            pass
    errors = [type(failed.get(timeout=20)).__name__] if not SENDS else []
    stop()
    stop()
    client.close()
    return [found, errors]


async def asynchronous():
    heard = asyncio.Queue()
    async with AsyncLogTideClient(options()) as client:
        task = asyncio.create_task(client.stream(lambda log: heard.put_nowait(line(log)), filters=FILTERS))
        found = []
        while len(found) < COUNT:
            if SENDS:
                await client.error("svc", "async")
                await client.flush()
            try:
                found.append(await asyncio.wait_for(heard.get(), 0.2 if SENDS else 20))
            except asyncio.TimeoutError:
                pass
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            return found


report({"sync": sync(), "async": asyncio.run(asynchronous())})

"""Reading with both clients; what the server answers is the test's business."""

import asyncio
from datetime import datetime, timedelta, timezone

from given import ADDRESS, KEY, report
from logtide_sdk import AggregatedStatsOptions, AsyncLogTideClient, ClientOptions, LogLevel, LogTideClient, QueryOptions

BEGIN = datetime(2026, 1, 2, 3, tzinfo=timezone.utc)
END = datetime(2026, 1, 2, 6, tzinfo=timezone(timedelta(hours=2)))
QUERIES = [
    QueryOptions(),
    QueryOptions("a b", LogLevel.ERROR, BEGIN, END, 5, 10, "x&y"),
    QueryOptions(service="", q=""),
]
STATS = AggregatedStatsOptions(BEGIN, END, service="svc")


def options():
    return ClientOptions(api_url=ADDRESS, api_key=KEY, flush_interval=0)


def sync():
    client = LogTideClient(options())
    found = [client.query(query) for query in QUERIES]
    trace = client.get_by_trace_id("trace-1")
    stats = client.get_aggregated_stats(STATS)
    client.close()
    return [[[one.logs, one.total] for one in found], trace, vars(stats)]


async def asynchronous():
    async with AsyncLogTideClient(options()) as client:
        found = [await client.query(query) for query in QUERIES]
        trace = await client.get_by_trace_id("trace-1")
        stats = await client.get_aggregated_stats(STATS)
    return [[[one.logs, one.total] for one in found], trace, vars(stats)]


report({"sync": sync(), "async": asyncio.run(asynchronous())})

"""Writes, then reads it back with every method of both clients. Times are without a zone, as on LogTide's page."""

import asyncio
from datetime import datetime, timedelta

from given import ADDRESS, KEY, VARIANT, report
from logtide_sdk import AggregatedStatsOptions, AsyncLogTideClient, ClientOptions, LogLevel, LogTideClient, QueryOptions

# The server takes times without a zone as UTC; the drop-in knows that `now()` means this machine's.
BEGIN, END = datetime.now() - timedelta(days=1), datetime.now() + timedelta(days=1)
QUERIES = {
    "all": QueryOptions(limit=2),
    "more": QueryOptions(limit=2, offset=2),
    "service": QueryOptions(service="other"),
    "level": QueryOptions(level=LogLevel.ERROR),
    "text": QueryOptions(q="timeout"),
    "times": QueryOptions(from_time=BEGIN, to_time=END),
    "past": QueryOptions(from_time=BEGIN, to_time=BEGIN + timedelta(hours=1)),
}
STATS = AggregatedStatsOptions(BEGIN, END, interval="1d")


def options(**more):
    return ClientOptions(api_url=ADDRESS, api_key=KEY, flush_interval=0, **more)


def shown(log):
    return {name: log[name] for name in log if name not in ("id", "projectId", "time")}


def page(found):
    return [[shown(log) for log in found.logs], found.total]


def statistics(stats):
    points = [[point["total"], point["by_level"]] for point in stats.timeseries if point["total"]]
    errors = [{name: error[name] for name in ("message", "count")} for error in stats.top_errors]
    return [points, stats.top_services, errors]


def unwrapped(logs):
    return logs if VARIANT == "ours" else logs["logs"]


def sync():
    client = LogTideClient(options())
    for n in range(3):
        client.info("svc", f"number {n}", {"n": n}, trace_id="trace/1")
    client.error("other", "timeout of the database", ValueError("no"), trace_id="trace/1")
    client.flush()
    found = {name: page(client.query(query)) for name, query in QUERIES.items()}
    trace = [shown(log) for log in unwrapped(client.get_by_trace_id("trace/1" if VARIANT == "ours" else "trace%2F1"))]
    stats = statistics(client.get_aggregated_stats(STATS))
    client.close()
    return [found, trace, stats]


async def asynchronous():
    async with AsyncLogTideClient(options()) as client:
        found = {name: page(await client.query(query)) for name, query in QUERIES.items()}
        trace = [shown(log) for log in unwrapped(await client.get_by_trace_id("nothing"))]
        stats = statistics(await client.get_aggregated_stats(STATS))
    return [found, trace, stats]


def refused():
    wrong = LogTideClient(ClientOptions(api_url=ADDRESS, api_key="wrong", flush_interval=0))
    try:
        wrong.query(QueryOptions())
    except OSError as error:
        return [type(error).__name__, error.response.status_code]
    finally:
        wrong.close()


async def refused_async():
    async with AsyncLogTideClient(ClientOptions(api_url=ADDRESS, api_key="wrong", flush_interval=0)) as client:
        try:
            await client.query(QueryOptions())
        except Exception as error:
            return [type(error).__name__, error.status]


report({"sync": sync(), "async": asyncio.run(asynchronous()), "refused": [refused(), asyncio.run(refused_async())]})

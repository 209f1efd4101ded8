"""Every call that is awaited."""

from __future__ import annotations

import asyncio

from given import KEY, report
from timberlogs import IngestRawOptions, create_timberlogs


async def main() -> None:
    seen = {}
    async with create_timberlogs("worker", "development", api_key=KEY, flush_interval=0) as timber:
        timber.info("started")
        flow = await timber.flow_async("nightly")
        seen["flow"] = [flow.name, flow.id.startswith("nightly-"), len(flow.id)]
        flow.info("step one").warn("step two", {"rows": 2})
        seen["flush"] = await timber.flush_async()
        timber.info("after the flush")
        raw = IngestRawOptions(source="router", environment="development")
        seen["raw"] = await timber.ingest_raw_async("level,message\nerror,link down\n", "csv", raw)
    timber = create_timberlogs("worker", "development", api_key=KEY)
    timber.error("by hand")
    seen["disconnect"] = await timber.disconnect_async()
    report(seen)


asyncio.run(main())

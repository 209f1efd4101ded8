"""Raw ingestion: each supported format, and the awaited version."""

import asyncio

from given import KEY

from millpond.compat.timberlogs import IngestRawOptions, create_timberlogs

timber = create_timberlogs(source="forwarder", environment="production", api_key=KEY)
defaults = IngestRawOptions(source="legacy", environment="production", level="info", dataset="imports")

timber.ingest_raw('[{"level":"info","message":"From JSON","source":"api","environment":"production"}]', "json")
timber.ingest_raw('{"message":"From JSONL"}\n{"message":"Also JSONL","level":"warn"}\n', "jsonl", defaults)
timber.ingest_raw("<11>1 2026-05-04T09:00:05Z web1 nginx 99 - - From syslog", "syslog", defaults)
timber.ingest_raw("2026-05-04 09:00:05 ERROR From text", "text", defaults)
timber.ingest_raw('level,message,source\nerror,"From CSV, quoted",billing\n', "csv", defaults)
timber.ingest_raw(
    '{"format":"open-board-log-0.1","user_id":"u7","sessions":[{"id":"s1","type":"log","started":"2026-05-04T09:00:00Z",'
    '"ended":"2026-05-04T09:01:00Z","events":[{"id":"e1","timestamp":"2026-05-04T09:00:05Z","type":"utterance",'
    '"text":"From OBL"}]}]}',
    "obl",
    defaults,
)


async def main():
    await timber.ingest_raw_async('{"message":"Awaited"}', "jsonl", defaults)
    await timber.disconnect_async()


asyncio.run(main())

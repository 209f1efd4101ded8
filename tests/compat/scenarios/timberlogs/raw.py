"""One body of each raw format, with what it leaves open."""

from __future__ import annotations

from given import KEY, report
from timberlogs import IngestRawOptions, create_timberlogs

BODIES = {
    "json": '{"logs":[{"level":"info","message":"json one","source":"own","environment":"production"},'
    '{"message":"json two","data":{"a":1}}]}',
    "jsonl": '{"level":"error","message":"jsonl one","tags":["t"]}\n\n{"message":"jsonl two","userId":"u"}\n',
    "syslog": "<34>1 2026-05-04T09:00:05Z host1 su 77 ID47 - syslog five\n"
    "<13>May  4 09:00:06 host2 cron[12]: syslog three\n",
    "text": "2026-05-04T09:00:05Z ERROR text one\ntext two\n",
    "csv": 'level,message,tags,data\nwarn,"csv, one",a;b,"{""n"":1}"\n,csv two,,\n',
    "obl": '/* private */ {"format":"open-board-log-0.1","user_id":"aac:u7","source":"leafboard","sessions":[{'
    '"id":"s1","type":"log","device_id":"tablet-3","started":"2026-05-04T09:00:00Z","ended":"2026-05-04T09:02:00Z","events":['
    '{"id":"e1","timestamp":"2026-05-04T09:00:05Z","type":"button","label":"eat","spoken":true,"board_id":"core"},'
    '{"id":"e2","timestamp":"2026-05-04T09:00:07Z","author_name":"therapist","text":"Two words"}]}]}',
}

with create_timberlogs("unused", "staging", api_key=KEY, flush_interval=0) as timber:
    options = IngestRawOptions(source="from outside", environment="staging", level="warn", dataset="raw")
    report([timber.ingest_raw(body, format, options) for format, body in BODIES.items()])

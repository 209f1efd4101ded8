"""structlog through `LogTideProcessor`."""

import structlog
from given import ADDRESS, KEY, report
from logtide_sdk import ClientOptions, LogTideClient
from logtide_sdk.structlog import LogTideProcessor

client = LogTideClient(ClientOptions(api_url=ADDRESS, api_key=KEY, flush_interval=0))
processor = LogTideProcessor(client, "svc")
rendered = []


def renderer(logger, name, event):
    rendered.append(sorted(event))
    raise structlog.DropEvent


structlog.configure(processors=[structlog.processors.add_log_level, processor, renderer])
log = structlog.get_logger().bind(bound="b")
log.debug("debug")
log.info("info", order=17)
log.warning("warning", nested={"n": [1]})
log.error("error", exception="a text")
log.critical("critical")
try:
    {}["missing"]
except KeyError as error:
    log.error("failed", exc_info=True)
    log.error("the same", exc_info=error)
log.info("")
event = {"event": "an event", "level": "info", "a": 1}
passed = processor(None, "info", event)
# What only the drop-in gets through.
for name in ("fatal", "exception", "notset"):
    try:
        processor(None, name, {"event": name, "level": name})
    except ValueError:
        pass
processor(None, "error", {"event": "its level", "process": 7})
client.close()
report([rendered, passed is event, passed])

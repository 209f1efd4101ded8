"""The stdlib's logging through `LogTideHandler`."""

import logging

from given import ADDRESS, KEY
from logtide_sdk import ClientOptions, LogTideClient, LogTideHandler

client = LogTideClient(ClientOptions(api_url=ADDRESS, api_key=KEY, flush_interval=0))
handler = LogTideHandler(client=client, service="svc")
handler.setLevel(logging.DEBUG)
logger = logging.getLogger("shop.orders")
logger.setLevel(1)
logger.propagate = False
logger.addHandler(handler)

logger.log(5, "below")
logger.debug("debug")
logger.info("info %s %d", "with", 2)
logger.warning("warning")
logger.log(35, "between")
logger.error("error")
logger.critical("critical")
try:
    {}["missing"]
except KeyError:
    logger.exception("failed")
handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
logger.info("formatted")
handler.setLevel(logging.WARNING)
logger.info("not sent")
logger.warning("with extra", extra={"order": 17, "logger": "its own"})
client.close()

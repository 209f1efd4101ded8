"""Records of stdlib logging."""

import importlib
import logging
import sys

from given import KEY, report

client = importlib.import_module(sys.argv[1]).LogIngestorClient(KEY, "p-1", source="svc", batch_size=100)
handler = client.logging_handler()
logger = logging.getLogger("my-service")
logger.setLevel(1)
logger.addHandler(handler)
logger.propagate = False

for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL, 5, 25, 35, 60):
    logger.log(level, "level %d", level)
logger.info("with meta", extra={"meta": {"payment_id": "pay_abc"}})
logger.info("with another extra", extra={"user": "u1"})
logger.info("with meta that is no dict", extra={"meta": "text"})
try:
    raise ValueError("no such order")
except ValueError:
    logger.exception("failed")
    logger.error("failed again", exc_info=True, extra={"meta": {"order": 1}})
handler.setFormatter(logging.Formatter("%(name)s: %(message)s"))
logger.info("formatted")
handler.flush()
handler.close()
logger.info("after the handler was closed")
client.close()
report([type(handler).__mro__[1].__name__, handler.level])

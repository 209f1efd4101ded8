"""Records of stdlib logging."""

import importlib
import logging
import sys

from given import KEY, report

client = importlib.import_module(sys.argv[1]).LogIngestorClient(
    KEY, "7f1f8f68-6a0c-4f0e-9a0b-0b6a3a0b1c2d", source="svc", batch_size=100
)
handler = client.logging_handler()
logger = logging.getLogger("my-service")
logger.setLevel(logging.DEBUG)
logger.addHandler(handler)
logger.propagate = False

for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
    logger.log(level, "level %d", level)
logger.info("with meta", extra={"meta": {"payment_id": "pay_abc"}})
logger.info("with meta that is no dict", extra={"meta": "text"})
handler.setFormatter(logging.Formatter("%(name)s: %(message)s"))
logger.info("formatted")
handler.flush()
handler.close()
logger.info("after the handler was closed")
client.close()
report([isinstance(handler, logging.Handler), handler.level])

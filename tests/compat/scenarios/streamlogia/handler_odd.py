"""Records of stdlib logging with which the original is not at its best."""

import importlib
import logging
import sys

from given import KEY

client = importlib.import_module(sys.argv[1]).LogIngestorClient(
    KEY, "7f1f8f68-6a0c-4f0e-9a0b-0b6a3a0b1c2d", batch_size=100, console=False
)
logger = logging.getLogger("my-service")
logger.setLevel(1)
logger.addHandler(client.logging_handler())
logger.propagate = False

for level in (5, 25, 35, 60):
    logger.log(level, "level %d", level)
logger.info("with another extra", extra={"user": "u1"})
try:
    raise ValueError("no such order")
except ValueError:
    logger.exception("failed")
    logger.error("failed again", exc_info=True, extra={"meta": {"order": 1}})
client.close()

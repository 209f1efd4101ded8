import logging
import os
from millpond.compat.logingestor import LogIngestorClient

client = LogIngestorClient(
    api_key=os.environ["LOGINGESTOR_API_KEY"],
    project_id=os.environ["LOGINGESTOR_PROJECT_ID"],
    source="my-service",
)

logger = logging.getLogger("my-service")
logger.setLevel(logging.DEBUG)
logger.addHandler(client.logging_handler())

logger.info("Server started on port 8080")
try:
    raise ConnectionError("db.internal:5432")
except ConnectionError:
    logger.error("Database connection failed", exc_info=True)
    # ↑ Exception traceback is automatically captured in meta

logger.info("payment record persisted", extra={"meta": {"payment_id": "pay_abc"}})

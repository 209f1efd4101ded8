"""Logs of a script, which has no requests."""

from __future__ import annotations

from given import KEY
from logiscout_logger import PROD, get_logger, init

init(api_token=KEY, service_name="script", env=PROD)
log = get_logger("script")
log.info("started", step=1)
log.critical("failed", step=2)

"""A plain console logger, without `init`."""

from millpond.compat.logiscout_logger import get_logger

logger = get_logger("my_script")

logger.info("Script started")
logger.warning("Disk space low", available_gb=1.5)

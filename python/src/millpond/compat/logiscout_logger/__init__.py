"""The drop-in for ``logiscout_logger`` 1.0.1: structured logs that travel together with the request they belong to.

>>> from millpond.compat.logiscout_logger import PROD, get_logger, init
>>> init(api_token="…", service_name="shop", env=PROD)
>>> get_logger(__name__).info("order placed", order_id=4711)

Sends to the server whose address :func:`millpond.compat.install` or ``MILLPOND_ENDPOINT`` names, else to the original's
own. What it does differently is told in ``docs/compat/logiscout.md``.
"""

from __future__ import annotations

from millpond.compat.logiscout_logger.logger import DEV, PROD, Environment, get_logger, init
from millpond.compat.logiscout_logger.middlewares import asgiConfiguration, wsgiConfiguration

#: The release whose names and signatures these are.
__version__ = "1.0.1"

__all__ = ["DEV", "PROD", "Environment", "asgiConfiguration", "get_logger", "init", "wsgiConfiguration"]

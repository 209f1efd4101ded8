"""A request with more logs than fit into a payload."""

from __future__ import annotations

import sys
from typing import Any

from given import KEY
from logiscout_logger import PROD, get_logger, init, wsgiConfiguration

init(api_token=KEY, service_name="shop", env=PROD)
log = get_logger("long")


def app(environ: Any, start_response: Any) -> list[bytes]:
    for number in range(int(sys.argv[1])):
        log.debug("line", number=number)
    start_response("200 OK", [])
    return [b""]


response = wsgiConfiguration(app)({"REQUEST_METHOD": "POST", "PATH_INFO": "/long"}, lambda *_: None)
getattr(response, "close", lambda: None)()

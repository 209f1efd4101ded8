"""All that a logger can do, inside of one request."""

from __future__ import annotations

from typing import Any
from wsgiref.util import setup_testing_defaults

import structlog
from given import KEY, report
from logiscout_logger import PROD, get_logger, init, wsgiConfiguration
from logiscout_logger.logger import get_environment, get_service_name, is_production

returned: list[Any] = [is_production()]
returned.append(init(api_token=KEY, service_name="shop", env=PROD))
init(api_token="other", service_name="other", env=PROD)
returned += [is_production(), get_service_name(), get_environment()]
log = get_logger("shop.orders")


def app(environ: Any, start_response: Any) -> list[bytes]:
    structlog.contextvars.bind_contextvars(tenant="acme")
    returned.append(log.debug("debug", number=1))
    log.info("info", text="x", total=99.99, flag=True, nothing=None, nested={"a": [1, {"b": 2}]})
    log.warning("warning", unicode="grün ☃")
    log.error("error", send=True)
    log.critical("critical")
    log.info("keyword", send=False, token="secret")
    log.info("positional", False, token="secret")
    bound = log.bind(user_id=123, session_id="abc")
    bound.bind(step=2).info("bound", action="click")
    log.info("not bound")
    log.info("template %s")
    log.info("")
    try:
        raise ValueError("broken")
    except ValueError as error:
        log.error("handled", exc_info=True)
        log.error("given", exc_info=error, order=7)
    log.error("text", exception="no traceback")
    returned.append(type(bound).__name__)
    start_response("201 Created", [("Content-Type", "text/plain")])
    return [b"ok"]


environ: dict[str, Any] = {"PATH_INFO": "/orders/7", "QUERY_STRING": "a=1", "HTTP_X_CORRELATION_ID": "given-1"}
setup_testing_defaults(environ)
response = wsgiConfiguration(app)(environ, lambda status, headers, *_: None)
body = b"".join(response)
getattr(response, "close", lambda: None)()
report({"body": body.decode(), "returned": returned, "environ": environ["logiscout.correlation_id"]})

"""What an application writes. Type checkers accept this file as it is: a line that is wrong on purpose says so to each
of them, and they complain where it is not."""

# mypy: warn-unused-ignores

from __future__ import annotations

import logging
from datetime import datetime, timedelta, timezone

import millpond
from millpond.middleware import ASGIMiddleware, WSGIMiddleware


def right() -> None:
    millpond.init(service="shop", batch_age_s=0.5, redact_keys=["pin"], skip_paths=["/health"])
    log = millpond.get_logger(__name__, component="cart").bind(tenant="acme")
    log.info("%d of %s", 1, "two", order_id=4711, tags=["a"], exc_info=ValueError("x"))
    log.log("notice", "m")
    with millpond.context(user_id="u"), millpond.span() as trace:
        header: str = trace.traceparent()
        log.debug(header)
    with millpond.flow("checkout") as flow:
        flow.step("cart checked", items=3).step("payment taken")
    logging.getLogger().addHandler(millpond.Handler())
    delivered: bool = millpond.flush(timeout=1.0)
    log.info("flushed", delivered=delivered)


def reads(client: millpond.Client) -> list[str]:
    since = datetime.now(timezone.utc) - timedelta(hours=1)
    return [log.message for log in client.logs("level:error", from_=since)]


async def waits() -> None:
    async with millpond.AsyncClient(service="import", api_key="k") as client:
        client.info("started", files=3)
        flushed: bool = await client.flush()
        client.info("flushed", flushed=flushed)


def wrong(client: millpond.Client) -> None:
    millpond.init(servise="shop")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    millpond.init(service=1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    millpond.Client(batch_age_s="1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    millpond.Client("shop")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    client.get_logger(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.info()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    client.flush("1 s")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    millpond.no_such_name()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    text: str = millpond.metrics()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    client.info(text)


WSGIMiddleware(lambda environ, start_response: [b""], trusted_proxies=["10.0.0.0/8"])
ASGIMiddleware(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

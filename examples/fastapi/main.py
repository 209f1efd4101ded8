"""The service "orders": a small FastAPI service that logs to Millpond and has each order paid by "payments"
(``examples/axum``).

    PORT=8000 PAYMENTS_URL=http://127.0.0.1:8001 \\
    MILLPOND_ENDPOINT=http://127.0.0.1:4480 MILLPOND_API_KEY=… python main.py
"""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import uvicorn
from fastapi import FastAPI, HTTPException, Request
from pydantic import BaseModel, Field
from witness import event_id

import millpond

log = millpond.get_logger("orders")

#: Every so manieth order has a coupon that nobody thought of.
BUG_EVERY = 13


class NewOrder(BaseModel):
    customer_id: str = Field(max_length=100)
    amount_cents: int = Field(gt=0)


class Order(NewOrder):
    number: int
    payment_id: str | None = None


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.orders = {}
    app.state.numbers = itertools.count(1)
    payments_url = os.environ.get("PAYMENTS_URL", "http://127.0.0.1:8001")
    async with httpx.AsyncClient(base_url=payments_url, timeout=10, trust_env=False) as payments:
        app.state.payments = payments
        log.info("started", event_id=event_id("started"), payments_url=payments_url)
        yield
        log.info("stopped", event_id=event_id("stopped"), orders=len(app.state.orders))


app = FastAPI(title="orders", lifespan=lifespan)
millpond.init(app, service=os.environ.get("MILLPOND_SERVICE", "orders"))


@app.post("/orders", status_code=201)
async def place(new: NewOrder, request: Request) -> Order:
    order = Order(number=next(request.app.state.numbers), **new.model_dump())
    with millpond.context(user_id=order.customer_id, order_number=order.number):
        log.info("order received", event_id=event_id("received"), amount_cents=order.amount_cents)
        if order.number % BUG_EVERY == 0:
            log.debug("applying a coupon", event_id=event_id("coupon"), coupon="HALF")
            apply_coupon(order)
        order.payment_id = await pay(order, request.app.state.payments)
        request.app.state.orders[order.number] = order
        log.info("order placed", event_id=event_id("placed"), payment_id=order.payment_id)
    return order


def apply_coupon(order: Order) -> None:
    """A bug, so that there is one to look for."""
    coupons: dict[str, int] = {}
    order.amount_cents -= coupons["HALF"]


async def pay(order: Order, payments: httpx.AsyncClient) -> str:
    """Passes the trace on, so that the records of both services are found under one id."""
    try:
        answer = await payments.post(
            "/charge",
            json={"order_number": order.number, "amount_cents": order.amount_cents},
            headers=millpond.outgoing_headers(),
        )
    except httpx.HTTPError:
        log.exception("payments can't be reached", event_id=event_id("unreachable"))
        raise HTTPException(503, "payments can't be reached") from None
    if answer.status_code == 402:
        log.warning("payment declined", event_id=event_id("declined"), amount_cents=order.amount_cents)
        raise HTTPException(402, "payment declined")
    if answer.is_error:
        log.error("payment failed", event_id=event_id("failed"), answer=answer.status_code, body=answer.text)
        raise HTTPException(502, "payment failed")
    payment_id: str = answer.json()["payment_id"]
    return payment_id


@app.get("/orders/{number}")
async def look_up(number: int, request: Request) -> Order:
    order: Order | None = request.app.state.orders.get(number)
    if order is None:
        log.warning("order not found", event_id=event_id("not found"), number=number)
        raise HTTPException(404, "order not found")
    log.info("order looked up", event_id=event_id("looked up"), number=number)
    return order


@app.get("/health")
async def health() -> str:
    return "ok"


def main() -> None:
    # With its protocol named, asyncio knows it as TCP and turns Nagle's algorithm off: 40 ms less for each answer.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", int(os.environ.get("PORT", "8000"))))
        listener.listen(128)
        print(f"orders: listening on http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        # What uvicorn would say of requests and exceptions, the middleware says to Millpond.
        config = uvicorn.Config(app, log_level="critical", access_log=False)
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()

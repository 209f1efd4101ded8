"""Requests of a FastAPI application."""

import importlib
import sys

from fastapi import FastAPI, HTTPException
from fastapi.testclient import TestClient
from given import KEY, report
from starlette.middleware.base import BaseHTTPMiddleware

client = importlib.import_module(sys.argv[1]).LogIngestorClient(
    KEY, "7f1f8f68-6a0c-4f0e-9a0b-0b6a3a0b1c2d", source="order-service", batch_size=100, console=False
)
app = FastAPI()
middleware = client.asgi_middleware()
app.add_middleware(middleware)


@app.post("/orders", status_code=201)
async def create_order(body: dict):
    client.info("order created", meta={"customer_id": body.get("customerId")}, tags=["orders"])
    return {"orderId": "ord_1"}


@app.get("/items/{number}")
def item(number: int):
    return number


@app.get("/unavailable")
async def unavailable():
    raise HTTPException(503, "later")


@app.get("/boom")
async def boom():
    raise RuntimeError("boom")


asking = TestClient(app, raise_server_exceptions=False)
answers = [
    asking.post("/orders?secret=1", json={"customerId": "c1"}),
    asking.get("/items/7", headers={"X-Request-Id": "r-1", "User-Agent": "tests/1"}),
    asking.get("/items/7", headers={"X-Forwarded-For": "198.51.100.1"}),
    asking.get("/items/x"),
    asking.get("/nothing"),
    asking.get("/unavailable"),
    asking.get("/boom"),
]
client.close()
report(
    {
        "statuses": [answer.status_code for answer in answers],
        "headers": [sorted(answer.headers) for answer in answers],
        "is a middleware class": issubclass(middleware, BaseHTTPMiddleware),
        "name": middleware.__name__,
    }
)

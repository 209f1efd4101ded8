"""Requests of a Flask application."""

import importlib
import sys

from flask import Flask, abort, jsonify
from given import KEY, report

client = importlib.import_module(sys.argv[1]).LogIngestorClient(
    KEY, "7f1f8f68-6a0c-4f0e-9a0b-0b6a3a0b1c2d", source="payment-service", batch_size=100, console=False
)
app = Flask(__name__)
returned = client.flask_middleware(app)


@app.get("/ok")
def ok():
    client.info("inside", meta={"a": 1}, tags=["payments"])
    return jsonify({"ok": True})


@app.post("/made/<name>")
def made(name):
    return name, 201


@app.get("/forbidden")
def forbidden():
    abort(403)


@app.get("/boom")
def boom():
    raise RuntimeError("boom")


asking = app.test_client()
statuses = [
    asking.get("/ok?secret=1").status_code,
    asking.get("/ok", headers={"X-Request-Id": "r-1", "User-Agent": "tests/1"}).status_code,
    asking.post("/made/x", environ_base={"REMOTE_ADDR": "192.0.2.7"}).status_code,
    asking.get("/ok", headers={"X-Forwarded-For": "198.51.100.1, 10.0.0.1"}).status_code,
    asking.get("/forbidden").status_code,
    asking.get("/nothing").status_code,
    asking.get("/boom").status_code,
    asking.get("/health").status_code,
]
client.close()
report({"statuses": statuses, "returns the application": returned is app})

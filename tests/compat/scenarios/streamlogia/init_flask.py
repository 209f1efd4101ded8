"""One call that sets up a Flask application."""

import logging

import streamlogia
from flask import Flask
from given import KEY, report

app = Flask("app")
before = list(logging.getLogger().handlers)
client = streamlogia.init(
    app,
    source="web",
    batch_size=100,
    console=False,
    api_key=KEY,
    project_id="7f1f8f68-6a0c-4f0e-9a0b-0b6a3a0b1c2d",
)


@app.get("/ok")
def ok():
    logging.getLogger("views").info("seen", extra={"meta": {"a": 1}})
    return "ok"


app.test_client().get("/ok")
client.flush()
root = logging.getLogger()
report(
    {
        "client": type(client).__name__,
        "level": root.level,
        "handlers": len(root.handlers) - len(before),
    }
)

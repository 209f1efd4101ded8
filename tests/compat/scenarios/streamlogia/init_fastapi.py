"""One call that sets up a FastAPI application; its end closes the client."""

import logging

import streamlogia
from fastapi import FastAPI
from fastapi.testclient import TestClient
from given import KEY, report

app = FastAPI()
client = streamlogia.init(
    app,
    source="web",
    batch_size=100,
    console=False,
    log_level=logging.WARNING,
    api_key=KEY,
    project_id="7f1f8f68-6a0c-4f0e-9a0b-0b6a3a0b1c2d",
)


@app.get("/ok")
async def ok():
    logging.getLogger("views").warning("seen")
    logging.getLogger("views").info("not sent")
    return "ok"


with TestClient(app) as asking:
    status = asking.get("/ok").status_code
report({"status": status, "level": logging.getLogger().level})

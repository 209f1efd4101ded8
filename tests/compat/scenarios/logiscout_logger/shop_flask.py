"""A shop as an application of Flask, asked a few times."""

from __future__ import annotations

from typing import Any

from flask import Flask, Response
from given import KEY, report
from logiscout_logger import PROD, get_logger, init, wsgiConfiguration

app = Flask("shop")
init(api_token=KEY, service_name="shop", env=PROD)
app.wsgi_app = wsgiConfiguration(app.wsgi_app)  # type: ignore[method-assign]
log = get_logger("api")


@app.route("/users/<int:user_id>")
def user(user_id: int) -> dict[str, int]:
    log.info("Fetching user", user_id=user_id)
    return {"user_id": user_id}


@app.route("/stream")
def stream() -> Response:
    def parts() -> Any:
        for number in range(2):
            log.info("Part", number=number)
            yield f"{number}"

    return Response(parts())


@app.route("/broken")
def broken() -> str:
    log.error("Breaking")
    raise RuntimeError("broken")


client = app.test_client()
answers = []
for path in ("/users/7?verbose=1", "/stream", "/nowhere", "/broken"):
    answer = client.get(path, headers={"X-Correlation-ID": "given-1"} if path == "/stream" else {})
    answers.append([answer.status_code, answer.headers.get("x-correlation-id"), len(answer.data) < 500])
    answer.close()
report(answers)

"""Flask: what the integration knows beyond WSGI, and what it leaves as it is."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flask
import pytest

import millpond
import millpond.flask
from recorder import Recorder
from web import TRACE_ID, TRACEPARENT, Page, logged, requests, the_request, with_message

log = millpond.get_logger("app")


class OutOfStock(Exception):
    pass


def make_app(**options: Any) -> flask.Flask:
    app = flask.Flask("shop")
    app.logger.addHandler(logging.NullHandler())
    app.logger.propagate = False
    millpond.flask.init_app(app, **options)
    views = flask.Blueprint("views", "views", url_prefix="/v1")

    @views.get("/orders/<int:number>")
    def order(number: int) -> Any:
        log.info("looked up", number=number)
        if number == 403:
            flask.abort(403)
        if number == 409:
            raise OutOfStock("sold")
        if number == 500:
            raise ZeroDivisionError("a bug")
        return {"number": number}

    @app.get("/stream")
    def stream() -> Any:
        def parts() -> Iterator[str]:
            log.info("part", path=flask.request.path)
            yield "a"
            log.info("part", path=flask.request.path)
            yield "b"

        return flask.Response(flask.stream_with_context(parts()))

    @app.get("/torn")
    def torn() -> Any:
        def parts() -> Iterator[str]:
            yield "a"
            raise ZeroDivisionError

        return flask.Response(parts())

    @app.get("/file")
    def file() -> Any:
        return flask.send_file(io.BytesIO(b"content"), mimetype="text/plain")

    @app.post("/echo")
    def echo() -> Any:
        return flask.jsonify(flask.request.get_json())

    app.register_blueprint(views)
    return app


def get(app: flask.Flask, path: str, **options: Any) -> Any:
    response = app.test_client().get(path, buffered=True, **options)
    return response.status_code, response.get_data(as_text=True), response.headers


def test_a_request_is_logged_once_with_its_rule(client: Recorder) -> None:
    headers = {"traceparent": TRACEPARENT, "x-request-id": "r-1", "user-agent": "tests"}
    status, _, answered = get(make_app(), "/v1/orders/7?x=1", headers=headers)
    assert (status, answered["x-request-id"]) == (200, "r-1")
    inner, outer = logged(client)
    assert (outer["message"], outer["level"]) == ("GET /v1/orders/7 200", "info")
    assert outer["fields"].pop("duration_ms") > 0
    assert outer["fields"] == {
        "method": "GET",
        "path": "/v1/orders/7",
        "route": "/v1/orders/<int:number>",
        "endpoint": "views.order",
        "status": 200,
        "ip": "127.0.0.1",
        "user_agent": "tests",
        "parent_span_id": "00f067aa0ba902b7",
    }
    for record in (inner, outer):
        assert (record["trace_id"], record["request_id"], record["span_id"]) == (TRACE_ID, "r-1", outer["span_id"])


@pytest.mark.parametrize(("path", "status"), [("/nowhere", 404), ("/v1/orders/403", 403), ("/echo", 405)])
def test_a_refusal_is_no_error(client: Recorder, path: str, status: int) -> None:
    assert get(make_app(), path)[0] == status
    record = the_request(client)
    assert (record["level"], record["fields"]["status"]) == ("warn", status)
    assert "exception" not in record
    assert "route" not in record["fields"] or status == 403


def test_an_exception_is_recorded_and_answered_as_without_us(client: Recorder) -> None:
    status, body, headers = get(make_app(), "/v1/orders/500")
    assert status == 500
    assert "Internal Server Error" in body
    record = the_request(client)
    assert headers["x-request-id"] == record["request_id"]
    assert (record["level"], record["fields"]["status"], record["fields"]["endpoint"]) == ("error", 500, "views.order")
    assert record["exception"]["type"] == "ZeroDivisionError"
    assert record["exception"]["stacktrace"][-1]["function"].endswith("order")


@pytest.mark.parametrize("setting", ["TESTING", "PROPAGATE_EXCEPTIONS", "DEBUG"])
def test_an_exception_that_is_to_be_raised_is_raised(client: Recorder, setting: str) -> None:
    app = make_app()
    app.config[setting] = True
    with pytest.raises(ZeroDivisionError):
        get(app, "/v1/orders/500")
    record = the_request(client)
    assert (record["fields"]["status"], record["exception"]["type"]) == (500, "ZeroDivisionError")


def test_an_exception_that_the_application_handles_is_none(client: Recorder) -> None:
    app = make_app()
    app.register_error_handler(OutOfStock, lambda error: (str(error), 409))
    assert get(app, "/v1/orders/409")[:2] == (409, "sold")
    record = the_request(client)
    assert (record["level"], record["fields"]["status"]) == ("warn", 409)
    assert "exception" not in record


def test_a_page_for_500_does_not_hide_the_exception(client: Recorder) -> None:
    app = make_app()
    app.register_error_handler(500, lambda _error: ("sorry", 503))
    assert get(app, "/v1/orders/500")[:2] == (503, "sorry")
    record = the_request(client)
    assert (record["level"], record["fields"]["status"]) == ("error", 503)
    assert record["exception"]["type"] == "ZeroDivisionError"


def test_what_happens_before_a_view_is_recorded(client: Recorder) -> None:
    app = make_app()

    @app.before_request
    def check() -> Any:
        log.info("checking")
        if flask.request.args.get("user") == "nobody":
            return "who?", 401
        if flask.request.args.get("user") == "broken":
            raise LookupError("no database")
        return None

    assert get(app, "/v1/orders/1?user=nobody")[0] == 401
    assert get(app, "/v1/orders/1?user=broken")[0] == 500
    refused, failed = requests(client)
    assert (refused["level"], refused["fields"]["route"]) == ("warn", "/v1/orders/<int:number>")
    assert (failed["level"], failed["exception"]["type"]) == ("error", "LookupError")
    assert len({record["request_id"] for record in logged(client)}) == 2


def test_a_teardown_has_the_context_and_may_fail(client: Recorder) -> None:
    app = make_app()

    @app.teardown_request
    def teardown(_error: Any) -> None:
        log.info("teardown")
        raise OSError("no connection to give back")

    with pytest.raises(Exception) as raised:  # Newer versions of Flask raise a group.
        get(app, "/v1/orders/1")
    records = logged(client)
    assert [record["message"] for record in records] == ["looked up", "teardown", "GET /v1/orders/1 500"]
    assert len({record["request_id"] for record in records}) == 1
    assert records[-1]["exception"]["type"] == type(raised.value).__name__


def test_a_stream_with_context_is_streamed_in_the_context(client: Recorder) -> None:
    response = make_app().test_client().get("/stream")
    assert requests(client) == []
    assert response.get_data() == b"ab"
    response.close()
    records = logged(client)
    assert [record["message"] for record in records] == ["part", "part", "GET /stream 200"]
    assert len({record["request_id"] for record in records}) == 1


def test_a_stream_that_tears_is_recorded_with_its_exception(client: Recorder) -> None:
    with pytest.raises(ZeroDivisionError):
        get(make_app(), "/torn")
    record = the_request(client)
    assert (record["level"], record["fields"]["status"], record["fields"]["route"]) == ("error", 200, "/torn")
    assert record["exception"]["type"] == "ZeroDivisionError"


def test_a_file_is_sent(client: Recorder) -> None:
    assert get(make_app(), "/file")[:2] == (200, "content")
    assert the_request(client)["level"] == "info"


def test_bodies_are_recorded_on_request(client: Recorder) -> None:
    app = make_app(capture_body=True, capture_headers=["content-type"])
    sent = {"name": "n", "password": "p"}
    response = app.test_client().post("/echo", json=sent, buffered=True)
    assert response.get_json() == sent
    fields = the_request(client)["fields"]
    assert fields["request_body"] == fields["response_body"] == {"name": "n", "password": "[REDACTED]"}
    assert fields["request_headers"] == {"content-type": "application/json"}


def test_the_test_client_that_keeps_the_context_still_does(client: Recorder) -> None:
    with make_app().test_client() as http:
        http.get("/v1/orders/7", buffered=True)
        assert flask.request.path == "/v1/orders/7"
        assert millpond.current_context() == {}
    the_request(client)


def test_calling_it_twice_does_no_harm(client: Recorder) -> None:
    app = make_app()
    millpond.flask.init_app(app, skip_paths="*")
    get(app, "/v1/orders/7")
    get(app, "/v1/orders/500")
    assert len(requests(client)) == 2


def test_health_checks_are_skipped(client: Recorder) -> None:
    get(make_app(), "/health")
    assert requests(client) == []


def test_the_documentation_works(client: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = Page("flask", client, tmp_path, monkeypatch).run("shop.py")["app"]
    status, _, headers = get(app, "/orders/7")
    assert status == 200
    assert get(app, "/report")[:2] == (200, "first\nsecond\n")
    assert app.test_client().post("/import", buffered=True).status_code == 202
    assert with_message(client, "order looked up")["request_id"] == headers["x-request-id"]
    assert with_message(client, "GET /orders/7 200")["fields"]["route"] == "/orders/<int:number>"
    client.wait_for(5)
    assert with_message(client, "imported")["request_id"] == with_message(client, "POST /import 202")["request_id"]

"""Django, sync and async: through its handlers, as a server calls them."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import django
import pytest
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import FileResponse, Http404, HttpResponse, JsonResponse, StreamingHttpResponse
from django.test.utils import override_settings
from django.urls import include, path, re_path
from django.utils.functional import SimpleLazyObject

import millpond
import millpond.django
from millpond.middleware import ASGIMiddleware, WSGIMiddleware
from recorder import Recorder
from web import TRACE_ID, TRACEPARENT, logged, requests, the_request

log = millpond.get_logger("app")


def order(_request: Any, number: int) -> HttpResponse:
    log.info("looked up", number=number)
    if number == 404:
        raise Http404
    if number == 403:
        from django.core.exceptions import PermissionDenied

        raise PermissionDenied
    if number == 500:
        raise ZeroDivisionError("a bug")
    if number == 503:
        return HttpResponse(status=503)
    return JsonResponse(millpond.outgoing_headers())


async def order_async(request: Any, number: int) -> HttpResponse:
    await asyncio.sleep(0)
    return order(request, number)


def stream(_request: Any) -> StreamingHttpResponse:
    def parts() -> Iterator[bytes]:
        for number in range(3):
            log.info("part")
            yield b"%d" % number

    return StreamingHttpResponse(parts())


def torn(_request: Any) -> StreamingHttpResponse:
    def parts() -> Iterator[bytes]:
        yield b"a"
        raise ZeroDivisionError

    return StreamingHttpResponse(parts())


async def stream_async(_request: Any) -> StreamingHttpResponse:
    async def parts() -> AsyncIterator[bytes]:
        for number in range(3):
            await asyncio.sleep(0)
            log.info("part")
            yield b"%d" % number

    return StreamingHttpResponse(parts())


async def endless(_request: Any) -> StreamingHttpResponse:
    async def parts() -> AsyncIterator[bytes]:
        yield b"a"
        await asyncio.Event().wait()

    return StreamingHttpResponse(parts())


def file(_request: Any) -> FileResponse:
    return FileResponse(io.BytesIO(b"content"))


def echo(request: Any) -> JsonResponse:
    import json

    return JsonResponse(json.loads(request.body))


def form(request: Any) -> JsonResponse:
    return JsonResponse(request.POST.dict())


def touch_user(request: Any) -> HttpResponse:
    return HttpResponse(str(request.user.pk))


def users(get_response: Any) -> Any:
    """As Django's own: the user is looked up when somebody asks for it."""

    def look_up() -> Any:
        log.info("database")
        return SimpleNamespace(pk=7)

    def middleware(request: Any) -> Any:
        request.user = SimpleLazyObject(look_up)
        return get_response(request)

    return middleware


def broken(get_response: Any) -> Any:
    def middleware(request: Any) -> Any:
        if "broken" in request.GET:
            raise LookupError("no database")
        return get_response(request)

    return middleware


nested = [path("orders/<int:number>/", order, name="order"), re_path(r"^old/(\d+)$", order)]
urlpatterns = [
    path("v1/", include((nested, "shop"))),
    path("async/<int:number>", order_async),
    path("stream", stream),
    path("torn", torn),
    path("stream-async", stream_async),
    path("endless", endless),
    path("file", file),
    path("echo", echo),
    path("form", form),
    path("user", touch_user),
    path("health/", lambda _request: HttpResponse("ok")),
]

if not settings.configured:
    settings.configure(
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        SECRET_KEY="tests",
        LOGGING_CONFIG=None,
        MIDDLEWARE=["millpond.django.Middleware"],
        USE_TZ=True,
    )
    django.setup()
    logging.getLogger("django").addHandler(logging.NullHandler())
    logging.getLogger("django").propagate = False


class Answer:
    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status, self.body = status, body
        self.headers = {name.lower(): value for name, value in headers.items()}


def get_wsgi(url: str, handler: Any = None, body: bytes = b"", **environ: Any) -> Answer:
    target, _, query = url.partition("?")
    environ = {
        "REQUEST_METHOD": "POST" if body else "GET",
        "PATH_INFO": target,
        "QUERY_STRING": query,
        "SERVER_NAME": "shop",
        "SERVER_PORT": "80",
        "REMOTE_ADDR": "10.1.2.3",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        "wsgi.url_scheme": "http",
        **environ,
    }
    started: list[Any] = []
    response = (handler or WSGIHandler())(environ, lambda *args: started.append(args))
    try:
        content = b"".join(response)
    finally:
        response.close()
    return Answer(int(started[0][0][:3]), dict(started[0][1]), content)


async def send_asgi(url: str, handler: Any, body: bytes, headers: dict[str, str], gone: bool) -> Answer:
    target, _, query = url.partition("?")
    scope = {
        "type": "http",
        "method": "POST" if body else "GET",
        "path": target,
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("10.1.2.3", 9),
        "server": ("shop", 80),
        "scheme": "http",
    }
    sent: list[Any] = []
    received = [{"type": "http.request", "body": body}]
    answered = asyncio.Event()

    async def receive() -> Any:
        if not received:
            await answered.wait()
            return {"type": "http.disconnect"}
        return received.pop()

    async def send(message: Any) -> None:
        sent.append(message)
        if message.get("body") and gone:
            answered.set()

    await (handler or ASGIHandler())(scope, receive, send)
    content = b"".join(message.get("body", b"") for message in sent)
    return Answer(sent[0]["status"], {name.decode(): value.decode() for name, value in sent[0]["headers"]}, content)


def get_asgi(url: str, handler: Any = None, body: bytes = b"", gone: bool = False, **headers: str) -> Answer:
    return asyncio.run(send_asgi(url, handler, body, headers, gone))


both = pytest.mark.parametrize("get", [get_wsgi, get_asgi])


@both
def test_a_request_is_logged_once_with_its_route(client: Recorder, get: Any) -> None:
    if get is get_wsgi:
        headers = {"HTTP_TRACEPARENT": TRACEPARENT, "HTTP_X_REQUEST_ID": "r-1", "HTTP_USER_AGENT": "tests"}
    else:
        headers = {"traceparent": TRACEPARENT, "x-request-id": "r-1", "user-agent": "tests"}
    answer = get("/v1/orders/7/?x=1", **headers)
    assert (answer.status, answer.headers["x-request-id"]) == (200, "r-1")
    inner, outer = logged(client)
    assert (outer["message"], outer["level"]) == ("GET /v1/orders/7/ 200", "info")
    assert outer["fields"].pop("duration_ms") > 0
    assert outer["fields"] == {
        "method": "GET",
        "path": "/v1/orders/7/",
        "route": "/v1/orders/<int:number>/",
        "view": "shop:order",
        "status": 200,
        "ip": "10.1.2.3",
        "user_agent": "tests",
        "parent_span_id": "00f067aa0ba902b7",
    }
    for record in (inner, outer):
        assert (record["trace_id"], record["request_id"], record["span_id"]) == (TRACE_ID, "r-1", outer["span_id"])


@both
@pytest.mark.parametrize(("url", "status"), [("/v1/orders/404/", 404), ("/nowhere", 404), ("/async/403", 403)])
def test_a_refusal_is_no_error(client: Recorder, get: Any, url: str, status: int) -> None:
    assert get(url).status == status
    record = requests(client)[0]
    assert (record["level"], record["fields"]["status"]) == ("warn", status)
    assert "exception" not in record


@both
@pytest.mark.parametrize("url", ["/v1/orders/500/", "/async/500"])
@pytest.mark.parametrize("debug", [False, True])
def test_an_exception_of_a_view_is_recorded_and_answered(client: Recorder, get: Any, url: str, debug: bool) -> None:
    with override_settings(DEBUG=debug):
        answer = get(url)
    record = the_request(client)
    assert (answer.status, answer.headers["x-request-id"]) == (500, record["request_id"])
    assert (record["level"], record["fields"]["status"]) == ("error", 500)
    assert (record["exception"]["type"], record["exception"]["message"]) == ("ZeroDivisionError", "a bug")
    assert record["exception"]["stacktrace"][-1]["function"].endswith("order")


def test_an_exception_that_is_to_be_raised_is_raised(client: Recorder) -> None:
    with override_settings(DEBUG_PROPAGATE_EXCEPTIONS=True), pytest.raises(ZeroDivisionError):
        get_wsgi("/v1/orders/500/")
    record = the_request(client)
    assert (record["fields"]["status"], record["exception"]["type"]) == (500, "ZeroDivisionError")


@both
def test_an_exception_of_a_middleware_is_recorded(client: Recorder, get: Any) -> None:
    with override_settings(MIDDLEWARE=["millpond.django.Middleware", f"{__name__}.broken"]):
        assert get("/v1/orders/1/?broken").status == 500
    record = the_request(client)
    assert (record["level"], record["exception"]["type"]) == ("error", "LookupError")


def test_an_error_that_a_view_answers_has_no_exception(client: Recorder) -> None:
    get_wsgi("/v1/orders/503/")
    record = the_request(client)
    assert (record["level"], "exception" in record) == ("error", False)


def test_a_route_by_regular_expression_stays_one(client: Recorder) -> None:
    get_wsgi("/v1/old/5")
    record = the_request(client)
    assert record["fields"]["route"] == r"/v1/old/(\d+)$"


@pytest.mark.parametrize(("get", "url"), [(get_wsgi, "/stream"), (get_asgi, "/stream-async")])
def test_a_stream_is_recorded_when_it_is_sent(client: Recorder, get: Any, url: str) -> None:
    assert get(url).body == b"012"
    records = logged(client)
    assert [record["message"] for record in records] == ["part"] * 3 + [f"GET {url} 200"]
    assert len({record["request_id"] for record in records}) == 1
    assert records[-1]["level"] == "info"


def test_a_stream_that_tears_is_recorded_with_its_exception(client: Recorder) -> None:
    with pytest.raises(ZeroDivisionError):
        get_wsgi("/torn")
    record = the_request(client)
    assert (record["level"], record["fields"]["status"], record["exception"]["type"]) == (
        "error",
        200,
        "ZeroDivisionError",
    )


@pytest.mark.skipif(django.VERSION < (5, 0), reason="Django did not notice")
def test_a_stream_whose_client_goes_away_is_no_success(client: Recorder) -> None:
    get_asgi("/endless", gone=True)
    record = the_request(client)
    assert (record["level"], record["fields"]["route"]) == ("warn", "/endless")


def test_a_file_is_left_to_the_server_and_recorded(client: Recorder) -> None:
    from wsgiref.util import FileWrapper

    given: list[Any] = []

    class Wrapper(FileWrapper):
        def __init__(self, *args: Any) -> None:
            given.append(self)
            super().__init__(*args)

    assert get_wsgi("/file", **{"wsgi.file_wrapper": Wrapper}).body == b"content"
    assert len(given) == 1
    assert the_request(client)["level"] == "info"


def test_the_user_is_recorded_if_somebody_asked_for_it(client: Recorder) -> None:
    with override_settings(MIDDLEWARE=["millpond.django.Middleware", f"{__name__}.users"]):
        get_wsgi("/v1/orders/1/")
        get_wsgi("/user")
    asked = [record for record in logged(client) if record["message"] == "database"]
    assert len(asked) == 1
    without, with_user = requests(client)
    assert "user_id" not in without
    assert with_user["user_id"] == "7"


@both
def test_bodies_and_headers_are_recorded_on_request_and_redacted(client: Recorder, get: Any) -> None:
    content_type = "CONTENT_TYPE" if get is get_wsgi else "content-type"
    with override_settings(MILLPOND={"capture_body": True, "capture_headers": ["content-type"]}):
        answer = get("/echo", body=b'{"name": "n", "password": "p"}', **{content_type: "application/json"})
        get("/form", body=b"a=1&token=t", **{content_type: "application/x-www-form-urlencoded"})
    assert answer.body == b'{"name": "n", "password": "p"}'
    json, form = (record["fields"] for record in requests(client))
    assert json["request_body"] == json["response_body"] == {"name": "n", "password": "[REDACTED]"}
    assert form["request_body"] == form["response_body"] == {"a": "1", "token": "[REDACTED]"}
    assert json["request_headers"] == json["response_headers"] == {"content-type": "application/json"}


def test_options_are_those_of_the_setting(client: Recorder) -> None:
    with override_settings(MILLPOND={"skip_paths": ["/v1/*"], "service": "shop"}):
        get_wsgi("/v1/orders/1/")
        get_wsgi("/health/")
    assert the_request(client)["fields"]["path"] == "/health/"
    with override_settings(MILLPOND={"trusted_proxies": "nonsense"}), pytest.raises(millpond.ConfigurationError):
        WSGIHandler()
    with override_settings(MILLPOND=["skip_paths"]), pytest.raises(millpond.ConfigurationError, match="MILLPOND"):
        WSGIHandler()


def test_health_checks_are_skipped_with_a_slash_too(client: Recorder) -> None:
    get_wsgi("/health/")
    assert requests(client) == []


def test_with_a_middleware_around_django_there_is_one_record_that_knows_the_route(client: Recorder) -> None:
    get_wsgi("/v1/orders/500/", WSGIMiddleware(WSGIHandler()))
    get_asgi("/async/500", ASGIMiddleware(ASGIHandler()))
    for record, route in zip(requests(client), ("/v1/orders/<int:number>/", "/async/<int:number>")):
        assert (record["fields"]["route"], record["level"]) == (route, "error")
        assert record["exception"]["type"] == "ZeroDivisionError"
    assert len(requests(client)) == 2


def test_nothing_leaks_into_the_thread(client: Recorder) -> None:
    get_wsgi("/stream")
    assert millpond.current_context() == {}


def test_the_settings_helper_adds_what_is_not_there() -> None:
    names: dict[str, Any] = {
        "INSTALLED_APPS": ("a",),
        "MIDDLEWARE": ["b"],
        "MILLPOND": {"service": "x", "version": "1"},
    }
    for _ in range(2):
        millpond.django.install(names, service="shop")
    assert names == {
        "INSTALLED_APPS": ["millpond.django", "a"],
        "MIDDLEWARE": ["millpond.django.Middleware", "b"],
        "MILLPOND": {"service": "shop", "version": "1"},
    }


def test_the_documentation_works(program: Any, tmp_path: Path) -> None:
    from conftest import docs_page

    docs_page("django").write(tmp_path)
    program.run(
        f"""
        import os, sys
        sys.path.insert(0, {str(tmp_path)!r})
        os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
        import django
        django.setup()
        from django.test import Client
        response = Client().get("/orders/7")
        assert response.status_code == 200, response
        assert response["x-request-id"]
        assert Client(raise_request_exception=False).get("/orders/13").status_code == 500
        """
    )
    looked_up, seven, _, thirteen = program.server.wait_for(4)
    assert (looked_up["message"], looked_up["service"]) == ("order looked up", "shop")
    assert looked_up["request_id"] == seven["request_id"]
    assert seven["fields"]["route"] == "/orders/<int:number>"
    assert thirteen["exception"]["type"] == "KeyError"

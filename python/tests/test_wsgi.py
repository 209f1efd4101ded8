"""The WSGI middleware, called as servers do, and by some of them."""

from __future__ import annotations

import contextvars
import io
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from wsgiref.handlers import SimpleHandler
from wsgiref.util import FileWrapper, setup_testing_defaults
from wsgiref.validate import validator

import pytest

import millpond
from millpond.middleware import ASGIMiddleware, WSGIMiddleware
from recorder import Recorder
from web import TRACE_ID, TRACEPARENT, Page, logged, requests, the_request

log = millpond.get_logger("app")


class Server:
    """As a WSGI server calls an application; ``events`` are what it sees and what the application notes."""

    def __init__(self, **environ: Any) -> None:
        self.environ: dict[str, Any] = {"REMOTE_ADDR": "10.1.2.3", **environ}
        setup_testing_defaults(self.environ)
        self.status: str | None = None
        self.headers: list[tuple[str, str]] = []
        self.written: list[bytes] = []
        self.excs: list[Any] = []

    def start_response(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None, /) -> Any:
        assert self.status is None or exc_info is not None
        self.status, self.headers = status, headers
        self.excs.append(exc_info)
        return self.written.append

    def call(self, app: Any) -> bytes:
        response = app(self.environ, self.start_response)
        try:
            return b"".join(self.written) + b"".join(response)
        finally:
            if hasattr(response, "close"):
                response.close()


class Closing:
    """A response that counts how often it was closed."""

    def __init__(self, parts: Iterable[bytes], on_close: Callable[[], None] = lambda: None) -> None:
        self._parts = parts
        self._on_close = on_close
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._parts)

    def close(self) -> None:
        self.closed += 1
        self._on_close()


def answering(response: Any, status: str = "200 OK", *headers: tuple[str, str]) -> Any:
    def app(_environ: Any, start_response: Any) -> Any:
        start_response(status, list(headers))
        return response

    return app


def test_a_request_is_logged_once_with_everything_that_matters(client: Recorder) -> None:
    def app(_environ: Any, start_response: Any) -> Iterator[bytes]:
        log.info("called")
        start_response("201 Created", [("Content-Type", "text/plain")])
        yield b"a"
        log.info("part")
        yield b"b"

    server = Server(
        REQUEST_METHOD="POST",
        SCRIPT_NAME="/api",
        PATH_INFO="/gr\xc3\xbcn",
        HTTP_USER_AGENT="tests",
        HTTP_TRACEPARENT=TRACEPARENT,
        HTTP_X_REQUEST_ID="r-1",
        HTTP_X_CORRELATION_ID="c-1",
    )
    assert server.call(WSGIMiddleware(app)) == b"ab"
    assert server.headers == [
        ("Content-Type", "text/plain"),
        ("x-request-id", "r-1"),
        ("x-correlation-id", "c-1"),
    ]
    called, part, outer = logged(client)
    assert (outer["message"], outer["level"], outer["logger"]) == ("POST /api/grün 201", "info", "millpond.request")
    assert outer["fields"].pop("duration_ms") >= 0
    assert outer["fields"] == {
        "method": "POST",
        "path": "/api/grün",
        "status": 201,
        "ip": "10.1.2.3",
        "user_agent": "tests",
        "parent_span_id": "00f067aa0ba902b7",
        "correlation_id": "c-1",
    }
    for record in (called, part, outer):
        assert (record["trace_id"], record["request_id"]) == (TRACE_ID, "r-1")
        assert record["span_id"] == outer["span_id"]


def test_it_keeps_to_the_protocol(client: Recorder) -> None:
    def app(_environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
        return [b"ok"]

    output, errors = io.BytesIO(), io.StringIO()
    environ = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/",
        "SERVER_NAME": "shop",
        "SERVER_PORT": "80",
        "QUERY_STRING": "",
        "SERVER_PROTOCOL": "HTTP/1.1",
    }
    handler = SimpleHandler(io.BytesIO(), output, errors, environ, multithread=False)
    handler.run(validator(WSGIMiddleware(validator(app))))
    assert errors.getvalue() == ""
    assert output.getvalue().endswith(b"\r\n\r\nok")
    assert the_request(client)["fields"]["status"] == 200


def test_a_stream_is_passed_on_part_by_part_and_recorded_when_it_is_closed(client: Recorder) -> None:
    made = []

    def parts() -> Iterator[bytes]:
        for number in range(3):
            made.append(number)
            yield b"%d" % number

    inner = Closing(parts())
    server = Server()
    response = WSGIMiddleware(answering(inner))(server.environ, server.start_response)
    with pytest.raises(TypeError):
        len(response)  # type: ignore[arg-type]
    assert made == []
    iterator = iter(response)
    assert (next(iterator), made) == (b"0", [0])
    assert (list(iterator), inner.closed) == ([b"1", b"2"], 0)
    assert requests(client) == []
    response.close()  # type: ignore[attr-defined]
    response.close()  # type: ignore[attr-defined]
    assert inner.closed == 1
    assert the_request(client)["level"] == "info"


def test_a_response_of_known_length_stays_one(client: Recorder) -> None:
    server = Server()
    response = WSGIMiddleware(answering([b"ab"]))(server.environ, server.start_response)
    assert len(response) == 1  # type: ignore[arg-type]
    assert list(response) == [b"ab"]


def test_a_client_that_goes_away_is_seen(client: Recorder) -> None:
    inner = Closing([b"a", b"b"])
    server = Server()
    response = WSGIMiddleware(answering(inner))(server.environ, server.start_response)
    next(iter(response))
    response.close()  # type: ignore[attr-defined]
    assert inner.closed == 1
    record = the_request(client)
    assert (record["level"], record["fields"]["status"], record["fields"]["disconnected"]) == ("warn", 499, True)


@pytest.mark.parametrize(("method", "status"), [("HEAD", "200 OK"), ("GET", "304 Not Modified")])
def test_a_response_without_a_body_is_complete(client: Recorder, method: str, status: str) -> None:
    server = Server(REQUEST_METHOD=method)
    response = WSGIMiddleware(answering(iter([b""]), status))(server.environ, server.start_response)
    response.close()  # type: ignore[attr-defined]
    assert the_request(client)["level"] == "info"


def test_a_response_that_nobody_closes_is_recorded_nevertheless(client: Recorder) -> None:
    server = Server(HTTP_X_REQUEST_ID="r-1")
    list(WSGIMiddleware(answering([b"a"]))(server.environ, server.start_response))
    server.environ.clear()
    record = the_request(client)
    assert (record["level"], record["request_id"]) == ("info", "r-1")


def failing_at(place: str) -> Any:
    def fail() -> None:
        raise ZeroDivisionError(place)

    def parts() -> Iterator[bytes]:
        if place == "first part":
            fail()
        yield b"a"
        fail()

    def app(_environ: Any, start_response: Any) -> Any:
        if place == "call":
            fail()
        start_response("200 OK", [])
        return Closing([b"a"], fail) if place == "close" else Closing(parts())

    return app


@pytest.mark.parametrize(
    ("place", "status"), [("call", 500), ("first part", 500), ("second part", 200), ("close", 200)]
)
def test_an_exception_is_recorded_once_and_raised_on(client: Recorder, place: str, status: int) -> None:
    with pytest.raises(ZeroDivisionError, match=place):
        Server().call(WSGIMiddleware(failing_at(place)))
    record = the_request(client)
    assert (record["level"], record["fields"]["status"]) == ("error", status)
    assert record["exception"]["type"] == "ZeroDivisionError"
    assert record["exception"]["stacktrace"][-1]["function"].endswith("fail")
    assert millpond.current_context() == {}


def test_an_exit_is_no_failure_but_no_success(client: Recorder) -> None:
    def app(*_: Any) -> Any:
        raise SystemExit

    with pytest.raises(SystemExit):
        Server().call(WSGIMiddleware(app))
    record = the_request(client)
    assert (record["level"], record["message"], record["fields"]["cancelled"]) == ("warn", "GET / -", True)


def test_the_response_may_be_started_late_and_twice_and_written(client: Recorder) -> None:
    def app(_environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        try:
            raise ValueError
        except ValueError as error:
            write = start_response("502 Bad Gateway", [("a", "b")], (ValueError, error, None))
        write(b"w")
        yield b"y"

    server = Server()
    assert server.call(WSGIMiddleware(app, capture_body=True)) == b"y"
    assert server.written == [b"w"]
    assert (server.status, server.headers[0]) == ("502 Bad Gateway", ("a", "b"))
    assert server.excs[0] is None and server.excs[1][0] is ValueError
    record = the_request(client)
    assert (record["level"], record["fields"]["status"]) == ("error", 502)
    assert record["fields"]["response_body"] == "[2 bytes of application/octet-stream]"


def test_a_header_that_the_application_set_stays(client: Recorder) -> None:
    server = Server()
    server.call(WSGIMiddleware(answering([], "204 No Content", ("X-Request-ID", "mine"))))
    assert server.headers == [("X-Request-ID", "mine")]


def test_a_file_is_left_to_the_server(client: Recorder) -> None:
    file = io.BytesIO(b"content")
    server = Server(**{"wsgi.file_wrapper": FileWrapper})
    response = WSGIMiddleware(answering(FileWrapper(file)))(server.environ, server.start_response)
    assert type(response) is FileWrapper
    assert requests(client) == []
    assert b"".join(response) == b"content"
    response.close()
    response.close()
    assert file.closed
    assert the_request(client)["level"] == "info"


def test_a_file_wrapper_that_can_not_be_followed_is_streamed(client: Recorder) -> None:
    class Sealed:
        __slots__ = ()

        def __iter__(self) -> Iterator[bytes]:
            return iter([b"a"])

    server = Server(**{"wsgi.file_wrapper": Sealed})
    assert server.call(WSGIMiddleware(answering(Sealed()))) == b"a"
    assert the_request(client)["level"] == "info"


def test_the_context_of_a_request_does_not_leak_between_parts(client: Recorder) -> None:
    def app(_environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        with millpond.context(step="in a block"):
            yield b"a"
            log.info("still in the block")
        log.info("after the block")
        yield b"b"

    def closed() -> None:
        log.info("closing")

    first, second = Server(HTTP_X_REQUEST_ID="r-1"), Server(HTTP_X_REQUEST_ID="r-2")
    with millpond.context(worker=7):
        middleware = WSGIMiddleware(app)
        one = middleware(first.environ, first.start_response)
        two = middleware(second.environ, second.start_response)
        # Turn and turn about, in one thread.
        parts = [iter(one), iter(two)]
        for iterator in (*parts, *parts):
            next(iterator)
            assert millpond.current_context() == {"worker": 7}
        Server().call(WSGIMiddleware(answering(Closing([], closed))))
        assert millpond.current_context() == {"worker": 7}
    told = [(record["message"], record["request_id"], record["fields"].get("step")) for record in logged(client)[:4]]
    assert told == [
        ("still in the block", "r-1", "in a block"),
        ("after the block", "r-1", None),
        ("still in the block", "r-2", "in a block"),
        ("after the block", "r-2", None),
    ]
    closing, outer = logged(client)[4:]
    assert closing["request_id"] == outer["request_id"]


def test_a_response_may_be_sent_by_another_thread(client: Recorder) -> None:
    def app(_environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        with millpond.context(step=1):
            yield b"a"
            log.info("part")
            yield b"b"

    server = Server(HTTP_X_REQUEST_ID="r-1")
    response = WSGIMiddleware(app)(server.environ, server.start_response)
    iterator = iter(response)
    next(iterator)
    left = []

    def rest() -> None:
        left.extend(iterator)
        response.close()  # type: ignore[attr-defined]
        left.append(millpond.current_context())

    thread = threading.Thread(target=rest)
    thread.start()
    thread.join()
    assert left == [b"b", {}]
    assert [record["request_id"] for record in logged(client)] == ["r-1", "r-1"]


def test_a_thread_of_the_application_takes_the_context_along(client: Recorder) -> None:
    def app(_environ: Any, start_response: Any) -> list[bytes]:
        thread = threading.Thread(target=contextvars.copy_context().run, args=(log.info, "in a thread"))
        thread.start()
        thread.join()
        start_response("200 OK", [])
        return []

    Server(HTTP_X_REQUEST_ID="r-1").call(WSGIMiddleware(app))
    assert [record["request_id"] for record in logged(client)] == ["r-1", "r-1"]


def test_a_request_that_passes_two_middlewares_is_recorded_once(client: Recorder) -> None:
    Server().call(WSGIMiddleware(WSGIMiddleware(answering([b"a"]))))
    the_request(client)


def test_health_checks_are_skipped_unless_they_fail(client: Recorder) -> None:
    Server(PATH_INFO="/healthz").call(WSGIMiddleware(answering([])))
    Server(PATH_INFO="/healthz", SCRIPT_NAME="/api").call(WSGIMiddleware(answering([])))
    Server(PATH_INFO="/healthz").call(WSGIMiddleware(answering([], "500 No")))
    assert the_request(client)["message"] == "GET /healthz 500"


def test_headers_and_bodies_are_recorded_on_request_and_redacted(client: Recorder) -> None:
    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        stream = environ["wsgi.input"]
        assert stream.read(3) + stream.readline() + b"".join(stream.readlines()) + b"".join(stream) == body
        assert stream.getvalue() == body
        start_response("200 OK", [("Content-Type", "application/json"), ("Set-Cookie", "a=b")])
        yield b'{"token": "t", '
        yield b'"name": "n"}'

    body = b"password=p&\nname=n\n&x=1"
    server = Server(
        REQUEST_METHOD="POST",
        CONTENT_TYPE="application/x-www-form-urlencoded",
        CONTENT_LENGTH=str(len(body)),
        HTTP_AUTHORIZATION="Basic YTpi",
        HTTP_X_KIND="gr\xc3\xbcn",
        **{"wsgi.input": io.BytesIO(body)},
    )
    server.call(WSGIMiddleware(app, capture_headers=["authorization", "x-kind", "Set-Cookie"], capture_body=True))
    fields = the_request(client)["fields"]
    assert fields["request_headers"] == {"authorization": "[REDACTED]", "x-kind": "grün"}
    assert fields["response_headers"] == {"set-cookie": "[REDACTED]"}
    assert fields["request_body"] == {"password": "[REDACTED]", "\nname": "n\n", "x": "1"}
    assert fields["response_body"] == {"token": "[REDACTED]", "name": "n"}


def test_only_a_trusted_proxy_names_the_client(client: Recorder) -> None:
    trusting = WSGIMiddleware(answering([]), trusted_proxies=["10.0.0.0/8", "unix"])
    for address, header in (("10.0.0.1", "6.6.6.6, 1.1.1.1"), ("9.9.9.9", "1.1.1.1"), ("", "1.1.1.1")):
        Server(REMOTE_ADDR=address, HTTP_X_FORWARDED_FOR=header).call(trusting)
    assert [record["fields"]["ip"] for record in requests(client)] == ["1.1.1.1", "9.9.9.9", "1.1.1.1"]


def test_both_middlewares_take_the_same_options() -> None:
    for middleware in (ASGIMiddleware, WSGIMiddleware):
        with pytest.raises(TypeError, match="skip_path"):
            middleware(answering([]), skip_path="/x")  # type: ignore[call-arg]


def test_the_documentation_works(client: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = Page("wsgi", client, tmp_path, monkeypatch).run("shop.py")["app"]
    assert Server(PATH_INFO="/x").call(app) == b"first\nsecond\n"
    records = logged(client)
    assert [record["message"] for record in records] == ["asked", "line made", "line made", "GET /x 200"]
    assert len({record["request_id"] for record in records}) == 1


@pytest.mark.parametrize("sized", ["one part", "content-length", "neither"])
def test_a_response_whose_last_byte_was_taken_is_complete_though_nobody_asks_for_more(
    client: Recorder, sized: str
) -> None:
    headers = [("Content-Length", "4")] if sized == "content-length" else []
    parts = [b"body"] if sized == "one part" else iter([b"bo", b"dy", b""])
    server = Server()
    response = WSGIMiddleware(answering(parts, "200 OK", *headers))(server.environ, server.start_response)
    taken = next(iter(response))
    while len(taken) < 4:
        taken += next(iter(response))
    response.close()  # type: ignore[attr-defined]
    record = the_request(client)
    assert record["fields"]["status"] == (499 if sized == "neither" else 200)

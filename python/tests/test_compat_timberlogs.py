"""What the drop-in for Timberlogs' client does better than the original."""

from __future__ import annotations

import asyncio
import decimal
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

import millpond
from conftest import Program
from millpond.compat.timberlogs import (
    IngestRawOptions,
    LogEntry,
    LogOptions,
    TimberlogsClient,
    ValidationError,
    client,
    create_timberlogs,
)
from millpond.compat.timberlogs.types import validate_log_payload
from recorder import Recorder

PATIENCE_S = 20.0


class Server(Recorder):
    """Answers as Timberlogs does. ``requests`` holds every request: path, headers and body."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], str]] = []
        #: Answers of the next requests, before any other.
        self.answers: list[tuple[int, Any]] = []
        #: A batch with a log of this message is refused, whole.
        self.poison: str | None = None
        #: Requests wait for it.
        self.open = threading.Event()
        self.open.set()
        super().__init__()

    def _take(self, headers: dict[str, str], body: bytes) -> tuple[int, Any, bool]:
        self.requests.append((headers["path"], headers, body.decode()))
        self.open.wait(PATIENCE_S)
        if self.answers:
            return *self.answers.pop(0), False
        if self.status != 200:
            return self.status, {"error": "Invalid API key"}, False
        if headers["content-type"] == "application/json" and "?" not in headers["path"]:
            logs = json.loads(body)["logs"]
            if self.poison in [log.get("message") for log in logs]:
                return 400, {"error": "Validation error"}, False
            with self._lock:
                self.records += logs
        return 200, {"success": True, "count": 1, "timestamp": 1}, False

    @property
    def messages(self) -> list[Any]:
        with self._lock:
            return [record.get("message") for record in self.records]


@pytest.fixture
def server() -> Iterator[Server]:
    recorder = Server()
    yield recorder
    recorder.open.set()
    recorder.close()


@pytest.fixture
def make(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., TimberlogsClient]]:
    """Makes clients of the server, which never wait long."""
    monkeypatch.setenv("MILLPOND_ENDPOINT", server.url)
    made: list[TimberlogsClient] = []

    def make(**options: Any) -> TimberlogsClient:
        settings: dict[str, Any] = {"api_key": "k", "initial_delay_ms": 1, "max_delay_ms": 20, "max_retries": 1}
        made.append(create_timberlogs("shop", "production", **{**settings, **options}))
        return made[-1]

    yield make
    server.open.set()
    server.status, server.answers = 200, []
    for one in made:
        one.disconnect()


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.01)


def test_log_calls_return_while_the_server_does_not_answer(
    make: Callable[..., TimberlogsClient], server: Server
) -> None:
    server.open.clear()
    timber = make(batch_size=1)
    threads = [threading.Thread(target=lambda: [timber.info("x") for _ in range(50)]) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    assert server.messages == []
    server.open.set()
    server.wait_for(100)


def test_a_log_has_the_time_of_its_call(make: Callable[..., TimberlogsClient], server: Server) -> None:
    server.open.clear()
    before = time.time_ns() // 1_000_000
    make(batch_size=1).info("x")
    after = time.time_ns() // 1_000_000
    server.open.set()
    assert before <= server.wait_for(1)[0]["timestamp"] <= after


def test_logs_refused_for_their_key_are_kept_until_it_is_taken(
    make: Callable[..., TimberlogsClient], server: Server
) -> None:
    server.status = 401
    errors: list[Any] = []
    timber = make(on_error=errors.append)
    timber.info("one").info("two").flush()
    assert errors[0].response.status_code == 401
    assert errors[0].response.json() == {"error": "Invalid API key"}
    server.status = 200
    timber.flush()
    assert server.wait_for(2) and server.messages == ["one", "two"]


def test_one_bad_log_does_not_cost_the_others(make: Callable[..., TimberlogsClient], server: Server) -> None:
    server.poison = "bad"
    errors: list[Any] = []
    timber = make(on_error=errors.append)
    for message in ("one", "bad", "two", "three"):
        timber.info(message)
    timber.flush()
    assert server.messages == ["one", "two", "three"]
    assert [error.response.status_code for error in errors] == [400]


def test_a_batch_has_at_most_the_logs_that_the_server_takes(
    make: Callable[..., TimberlogsClient], server: Server
) -> None:
    timber = make(batch_size=1000, flush_interval=0)
    for number in range(150):
        timber.info(str(number))
    timber.flush()
    assert server.messages == [str(number) for number in range(150)]
    assert max(len(json.loads(body)["logs"]) for _, _, body in server.requests) == 100


def test_a_full_queue_is_told_and_does_not_raise(
    make: Callable[..., TimberlogsClient], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(millpond.Shipper, "ship", lambda self, entry: False)
    make().info("x").info("y")
    assert capfd.readouterr().err.count("the queue is full") == 1


def test_any_value_can_be_data(make: Callable[..., TimberlogsClient], server: Server) -> None:
    make(batch_size=1).info("x", {"price": decimal.Decimal("1.50"), "tags": {1}, "not": float("nan"), "half": "\ud800"})
    assert server.wait_for(1)[0]["data"] == {"price": "1.50", "tags": [1], "not": "NaN", "half": "\ufffd"}


def test_data_is_that_of_the_call(make: Callable[..., TimberlogsClient], server: Server) -> None:
    timber = make(flush_interval=0)
    data = {"step": 1}
    timber.info("x", data)
    data["step"] = 2
    timber.flush()
    assert server.records[0]["data"] == {"step": 1}


def test_data_that_is_no_object_becomes_one(make: Callable[..., TimberlogsClient], server: Server) -> None:
    make(batch_size=1).error("x", "text")  # type: ignore[arg-type]
    assert server.wait_for(1)[0]["data"] == {"value": "text"}


def test_interrupts_are_exceptions_too(make: Callable[..., TimberlogsClient], server: Server) -> None:
    make(batch_size=1).error("x", KeyboardInterrupt("stop"))  # type: ignore[arg-type]
    log = server.wait_for(1)[0]
    assert (log["errorName"], log["data"]) == ("KeyboardInterrupt", {"message": "stop"})


def test_a_long_traceback_is_cut_in_the_middle(make: Callable[..., TimberlogsClient], server: Server) -> None:
    try:
        raise ValueError("begin" + "x" * 20_000 + "end")
    except ValueError as error:
        make(batch_size=1).error("x", error)
    stack = server.wait_for(1)[0]["errorStack"]
    assert len(stack) == 10_000
    assert stack.startswith("Traceback") and stack.endswith("end\n")


def test_an_exception_that_can_not_be_shown_is_logged(make: Callable[..., TimberlogsClient], server: Server) -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    make(batch_size=1).error("x", Mute())
    assert server.wait_for(1)[0]["data"] == {"message": "<unprintable Mute>"}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("message", "", "message must be at least 1 character(s), got 0"),
        ("message", "x" * 10_001, "message exceeds 10000 characters: 10001"),
        ("userId", "x" * 101, "userId exceeds 100 characters: 101"),
        ("errorStack", "x" * 10_001, "errorStack exceeds 10000 characters: 10001"),
        ("stepIndex", 1001, "stepIndex must be 0-1000, got 1001"),
        ("tags", ["x"] * 21, "tags must have at most 20 items, got 21"),
        ("tags", ["x", "y" * 51], "tags[1] exceeds 50 characters: 51"),
    ],
)
def test_limits_are_told_in_the_words_of_the_original(name: str, value: object, message: str) -> None:
    with pytest.raises(ValidationError) as raised:
        validate_log_payload({"message": "m", name: value})
    assert str(raised.value) == message


def test_a_tag_that_is_no_text_does_not_raise(make: Callable[..., TimberlogsClient], server: Server) -> None:
    make(batch_size=1).info("x", None, LogOptions(tags=["a", 5]))  # type: ignore[list-item]
    assert server.wait_for(1)[0]["tags"] == ["a", 5]


def test_a_client_without_a_key_says_once_that_it_drops(capfd: pytest.CaptureFixture[str]) -> None:
    with create_timberlogs("shop", "production") as timber:
        timber.info("x").info("y")
    output = capfd.readouterr()
    assert (output.out, output.err.count("there is no api_key")) == ("", 1)


def test_a_disconnected_client_says_once_that_it_drops(
    make: Callable[..., TimberlogsClient], server: Server, capfd: pytest.CaptureFixture[str]
) -> None:
    timber = make()
    timber.info("before").disconnect()
    assert timber.info("after").info("again") is timber
    assert server.messages == ["before"]
    assert capfd.readouterr().err.count("disconnected") == 1


def test_a_client_that_is_disconnected_in_an_outage_says_that_it_drops(
    make: Callable[..., TimberlogsClient], server: Server, capfd: pytest.CaptureFixture[str]
) -> None:
    server.status = 500
    make().info("lost").disconnect()
    assert "logs that could not be delivered are dropped" in capfd.readouterr().err


def test_raw_logs_are_sent_by_a_disconnected_client(make: Callable[..., TimberlogsClient], server: Server) -> None:
    timber = make()
    timber.disconnect()
    timber.ingest_raw("x", "text")
    assert [body for _, _, body in server.requests] == ["x"]


def test_failures_are_told_on_stderr(
    make: Callable[..., TimberlogsClient], server: Server, capfd: pytest.CaptureFixture[str]
) -> None:
    server.status = 500
    timber = make()
    timber.info("x").flush()
    timber.flush()
    output = capfd.readouterr()
    assert output.out == ""
    assert output.err.count("Timberlogs error: ") == 1


def test_on_error_is_called_once_for_all_retries(make: Callable[..., TimberlogsClient], server: Server) -> None:
    errors: list[Exception] = []
    server.answers = [(500, {})] * 3
    timber = make(on_error=errors.append, max_retries=2)
    timber.info("x").flush()
    assert len(errors) == 1
    timber.flush()
    assert (server.messages, len(server.requests), len(errors)) == (["x"], 4, 1)


def test_logs_that_a_success_refuses_are_told(make: Callable[..., TimberlogsClient], server: Server) -> None:
    server.answers = [(200, {"success": True, "count": 1, "rejected": [{"index": 0, "reason": "no level"}]})]
    errors: list[Any] = []
    make(on_error=errors.append).info("x").info("y").flush()
    wait_until(lambda: errors)
    assert errors[0].response.json()["rejected"][0]["reason"] == "no level"


def test_a_key_that_no_header_can_hold_is_refused_at_once(make: Callable[..., TimberlogsClient]) -> None:
    with pytest.raises(ValueError, match="X-API-Key"):
        make(api_key="a\nb")
    make(api_key="k\n").ingest_raw("x", "text")


def test_an_on_error_that_raises_does_not_reach_the_caller(
    make: Callable[..., TimberlogsClient], server: Server, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(error: Exception) -> None:
        raise RuntimeError("no")

    server.status = 500
    make(on_error=fail).info("x").flush()
    wait_until(lambda: "on_error raised RuntimeError: no" in capfd.readouterr().err)


def test_where_there_is_no_httpx_its_exceptions_have_stand_ins(
    make: Callable[..., TimberlogsClient], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    server.status = 400
    with pytest.raises(Exception, match="HTTP 400 Bad Request for url") as raised:
        make().ingest_raw("x", "text")
    error: Any = raised.value
    assert type(error).__name__ == "HTTPStatusError"
    assert error.response.status_code == 400 and error.response.json() == {"error": "Invalid API key"}
    assert error.request.url.startswith(server.url)


def test_parameters_of_raw_logs_are_encoded(make: Callable[..., TimberlogsClient], server: Server) -> None:
    make().ingest_raw("x", "text", IngestRawOptions(source="a&b#c+d 100%", dataset="ü"))
    query = parse_qs(urlsplit(server.requests[0][0]).query)
    assert query == {"format": ["text"], "source": ["a&b#c+d 100%"], "dataset": ["ü"]}


def test_raw_logs_that_were_refused_are_not_sent_again(make: Callable[..., TimberlogsClient], server: Server) -> None:
    import httpx

    server.status = 400
    with pytest.raises(httpx.HTTPStatusError):
        make(max_retries=3).ingest_raw("x", "json")
    assert len(server.requests) == 1


def test_raw_logs_are_sent_again_under_the_same_key(make: Callable[..., TimberlogsClient], server: Server) -> None:
    server.answers = [(503, {}), (429, {"retryAfter": 60})]
    make(max_retries=2).ingest_raw("x", "json")
    assert len({headers["idempotency-key"] for _, headers, _ in server.requests}) == 1
    assert len(server.requests) == 3


@pytest.mark.parametrize("asked", [0.01, 86_400, "soon", pytest.param(10**400, id="huge")])
def test_raw_logs_are_sent_again_whatever_wait_the_answer_asks_for(
    make: Callable[..., TimberlogsClient], server: Server, asked: object
) -> None:
    server.answers = [(429, {"retryAfter": asked})]
    make(max_delay_ms=50).ingest_raw("x", "json")
    assert len(server.requests) == 2


def test_there_is_always_one_attempt(make: Callable[..., TimberlogsClient], server: Server) -> None:
    import httpx

    timber = make(max_retries=-1)
    timber.ingest_raw("x", "json")
    timber.info("y").flush()
    assert len(server.requests) == 2
    server.status = 500
    with pytest.raises(httpx.HTTPStatusError):
        timber.ingest_raw("x", "json")


def test_a_client_serves_one_event_loop_after_the_other(make: Callable[..., TimberlogsClient], server: Server) -> None:
    timber = make()
    for message in ("one", "two"):
        timber.info(message)
        asyncio.run(timber.flush_async())
        asyncio.run(timber.ingest_raw_async(message, "text"))
    assert server.messages == ["one", "two"]


@pytest.mark.parametrize("answer", [[], None, {}, {"flowId": ""}])
def test_a_flow_that_the_server_did_not_make_is_an_error(
    make: Callable[..., TimberlogsClient], server: Server, answer: object
) -> None:
    server.answers = [(200, answer)]
    with pytest.raises(RuntimeError, match="Invalid flow response: missing flowId"):
        asyncio.run(make().flow_async("checkout"))


def test_no_two_threads_log_the_same_step(make: Callable[..., TimberlogsClient], server: Server) -> None:
    timber = make(batch_size=100)
    flow = timber.flow("import")
    threads = [threading.Thread(target=lambda: [flow.info("x") for _ in range(100)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    timber.flush()
    assert sorted(record["stepIndex"] for record in server.records) == list(range(400))


def test_a_refused_step_leaves_no_gap(make: Callable[..., TimberlogsClient], server: Server) -> None:
    timber = make()
    flow = timber.flow("import").info("first")
    with pytest.raises(ValidationError):
        flow.info("")
    flow.info("second")
    timber.flush()
    assert [record["stepIndex"] for record in server.records] == [0, 1]


def test_a_flow_goes_on_past_its_last_number(make: Callable[..., TimberlogsClient], server: Server) -> None:
    timber = make(batch_size=100)
    flow = timber.flow("import")
    for _ in range(1002):
        flow.info("x")
    timber.flush()
    last, after = server.wait_for(1002)[-2:]
    assert last["stepIndex"] == 1000
    assert "stepIndex" not in after and after["flowId"] == flow.id


def test_a_long_name_of_a_flow_fits_its_id(make: Callable[..., TimberlogsClient], server: Server) -> None:
    flow = make(batch_size=1).flow("x" * 60).info("step")
    assert flow.name == "x" * 60
    assert len(server.wait_for(1)[0]["flowId"]) == 50


def test_a_subclass_that_overrides_log_sees_the_steps_of_flows(
    make: Callable[..., TimberlogsClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[LogEntry] = []
    monkeypatch.setattr(TimberlogsClient, "log", lambda self, entry: seen.append(entry))
    flow = make().flow("import").info("x")
    assert [(entry.flow_id, entry.step_index) for entry in seen] == [(flow.id, 0)]


def test_addresses_that_are_set_in_the_module_count(
    make: Callable[..., TimberlogsClient], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    timber = make()
    timber.info("x").flush()
    monkeypatch.setattr(client, "LOGS_ENDPOINT", f"{server.url}/elsewhere")
    timber.info("y").flush()
    assert [path for path, _, _ in server.requests] == ["/v1/logs", "/elsewhere"]


def test_what_is_set_as_an_address_and_is_none_does_not_raise(
    make: Callable[..., TimberlogsClient], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    timber = make()
    monkeypatch.setattr(client, "LOGS_ENDPOINT", "elsewhere")
    timber.info("x").info("y")
    timber.disconnect()
    timber.info("z")
    said = capfd.readouterr().err
    assert (said.count("'elsewhere'"), said.count("the client is disconnected")) == (1, 1)


PROGRAM = """
    from millpond.compat.timberlogs import create_timberlogs

    timber = create_timberlogs("shop", "production", api_key="k", flush_interval=0)
    timber.info("before")
"""


def test_what_is_left_is_sent_at_the_end_of_the_program(program: Program, server: Server) -> None:
    program.run(PROGRAM)
    assert server.messages == ["before"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no such signals")
def test_what_is_left_is_sent_on_sigterm(program: Program, server: Server) -> None:
    done = program.run(PROGRAM + "    import os\n    os.kill(os.getpid(), 15)\n", check=False)
    assert (done.returncode, server.messages) == (-15, ["before"])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_child_sends_its_own_logs_only(program: Program, server: Server) -> None:
    program.run(
        PROGRAM
        + """
    import os

    child = os.fork()
    if child == 0:
        timber.info("child").flush()
        os._exit(0)
    os.waitpid(child, 0)
    timber.info("parent").flush()
    """
    )
    assert sorted(server.messages) == ["before", "child", "parent"]

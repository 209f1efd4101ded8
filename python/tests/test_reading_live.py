"""The live stream, and what signals, forks and the end of the program do to a read."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

import millpond
from log_server import PATIENCE_S, LogServer
from millpond._log import Log
from millpond._read_errors import AccessError
from millpond._reading import StopHandle


@pytest.fixture
def reading(logs: LogServer) -> millpond.Client:
    return millpond.Client(endpoint=logs.url)


def test_a_stream_gives_what_is_stored_from_now_on(logs: LogServer, reading: millpond.Client) -> None:
    logs.add("before")

    def add_when_asked() -> None:
        logs.wait_for_requests(1)
        logs.add()
        logs.add(level="error")

    with reading.stream("q", level="error", service="api") as stream:
        ready = threading.Thread(target=add_when_asked)
        ready.start()
        log = next(stream)
        assert (log.id, log.level) == ("3", "error")
        ready.join()
    assert logs.requests[0].parameters == {"q": "q", "level": "error", "service": "api"}
    assert next(stream, None) is None
    logs.wait(lambda: logs.left == 1, "closed stream")


def test_a_stream_that_breaks_loses_nothing_and_repeats_nothing(logs: LogServer, reading: millpond.Client) -> None:
    with reading.stream(resume_after="0") as stream:
        for number in range(1, 4):
            logs.add()
            assert next(stream).id == str(number)
            logs.cut_streams()
    assert stream.position == "3"


def test_a_stream_knows_how_far_it_is_and_another_one_goes_on_there(logs: LogServer, reading: millpond.Client) -> None:
    for _ in range(3):
        logs.add()
    stream = reading.stream(resume_after="0")
    assert stream.position == "0"
    assert next(stream).id == "1"
    assert stream.position == "1"
    stream.stop()
    logs.add()
    with reading.stream(resume_after=stream.position) as later:
        assert [next(later).id for _ in range(3)] == ["2", "3", "4"]


def test_the_place_of_a_stream_moves_while_there_is_no_log(logs: LogServer, reading: millpond.Client) -> None:
    logs.add(level="error")
    for _ in range(5):
        logs.add()
    with reading.stream(level="error", resume_after="0") as stream:
        assert next(stream).id == "1"
        deadline = time.monotonic() + PATIENCE_S
        while stream.position != "6":
            assert time.monotonic() < deadline, stream.position
            time.sleep(0.01)


def test_a_stream_is_stopped_from_another_thread(logs: LogServer, reading: millpond.Client) -> None:
    stream = reading.stream()
    got: list[Log] = []
    reader = threading.Thread(target=lambda: got.extend(stream))
    reader.start()
    logs.wait_for_requests(1)
    stream.stop()
    reader.join(PATIENCE_S)
    assert not reader.is_alive() and got == []


def test_a_stream_that_is_forgotten_closes_its_connection(logs: LogServer, reading: millpond.Client) -> None:
    logs.add()
    for log in reading.stream(resume_after="0"):
        assert log.id == "1"
        break
    logs.wait(lambda: logs.left == 1, "closed stream")


def test_what_time_will_not_heal_ends_a_stream_with_an_error(logs: LogServer, reading: millpond.Client) -> None:
    logs.refuse(503, "overloaded", "later")
    logs.refuse(401, "invalid_key", "the key was revoked")
    stream = reading.stream()
    with pytest.raises(AccessError, match="the key was revoked"):
        next(stream)
    assert next(stream, None) is None


def test_a_stream_tells_why_there_is_no_connection(reading: millpond.Client, logs: LogServer) -> None:
    for _ in range(1000):
        logs.refuse(503, "overloaded", "later")
    stream = reading.stream()
    assert stream.outage is None
    reader = threading.Thread(target=list, args=(stream,))
    reader.start()
    deadline = time.monotonic() + PATIENCE_S
    while stream.outage is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert stream.outage is not None and stream.outage.code == "overloaded"
    stream.stop()
    reader.join(PATIENCE_S)
    assert not reader.is_alive()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_child_can_not_go_on_with_the_stream_of_its_parent_and_opens_another(
    logs: LogServer, reading: millpond.Client
) -> None:
    logs.add()
    stream = reading.stream(resume_after="0")
    assert next(stream).id == "1"
    child = os.fork()
    if child == 0:
        status = 1
        try:
            stream.stop()
            try:
                next(stream)
            except RuntimeError as error:
                own = next(reading.stream(resume_after="0")).id
                status = 0 if own == "1" and reading.query() and "open another" in str(error) else 2
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    logs.add()
    assert next(stream).id == "2"


def test_a_tail_calls_a_function_until_it_is_stopped(logs: LogServer, reading: millpond.Client) -> None:
    got: list[str] = []
    arrived = threading.Event()

    def on_log(log: Log) -> None:
        got.append(log.id)
        if len(got) == 2:
            arrived.set()

    tail = reading.tail(on_log, resume_after="0")
    logs.add()
    logs.add()
    assert arrived.wait(PATIENCE_S)
    assert tail.is_running and tail.position == "2"
    assert tail.stop() and not tail.is_running
    logs.add()
    assert got == ["1", "2"]


def test_a_callback_that_raises_ends_its_tail_and_the_error_is_told(logs: LogServer, reading: millpond.Client) -> None:
    logs.add()
    errors: list[Exception] = []
    stopped: list[bool] = []
    handles: list[StopHandle] = []
    begun = threading.Event()

    def on_log(_: Log) -> None:
        begun.wait(PATIENCE_S)
        # Its own thread does not wait for its own end.
        stopped.append(handles[0].stop())
        raise ZeroDivisionError

    handles.append(reading.tail(on_log, resume_after="0", on_error=errors.append))
    begun.set()
    assert handles[0].wait(PATIENCE_S)
    assert isinstance(errors[0], ZeroDivisionError)
    assert stopped == [False]


# Signals and exit


PATH = os.pathsep.join(path for path in sys.path if path)
PROGRAM = """
import sys, threading
import millpond

client = millpond.Client(endpoint=sys.argv[1])
"""


def start(logs: LogServer, code: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", PROGRAM + code, logs.url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": PATH},
    )


@pytest.mark.parametrize("wait", ["client.query()", "next(client.stream())", "client.ingest_raw('text', 'a')"])
def test_ctrl_c_ends_a_wait_at_once(logs: LogServer, wait: str) -> None:
    logs.hangs = True
    program = start(logs, f"try:\n    {wait}\nexcept KeyboardInterrupt:\n    print('interrupted')")
    logs.wait_for_requests(1)
    began = time.monotonic()
    program.send_signal(signal.SIGINT)
    out, err = program.communicate(timeout=PATIENCE_S)
    assert (program.returncode, out, err) == (0, "interrupted\n", "")
    assert time.monotonic() - began < 5
    logs.wait(lambda: logs.left == 1, "closed connection")


@pytest.mark.parametrize("wait", ["client.query", "lambda: next(client.stream())", "lambda: client.tail(print)"])
def test_a_program_ends_while_its_daemon_threads_read(logs: LogServer, wait: str) -> None:
    logs.hangs = True
    code = f"threading.Thread(target={wait}, daemon=True).start()\nsys.stdin.readline()"
    program = start(logs, code)
    logs.wait_for_requests(1)
    out, err = program.communicate("\n", timeout=PATIENCE_S)
    assert (program.returncode, out, err) == (0, "", "")

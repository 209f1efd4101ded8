"""Application servers that fork, reload, recycle and kill their workers: every record arrives, none twice."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from recorder import Recorder
from running import Running, Start, each_once, eventually, get, is_spooled, messages, needs_fork

pytestmark = needs_fork

WSGI = """
import os
import millpond

millpond.init()
log = millpond.get_logger("app")
log.info("loaded")

def app(environ, start_response):
    log.info("GET " + environ["PATH_INFO"])
    start_response("200 OK", [("content-type", "text/plain")])
    return [str(os.getpid()).encode()]
"""

ASGI = """
import os
import millpond
from millpond.middleware import ASGIMiddleware

millpond.init()
log = millpond.get_logger("app")
log.info("loaded")

async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            event = (await receive())["type"]
            await send({"type": event + ".complete"})
            if event == "lifespan.shutdown":
                return
    log.info("GET " + scope["path"])
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(os.getpid()).encode()})

# Keeps quiet about the requests; what matters is that it flushes when the server ends.
app = ASGIMiddleware(application, skip_paths=[f"/{n}" for n in range(100)])
"""

#: A worker that is told to end while it starts may miss it. A setting that an older gunicorn does not have is ignored.
GUNICORN = """
control_socket_disable = True

def post_worker_init(worker):
    print("ready", worker.pid)
"""

UVICORN = "uvicorn_worker.UvicornWorker"
#: Nothing is sent but by a flush: what arrives, an exit has waited for.
PATIENT = {"MILLPOND_BATCH_AGE_S": "600"}


def gunicorn(
    start: Start, worker: str, *options: str, workers: int = 1, **environment: str
) -> tuple[Running, int]:
    pytest.importorskip("gunicorn")
    if worker == UVICORN:
        pytest.importorskip("uvicorn_worker")
    start.file("served.py", ASGI if worker == UVICORN else WSGI)
    start.file("gunicorn.conf.py", GUNICORN)
    always = ["--bind", "127.0.0.1:0", "--worker-class", worker, "--workers", str(workers)]
    running = start("-m", "gunicorn", *always, *options, "served:app", **environment)
    running.wait_for_output(r"ready \d+", workers)
    (port,) = running.wait_for_output(r"Listening at: http://127\.0\.0\.1:(\d+)")
    return running, int(port)


def uvicorn(start: Start, *options: str, **environment: str) -> tuple[Running, int]:
    pytest.importorskip("uvicorn")
    start.file("served.py", ASGI)
    running = start("-m", "uvicorn", "--port", "0", *options, "served:app", **environment)
    (port, *_) = running.wait_for_output(r"running on http://127\.0\.0\.1:(\d+)")
    return running, int(port)


def ask(port: int, numbers: range) -> set[str]:
    """One request for each number; the ids of the processes that answered."""
    return {get(port, f"/{number}") for number in numbers}


def requests(numbers: range) -> list[str]:
    return [f"GET /{number}" for number in numbers]


@pytest.mark.parametrize("preload", [False, True], ids=["each-loads", "preload"])
@pytest.mark.parametrize("worker", ["sync", "gthread", UVICORN])
def test_workers_of_gunicorn_deliver_when_they_are_told_to_end(
    start: Start, server: Recorder, worker: str, preload: bool
) -> None:
    options = ["--preload"] if preload else []
    running, port = gunicorn(start, worker, *options, workers=2, **PATIENT)
    ask(port, range(20))
    assert running.stop() == 0, running.output
    # Who dies by a signal after the lifespan (the workers of uvicorn) can't be waited for longer than that.
    each_once(server, requests(range(20)), "GET")
    loaded = len(messages(server, "loaded"))
    assert loaded == 1 if preload else 1 <= loaded <= 2


@pytest.mark.parametrize("preload", [False, True], ids=["each-loads", "preload"])
def test_a_reload_of_gunicorn_loses_nothing_of_the_workers_before(
    start: Start, server: Recorder, preload: bool
) -> None:
    options = ["--preload"] if preload else []
    running, port = gunicorn(start, "sync", *options, **PATIENT)
    before = ask(port, range(5))
    running.tell(signal.SIGHUP)
    asked = [5]

    def is_another() -> bool:
        asked[0] += 1
        return ask(port, range(asked[0] - 1, asked[0])).isdisjoint(before)

    eventually(is_another, lambda: running.output, running)
    ask(port, range(asked[0], asked[0] + 5))
    assert running.stop() == 0, running.output
    each_once(server, requests(range(asked[0] + 5)), "GET")


@pytest.mark.parametrize("worker", ["sync", "gthread"])
def test_workers_that_are_recycled_deliver_first(start: Start, server: Recorder, worker: str) -> None:
    running, port = gunicorn(start, worker, "--max-requests", "4", **PATIENT)
    workers, refused = set(), []
    for number in range(16):
        try:
            workers |= ask(port, range(number, number + 1))
        except ConnectionError:
            # The threads of an older gunicorn leave with connections that they did not answer.
            refused.append(f"GET /{number}")
    assert len(workers) >= 3 and len(refused) < 8
    assert running.stop() == 0, running.output
    logged = set(messages(server, "GET"))
    each_once(server, [text for text in requests(range(16)) if text in logged or text not in refused], "GET")


@pytest.mark.parametrize("preload", [False, True], ids=["each-loads", "preload"])
def test_what_a_killed_worker_had_spooled_is_delivered_by_the_next_one(
    start: Start, server: Recorder, tmp_path: Path, preload: bool
) -> None:
    spool = tmp_path / "spool"
    options = ["--preload"] if preload else []
    server.status = 503
    running, port = gunicorn(start, "sync", *options, MILLPOND_SPOOL_DIR=str(spool))
    (worker,) = ask(port, range(10))
    eventually(lambda: is_spooled(spool, "GET /9"), lambda: running.output, running)
    os.kill(int(worker), signal.SIGKILL)
    running.wait_for_output(r"ready \d+", 2)
    server.status = 200
    (successor,) = ask(port, range(10, 12))
    assert successor != worker
    eventually(lambda: len(messages(server, "GET")) >= 12, lambda: str(messages(server)), running)
    assert running.stop() == 0, running.output
    each_once(server, requests(range(12)), "GET")
    recovered = [record["message"] for record in server.records if record.get("recovered")]
    assert set(requests(range(10))) <= set(recovered)


def test_uvicorn_that_dies_by_its_signal_has_delivered(start: Start, server: Recorder) -> None:
    """It raises the signal again after the lifespan, and no exit function runs: the middleware flushes."""
    running, port = uvicorn(start, **PATIENT)
    ask(port, range(10))
    running.stop()
    each_once(server, ["loaded", *requests(range(10))])


def test_workers_of_uvicorn_deliver_when_they_are_told_to_end(start: Start, server: Recorder) -> None:
    running, port = uvicorn(start, "--workers", "2", **PATIENT)
    running.wait_for_output("Application startup complete", 2)
    ask(port, range(10))
    assert running.stop() == 0, running.output
    each_once(server, ["loaded", "loaded", *requests(range(10))])


def test_both_lives_of_a_reloaded_uvicorn_deliver(start: Start, server: Recorder) -> None:
    running, port = uvicorn(start, "--reload", **PATIENT)
    running.wait_for_output("Application startup complete")
    before = ask(port, range(5))
    changed = os.stat(start.directory / "served.py").st_mtime

    def is_noticed() -> bool:
        """What changed before the first look is not a change: it is touched until it was seen."""
        nonlocal changed
        changed += 1
        os.utime(start.directory / "served.py", (changed, changed))
        return "detected changes" in running.output

    eventually(is_noticed, lambda: running.output, running)
    running.wait_for_output("Application startup complete", 2)
    assert ask(port, range(5, 10)).isdisjoint(before)
    running.stop()
    each_once(server, ["loaded", "loaded", *requests(range(10))])


def test_the_servers_run_with_this_interpreter(start: Start) -> None:
    running = start("-c", "import sys; print(sys.version_info[:2])")
    assert running.wait() == 0
    assert running.output.strip() == str(sys.version_info[:2])

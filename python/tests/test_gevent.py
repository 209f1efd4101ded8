"""gevent: what greenlets log arrives, and a greenlet that flushes holds up nobody."""

from __future__ import annotations

import pytest

from recorder import Recorder
from running import Start, each_once, needs_fork
from test_servers import PATIENT, ask, gunicorn, requests

pytest.importorskip("gevent")

HEAD = """
from gevent import monkey
monkey.patch_all()
import gevent, os, sys, threading, time
import millpond
millpond.init(batch_age_s=600)
log = millpond.get_logger("program")
"""


def run(start: Start, code: str, **environment: str) -> str:
    start.file("program.py", HEAD + code)
    running = start("program.py", **environment)
    assert running.wait() == 0, running.output
    return running.output


def test_what_greenlets_and_patched_threads_log_arrives_at_exit(start: Start, server: Recorder) -> None:
    code = """
def work(name):
    for n in range(5):
        with millpond.context(request_id=name):
            gevent.sleep(0)
            log.info(f"{name} {n}")

greenlets = [gevent.spawn(work, f"greenlet{n}") for n in range(20)]
threads = [threading.Thread(target=work, args=(f"thread{n}",)) for n in range(5)]
for thread in threads: thread.start()
gevent.joinall(greenlets, raise_error=True)
for thread in threads: thread.join()
"""
    run(start, code)
    names = [f"greenlet{n}" for n in range(20)] + [f"thread{n}" for n in range(5)]
    each_once(server, [f"{name} {n}" for name in names for n in range(5)])
    assert all(record["message"].startswith(record["request_id"] + " ") for record in server.records)


def test_a_greenlet_that_flushes_holds_up_nobody(start: Start) -> None:
    """Nothing can be delivered, so that two greenlets wait for as long as they may; a third one goes on meanwhile."""
    code = """
log.info("m")
turns = 0

def turn():
    global turns
    while True:
        turns += 1
        gevent.sleep(0.01)

def flush():
    before = turns
    return millpond.flush(0.6), turns - before > 3

turning = gevent.spawn(turn)
started = time.monotonic()
flushes = [gevent.spawn(flush) for _ in range(2)]
gevent.joinall(flushes, raise_error=True)
assert [flush.value for flush in flushes] == [(False, True), (False, True)]
assert 0.5 < time.monotonic() - started < 5
# Afterwards everything is as it was before.
assert millpond.flush(0) is False and millpond.metrics()["queued"] == 1
turning.kill()
"""
    run(start, code, MILLPOND_ENDPOINT="http://127.0.0.1:9", MILLPOND_SHUTDOWN_TIMEOUT_S="0")


def test_a_flush_under_gevent_ends_when_all_is_delivered(start: Start, server: Recorder) -> None:
    code = """
log.info("m")
assert gevent.spawn(millpond.flush, 30).get() is True
# From a callback of the hub, where nothing may switch.
log.info("of the hub")
done = []
gevent.get_hub().loop.run_callback(lambda: done.append(millpond.flush(30)))
gevent.sleep(0.01)
while not done: gevent.sleep(0.01)
assert done == [True]
os._exit(0)
"""
    run(start, code)
    each_once(server, ["m", "of the hub"])


@needs_fork
def test_a_forked_child_of_greenlets_delivers(start: Start, server: Recorder) -> None:
    code = """
log.info("parent")
child = gevent.fork()
if child == 0:
    gevent.spawn(log.info, "child").join()
    os._exit(0 if millpond.flush(20) else 1)
assert os.waitpid(child, 0)[1] == 0
"""
    run(start, code)
    each_once(server, ["parent", "child"])


@needs_fork
@pytest.mark.parametrize("preload", [False, True], ids=["each-loads", "preload"])
def test_gevent_workers_of_gunicorn_deliver_when_they_are_told_to_end(
    start: Start, server: Recorder, preload: bool
) -> None:
    options = ["--preload"] if preload else []
    running, port = gunicorn(start, "gevent", *options, workers=2, **PATIENT)
    ask(port, range(20))
    assert running.stop() == 0, running.output
    each_once(server, requests(range(20)), "GET")

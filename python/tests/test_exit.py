"""The ends that a process can meet, and the places where a log call is least expected."""

from __future__ import annotations

import signal
import socket
import sys
import time
from pathlib import Path

import pytest

from recorder import Recorder
from running import Running, Start, each_once, eventually, is_spooled, messages

HEAD = """
import gc, os, signal, sys, threading, time
import millpond
millpond.init(batch_age_s=600)
log = millpond.get_logger("program")
"""

unix = pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")


def begin(start: Start, code: str, **environment: str) -> Running:
    start.file("program.py", HEAD + code)
    return start("-W", "error", "program.py", **environment)


def run(start: Start, code: str, **environment: str) -> str:
    running = begin(start, code, **environment)
    assert running.wait() == 0, running.output
    return running.output


@unix
@pytest.mark.parametrize(
    ("ending", "status"),
    [
        ("signal.pause()", -signal.SIGKILL),
        ("signal.pause()", -signal.SIGTERM),
        ("wait_for_the_disk(); os._exit(7)", 7),
        ("wait_for_the_disk(); os.abort()", -signal.SIGABRT),
        ("sys.exit(3)", 3),
        ("raise RuntimeError('uncaught')", 1),
    ],
    ids=["SIGKILL", "SIGTERM", "os._exit", "abort", "sys.exit", "uncaught"],
)
def test_what_was_spooled_at_the_end_is_delivered_by_the_next_start(
    start: Start, server: Recorder, tmp_path: Path, ending: str, status: int
) -> None:
    """The server takes nothing while the process lives, and everything when the next one starts."""
    spool = tmp_path / "spool"
    server.status = 503
    code = """
import pathlib
def wait_for_the_disk():
    # The last record is written some 2 ms after its call.
    files = lambda: pathlib.Path(os.environ["MILLPOND_SPOOL_DIR"]).rglob("*.seg")
    while not any(b"record 99" in file.read_bytes() for file in files()): time.sleep(0.005)
for n in range(100): log.info(f"record {n}")
"""
    environment = {"MILLPOND_SPOOL_DIR": str(spool), "MILLPOND_SHUTDOWN_TIMEOUT_S": "0.3"}
    running = begin(start, code + ending, **environment)
    if ending == "signal.pause()":
        eventually(lambda: is_spooled(spool, "record 99"), lambda: running.output, running)
        running.tell(-status)
    assert running.wait() == status, running.output
    server.status = 200
    run(start, "log.info('next')", **environment)
    each_once(server, ["next", *(f"record {n}" for n in range(100))])
    recovered = [record for record in server.records if record.get("recovered")]
    assert len(recovered) == 100


@pytest.mark.parametrize("endpoint", ["refused", "silent"])
@pytest.mark.parametrize(
    ("ending", "status"),
    [
        ("", 0),
        ("sys.exit(3)", 3),
        ("raise RuntimeError", 1),
        ("threading.Thread(target=log.info, args=('t',)).start()", 0),
    ],
    ids=["end", "sys.exit", "uncaught", "thread"],
)
def test_a_server_that_was_never_there_holds_the_exit_up_for_its_time_out_only(
    start: Start, endpoint: str, ending: str, status: int
) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if endpoint == "silent":
            listener.listen()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        code = "print('started', flush=True)\nfor n in range(1000): log.info('m')\n" + ending
        running = begin(start, code, MILLPOND_ENDPOINT=url, MILLPOND_SHUTDOWN_TIMEOUT_S="0.3")
        running.wait_for_output("started")
        started = time.monotonic()
        assert running.wait() == status, running.output
        # What the interpreter needs to end besides, on a busy machine.
        assert time.monotonic() - started < 0.3 + 3
        assert "Traceback" not in running.output or ending.startswith("raise")


@unix
def test_a_handler_of_sigterm_that_exits_delivers(start: Start, server: Recorder) -> None:
    code = """
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
for n in range(100): log.info(f"record {n}")
print("ready", flush=True)
while True: signal.pause()
"""
    running = begin(start, code)
    running.wait_for_output("ready")
    assert running.stop() == 0, running.output
    each_once(server, [f"record {n}" for n in range(100)])


@unix
def test_a_signal_handler_logs_a_thousand_times_into_the_middle_of_log_calls(start: Start, server: Recorder) -> None:
    """Handlers run where Python code does: inside of a value's ``__str__`` as well, in the middle of a record."""
    code = """
import itertools
numbers = itertools.count()
inside = set()
last = in_call = False

def alarm(*_):
    # Another signal may come between any two lines.
    global last
    number = next(numbers)
    if in_call: inside.add(number)
    if number < 1000: log.warning(f"signal {number}")
    if number >= 999:
        signal.setitimer(signal.ITIMER_REAL, 0)
        last = True

class Slow:
    def __str__(self):
        global in_call
        in_call = True
        for _ in range(2000): pass
        in_call = False
        return "slow"

signal.signal(signal.SIGALRM, alarm)
signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
n = 0
while not last:
    log.info(f"main {n}", value=Slow())
    n += 1
assert millpond.metrics()["dropped"]["nested"] == 0
print(n, len(inside))
"""
    count, inside = map(int, run(start, code).split())
    assert inside > 100, "few of the signals came in the middle of a call"
    each_once(server, [*(f"main {n}" for n in range(count)), *(f"signal {n}" for n in range(1000))])
    assert all(r["fields"]["value"] == "slow" for r in server.records if r["message"].startswith("main"))


def test_destructors_log_while_garbage_is_collected_inside_of_log_calls(start: Start, server: Recorder) -> None:
    code = """
import itertools
numbers = itertools.count()
gc.set_threshold(1, 1, 1)

class Node:
    def __init__(self):
        self.number, self.itself = next(numbers), self
    def __del__(self, log=log):
        log.info(f"gone {self.number}", also=[self.number])

class Littering:
    def __str__(self):
        Node()
        return str([[] for _ in range(50)])

for n in range(200):
    log.info(f"main {n}", value=Littering(), values=[Littering() for _ in range(2)])
gc.collect()
print(next(numbers))
"""
    count = int(run(start, code))
    assert count == 600
    each_once(server, [*(f"main {n}" for n in range(200)), *(f"gone {n}" for n in range(count))])


def test_destructors_that_log_while_the_interpreter_ends_do_no_harm(start: Start, server: Recorder) -> None:
    """After the exit functions nobody waits for what is logged; it must not crash, hang or print."""
    code = """
class Last:
    def __del__(self, log=log, Exception=Exception):
        log.info("too late", value=self)
        try: raise Exception("x")
        except Exception: log.exception("too late")
        millpond.flush(0)

last = Last()
sys.modules["kept"] = Last()
log.info("in time")
"""
    output = run(start, code)
    assert output == ""
    assert "in time" in messages(server)


def test_daemon_threads_that_wait_for_a_flush_do_not_disturb_the_exit(start: Start) -> None:
    code = """
def forever():
    while True:
        log.info("daemon")
        millpond.flush(0.05)

for _ in range(4): threading.Thread(target=forever, daemon=True).start()
time.sleep(0.1)
"""
    running = begin(start, code, MILLPOND_ENDPOINT="http://127.0.0.1:9", MILLPOND_SHUTDOWN_TIMEOUT_S="0.2")
    assert running.wait() == 0, running.output


def test_a_thread_that_outlives_the_main_one_delivers(start: Start, server: Recorder) -> None:
    """The interpreter waits for threads that are no daemons, then for the exit functions."""
    code = """
main = threading.main_thread()
def work():
    main.join()
    for n in range(10): log.info(f"record {n}")
threading.Thread(target=work).start()
"""
    run(start, code)
    each_once(server, [f"record {n}" for n in range(10)])


@unix
def test_sigterm_that_would_end_the_program_at_once_lets_it_flush(start: Start, server: Recorder) -> None:
    """Also while it waits in a lock, and in a child that has the handler from its parent."""
    code = """
import queue
read, write = os.pipe()
child = os.fork()
if child == 0:
    log.info("of the child")
    os.write(write, b".")
    signal.pause()
os.read(read, 1)
os.kill(child, signal.SIGTERM)
assert os.waitpid(child, 0)[1] == signal.SIGTERM
for n in range(100): log.info(f"record {n}")
print("waits", flush=True)
queue.Queue().get()
"""
    running = begin(start, code)
    running.wait_for_output("waits")
    running.tell(signal.SIGTERM)
    assert running.wait() == -signal.SIGTERM, running.output
    each_once(server, ["of the child", *(f"record {n}" for n in range(100))])


@pytest.mark.skipif(sys.platform != "linux", reason="no timer that tells one thread")
@pytest.mark.parametrize("where", ["here", "in a child"])
def test_sigterm_is_heard_by_a_main_thread_whose_wait_it_does_not_interrupt(
    start: Start, server: Recorder, where: str
) -> None:
    """As if it had come just before the wait: the signal goes to another thread, so that the lock is waited for on."""
    code = f"""
log.info("before")
parent = os.getpid()
if {where!r} == "in a child" and os.fork() != 0:
    status = os.wait()[1]
    assert status == signal.SIGTERM, status
    sys.exit()
log.info("record")
def tell():
    time.sleep(0.1)
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
threading.Thread(target=tell, daemon=True).start()
lock = threading.Lock()
lock.acquire()
lock.acquire()
"""
    running = begin(start, code)
    assert running.wait() == (-signal.SIGTERM if where == "here" else 0), running.output
    each_once(server, ["before", "record"])


@unix
def test_a_pool_that_is_terminated_flushes(start: Start, server: Recorder) -> None:
    code = """
import multiprocessing
def work(n):
    log.info(f"record {n}")
    return n
if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    with context.Pool(2) as pool:
        assert pool.map(work, range(20)) == list(range(20))
    pool.join()
"""
    start.file("program.py", HEAD + code)
    running = start("program.py")
    assert running.wait() == 0, running.output
    each_once(server, [f"record {n}" for n in range(20)])


@unix
@pytest.mark.parametrize("ending", ["flush_on_sigterm=False", "handler", "unreachable"])
def test_sigterm_is_left_alone_where_somebody_decides_about_it(start: Start, server: Recorder, ending: str) -> None:
    code = f"""
import os, signal, time, millpond
how = {ending!r}
if how == "handler": signal.signal(signal.SIGTERM, lambda *_: print("mine", flush=True))
kind = signal.getsignal(signal.SIGTERM)
millpond.init(batch_age_s=600, flush_on_sigterm=how != "flush_on_sigterm=False", shutdown_timeout_s=0.2)
assert (signal.getsignal(signal.SIGTERM) == kind) == (how != "unreachable")
millpond.get_logger("x").info("m")
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(0.1)
print("goes on", flush=True)
"""
    start.file("program.py", code)
    environment = {"MILLPOND_ENDPOINT": "http://127.0.0.1:9"} if ending == "unreachable" else {}
    running = start("program.py", **environment)
    status = running.wait()
    if ending == "handler":
        assert status == 0, running.output
        assert "mine\ngoes on\n" in running.output
        each_once(server, ["m"])
    else:
        assert status == -signal.SIGTERM, running.output
        assert "goes on" not in running.output
        assert ("1 records could not be delivered" in running.output) == (ending == "unreachable")
        assert messages(server) == []


@unix
def test_a_hook_may_log_flush_and_fork(start: Start, server: Recorder) -> None:
    code = """
def hook(record):
    log.info("inner")
    millpond.flush(0)
    if record["message"] == "forks":
        child = os.fork()
        if child == 0: os._exit(0)
        os.waitpid(child, 0)
    if record["message"] == "raises": raise ValueError
    return record
millpond.close()
millpond.init(batch_age_s=600, before_send=hook)
for n in range(50): log.info(f"outer {n}")
log.info("forks")
log.info("raises", n=1)
assert millpond.metrics()["hook_failures"] == 1
"""
    run(start, code)
    each_once(server, [*(f"outer {n}" for n in range(50)), "forks", "raises", *["inner"] * 52])


@unix
def test_a_handler_that_calls_the_one_before_it_decides_about_the_end(start: Start, server: Recorder) -> None:
    code = """
before = signal.getsignal(signal.SIGTERM)
def handler(number, frame):
    log.info("handled")
    if callable(before): before(number, frame)
    print("goes on", flush=True)
signal.signal(signal.SIGTERM, handler)
log.info("m")
os.kill(os.getpid(), signal.SIGTERM)
log.info("after")
"""
    assert "goes on" in run(start, code)
    each_once(server, ["m", "handled", "after"])


@unix
@pytest.mark.parametrize("wait", ["flush", "close", "persist"])
def test_signals_are_heard_in_every_wait(start: Start, wait: str) -> None:
    code = f"""
class Alarm(Exception): pass
def alarm(*_): raise Alarm
signal.signal(signal.SIGALRM, alarm)
log.info("m")
started = time.monotonic()
try:
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    millpond.{wait}(20)
except Alarm:
    assert time.monotonic() - started < 10
else:
    raise AssertionError("not heard")
"""
    run(start, code, MILLPOND_ENDPOINT="http://127.0.0.1:9", MILLPOND_SHUTDOWN_TIMEOUT_S="0")


@unix
def test_a_process_that_sigterm_does_not_end_has_all_its_time_at_its_real_end(start: Start, server: Recorder) -> None:
    """As the first process of a container, to which the kernel does not send what has no handler."""
    code = """
import types
import millpond._exit
millpond._exit.os = types.SimpleNamespace(getpid=os.getpid, kill=lambda *_: None)
log.info("before")
signal.raise_signal(signal.SIGTERM)
time.sleep(0.7)
log.info("after")
"""
    output = run(start, code, MILLPOND_SHUTDOWN_TIMEOUT_S="0.5")
    assert "could not be delivered" not in output
    each_once(server, ["before", "after"])

"""Life and death of the process: exit, fork, and a server that is not there."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from typing import Any

import pytest

import millpond
from conftest import Program
from recorder import Recorder
from running import PATIENCE_S, eventually

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")

HEAD = """
import os, sys
import millpond
millpond.init()
log = millpond.get_logger("program")
"""


def messages(server: Recorder) -> list[str]:
    return [record["message"] for record in server.records]


@pytest.mark.parametrize(
    ("ending", "status"),
    [("", 0), ("sys.exit(3)", 3), ("raise RuntimeError('uncaught')", 1), ("raise KeyboardInterrupt", -2)],
)
def test_exit_waits_for_delivery(program: Program, ending: str, status: int) -> None:
    code = HEAD + "for n in range(500): log.info(str(n))\n" + ending
    assert program.run(code, check=False).returncode == status
    assert messages(program.server) == [str(n) for n in range(500)]


def test_what_is_logged_at_exit_arrives(program: Program) -> None:
    code = """
    import atexit, logging
    import millpond
    atexit.register(lambda: logging.getLogger().error("registered before"))
    millpond.init()
    logging.basicConfig(handlers=[millpond.Handler()])
    atexit.register(lambda: logging.getLogger().error("registered after"))
    logging.getLogger().error("first")
    """
    program.run(code)
    assert messages(program.server) == ["first", "registered after", "registered before"]


def test_daemon_threads_in_code_of_the_application_do_not_disturb_the_exit(program: Program) -> None:
    """The interpreter ends such threads where they are; below our frames that would abort the process."""
    code = (
        HEAD
        + """
import threading, time
class Slow:
    def __str__(self): return str(all(n >= 0 for n in range(2000)))
def forever():
    while True:
        log.info("%s", Slow(), value=Slow(), exc_info=ValueError(Slow()))
for _ in range(3): threading.Thread(target=forever, daemon=True).start()
time.sleep(0.1)
log.info("main")
"""
    )
    for _ in range(3):
        program.run(code, MILLPOND_QUEUE_BYTES_MAX="200000")
    assert "main" in messages(program.server)


def test_daemon_threads_do_not_disturb_the_exit(program: Program) -> None:
    code = (
        HEAD
        + """
import threading
def forever():
    while True:
        log.info("daemon", value=object())
log.info("main")
for _ in range(4):
    threading.Thread(target=forever, daemon=True).start()
"""
    )
    program.run(code, MILLPOND_QUEUE_BYTES_MAX="200000")
    assert "main" in messages(program.server)


@pytest.mark.parametrize("endpoint", ["refused", "silent"])
def test_an_unreachable_server_delays_the_exit_by_no_more_than_it_may(program: Program, endpoint: str) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if endpoint == "silent":
            listener.listen()
        code = (
            HEAD
            + """
import logging, time
logging.basicConfig(handlers=[millpond.Handler(), millpond.Handler()])
logging.error("from the stdlib")
log.info("m")
started = time.monotonic()
import atexit
atexit._run_exitfuncs()
print(time.monotonic() - started)
"""
        )
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        done = program.run(code, MILLPOND_ENDPOINT=url, MILLPOND_SHUTDOWN_TIMEOUT_S="1")
        # Client and handlers together, not one after the other.
        assert 0.9 < float(done.stdout) < 2.0


def test_an_unreachable_server_breaks_nothing(program: Program) -> None:
    code = (
        HEAD
        + """
log.info("m")
assert millpond.flush(0.2) is False
account = millpond.metrics()
assert (account["accepted"], account["queued"], account["delivered"]) == (1, 1, 0), account
assert millpond.close(0.2) is False
log.info("m")
# The sender gives up as soon as the request ends that it is in.
import time
for _ in range(100):
    account = millpond.metrics()
    if account["queued"] == 0: break
    time.sleep(0.05)
assert (account["accepted"], account["queued"], account["dropped"]["closed"]) == (2, 0, 2), account
"""
    )
    program.run(code, MILLPOND_ENDPOINT="http://127.0.0.1:9")


def test_before_init_records_are_counted_and_that_is_said_once(program: Program) -> None:
    code = """
    import millpond
    log = millpond.get_logger("early")
    for _ in range(3): log.info("m", v=1)
    with millpond.context(a=1): log.bind(b=2).error("m")
    account = millpond.metrics()
    assert (account["accepted"], account["delivered"], account["queued"]) == (4, 0, 0), account
    assert {reason: count for reason, count in account["dropped"].items() if count} == {"before_init": 4}
    assert millpond.flush() and millpond.close()
    millpond.init()
    log.info("after")
    """
    done = program.run(code)
    assert done.stderr == "millpond: a record was logged before millpond.init(); such records are dropped\n"
    assert messages(program.server) == ["after"]


def test_init_takes_the_environment(program: Program) -> None:
    program.run(
        HEAD + "log.info('no'); log.warning('yes')",
        MILLPOND_SERVICE="s", MILLPOND_ENVIRONMENT="e", MILLPOND_VERSION="v", MILLPOND_LEVEL="warn",
    )  # fmt: skip
    (record,) = program.server.records
    assert (record["service"], record["environment"], record["version"]) == ("s", "e", "v")
    assert record["message"] == "yes"
    failed = program.run(HEAD, check=False, MILLPOND_LEVEL="loud")
    assert "ConfigurationError: environment variable MILLPOND_LEVEL is 'loud'" in failed.stderr


def test_import_has_no_side_effects(program: Program) -> None:
    code = """
    import sys, threading, time
    started = time.process_time()
    import millpond, millpond.middleware
    print(time.process_time() - started)
    assert threading.active_count() == 1
    assert not [name for name in ("asyncio", "multiprocessing", "http.client", "ssl") if name in sys.modules]
    import os
    if os.path.exists("/proc/self/task"): assert len(os.listdir("/proc/self/task")) == 1
    """
    done = program.run(code)
    assert float(done.stdout) < 1.0
    assert done.stderr == ""


@needs_fork
def test_parent_and_child_each_deliver_their_own_once(program: Program) -> None:
    code = (
        HEAD
        + """
for n in range(100): log.info(f"before {n}")
pid = os.fork()
who = "parent" if pid else "child"
for n in range(100): log.info(f"{who} {n}")
if pid:
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
else:
    assert millpond.metrics()["accepted"] == 100
"""
    )
    program.run(code, MILLPOND_BATCH_AGE_S="5")
    expected = [f"{who} {n}" for who in ("before", "parent", "child") for n in range(100)]
    assert sorted(messages(program.server)) == sorted(expected)


@needs_fork
def test_a_child_that_leaves_by_os_exit_can_flush(program: Program) -> None:
    code = (
        HEAD
        + """
log.info("before")
pid = os.fork()
if pid == 0:
    log.info("child")
    os._exit(0 if millpond.flush(5) else 1)
assert os.waitpid(pid, 0)[1] == 0
"""
    )
    program.run(code)
    assert sorted(messages(program.server)) == ["before", "child"]


@needs_fork
def test_forks_in_forks_while_other_threads_log(program: Program) -> None:
    code = (
        HEAD
        + """
import threading
stop = threading.Event()
counts = []
def chatter(name):
    n = 0
    while not stop.is_set():
        log.info(f"{name} {n}", value=[n])
        n += 1
        stop.wait(0.0005)
    counts.append(n)
threads = [threading.Thread(target=chatter, args=(f"t{n}",)) for n in range(3)]
for thread in threads: thread.start()
children = []
for n in range(20):
    pid = os.fork()
    if pid == 0:
        log.info(f"child {n}")
        grandchild = os.fork()
        log.info(f"child {n} grandchild" if grandchild == 0 else f"child {n} again")
        if grandchild: os.waitpid(grandchild, 0)
        os._exit(0 if millpond.flush(10) else 1)
    children.append(pid)
for pid in children: assert os.waitpid(pid, 0)[1] == 0
stop.set()
for thread in threads: thread.join()
print(sum(counts))
"""
    )
    # Forking with threads is what is tested; Python 3.12 warns of it.
    code = "import warnings; warnings.simplefilter('ignore', DeprecationWarning)\n" + code
    done = program.run(code, timeout_s=60)
    arrived = messages(program.server)
    children = [message for message in arrived if message.startswith("child")]
    expected = [f"child {n}{more}" for n in range(20) for more in ("", " again", " grandchild")]
    assert sorted(children) == sorted(expected)
    assert len(arrived) == len(set(arrived)) == int(done.stdout) + len(expected)


@needs_fork
@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_children_of_multiprocessing_deliver_at_their_exit(program: Program, method: str) -> None:
    code = f"""
    import multiprocessing, warnings
    warnings.simplefilter("ignore", DeprecationWarning)
    import millpond
    millpond.init()
    log = millpond.get_logger("program")

    def work(n):
        log.info(f"child {{n}}")

    if __name__ == "__main__":
        log.info("parent")
        context = multiprocessing.get_context("{method}")
        for _ in range(2):
            children = [context.Process(target=work, args=(n,)) for n in range(3)]
            for child in children: child.start()
            for child in children: child.join()
            assert [child.exitcode for child in children] == [0, 0, 0]
    """
    program.run(code, timeout_s=60, MILLPOND_BATCH_AGE_S="5")
    assert sorted(messages(program.server)) == [
        "child 0",
        "child 0",
        "child 1",
        "child 1",
        "child 2",
        "child 2",
        "parent",
    ]


def test_signals_are_heard_during_a_flush(program: Program) -> None:
    code = (
        HEAD
        + """
import signal, time
class Alarm(Exception): pass
def alarm(*_): raise Alarm
signal.signal(signal.SIGALRM, alarm)
log.info("m")
started = time.monotonic()
try:
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    millpond.flush(20)
except Alarm:
    assert time.monotonic() - started < 10
else:
    raise AssertionError("not heard")
millpond.close(0)
"""
    )
    program.run(code, MILLPOND_ENDPOINT="http://127.0.0.1:9", MILLPOND_SHUTDOWN_TIMEOUT_S="0")


def test_an_outage_loses_nothing_and_repeats_nothing() -> None:
    server = Recorder()
    millpond.init(service="tests", endpoint=server.url, api_key="k", batch_age_s=0.02, batch_records_max=20)
    log = millpond.get_logger("outage")
    written = 0

    def write(count: int) -> None:
        nonlocal written
        for _ in range(count):
            log.info(str(written))
            written += 1
            time.sleep(0.0005)

    write(100)
    server.status = 503
    write(100)
    server.status = 200
    write(100)
    server.lose_answers = 2
    write(100)
    server.close()
    write(200)
    server = Recorder(disk=server)
    write(100)
    assert millpond.flush(60)
    assert messages(server) == [str(number) for number in range(written)]
    account = millpond.metrics()
    assert (account["accepted"], account["delivered"], account["queued"]) == (written, written, 0)
    millpond.close()
    server.close()


def test_other_threads_run_during_a_flush(server: Recorder) -> None:
    """One of them lets the server take the record, for which the flush waits."""
    import threading

    server.status = 503
    millpond.init(service="tests", endpoint=server.url, shutdown_timeout_s=0)
    millpond.get_logger("x").info("m")

    def heal() -> None:
        eventually(lambda: len(server.failures) > 0, "the flush sends nothing")
        server.status = 200

    thread = threading.Thread(target=heal)
    thread.start()
    delivered = millpond.flush(PATIENCE_S)
    thread.join()
    millpond.close(0)
    assert delivered


def test_the_programs_above_ran_with_this_interpreter(program: Program) -> None:
    done = program.run("import json, sys; print(json.dumps(list(sys.version_info)))")
    found: Any = json.loads(done.stdout)
    assert found == list(sys.version_info)

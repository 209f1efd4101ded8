"""Every way of Python to have children: pools, executors, fork servers, daemons, forks in threads and in forks. Each
process delivers its own records once."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from recorder import Recorder
from running import Start, each_once, eventually, is_spooled, messages, needs_fork

pytestmark = needs_fork

#: Forking with threads is what is tested; Python 3.12 warns of it. Nothing is sent but by a flush or an exit.
HEAD = """
import os, sys, threading, warnings
warnings.simplefilter("ignore", DeprecationWarning)
import millpond
millpond.init(batch_age_s=600)
log = millpond.get_logger("program")

def wait(pid):
    assert os.waitpid(pid, 0)[1] == 0
"""

MODULE = """
import signal
import millpond
millpond.init(batch_age_s=600)
log = millpond.get_logger("work")

def work(number):
    log.info(f"work {number}")
    return number

def work_and_flush(number):
    log.info(f"work {number}")
    assert millpond.flush(20)
    return number

def forever(number):
    log.info(f"work {number}")
    while True:
        signal.pause()
"""


def run(start: Start, code: str, **environment: str) -> str:
    """Runs the program to its end; its output."""
    start.file("work.py", MODULE)
    start.file("program.py", code)
    running = start("program.py", **environment)
    assert running.wait() == 0, running.output
    return running.output


def work(count: int) -> list[str]:
    return [f"work {number}" for number in range(count)]


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_a_pool_that_is_closed_and_joined_loses_nothing(start: Start, server: Recorder, method: str) -> None:
    code = f"""
import multiprocessing, warnings
warnings.simplefilter("ignore", DeprecationWarning)
import work
if __name__ == "__main__":
    work.log.info("parent")
    pool = multiprocessing.get_context("{method}").Pool(2, maxtasksperchild=4)
    assert pool.map(work.work, range(20), chunksize=1) == list(range(20))
    pool.close()
    pool.join()
"""
    run(start, code)
    each_once(server, ["parent", *work(20)])


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_an_executor_of_processes_loses_nothing(start: Start, server: Recorder, method: str) -> None:
    code = f"""
import concurrent.futures, multiprocessing, warnings
warnings.simplefilter("ignore", DeprecationWarning)
import work
if __name__ == "__main__":
    context = multiprocessing.get_context("{method}")
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as executor:
        assert list(executor.map(work.work, range(20))) == list(range(20))
"""
    run(start, code)
    each_once(server, work(20))


def test_a_pool_that_is_terminated_has_what_its_tasks_flushed(start: Start, server: Recorder) -> None:
    """A pool as a context manager ends its children by SIGTERM."""
    code = """
import multiprocessing, warnings
warnings.simplefilter("ignore", DeprecationWarning)
import work
with multiprocessing.get_context("fork").Pool(2) as pool:
    pool.map(work.work_and_flush, range(10))
"""
    run(start, code)
    each_once(server, work(10))


def test_a_pool_that_is_terminated_leaves_the_rest_in_the_spool(
    start: Start, server: Recorder, tmp_path: Path
) -> None:
    spool = tmp_path / "spool"
    code = """
import multiprocessing, signal, warnings
warnings.simplefilter("ignore", DeprecationWarning)
import work
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
with multiprocessing.get_context("fork").Pool(2) as pool:
    pool.map_async(work.forever, range(2))
    signal.sigwait([signal.SIGUSR1])
"""
    start.file("work.py", MODULE)
    start.file("program.py", code)
    server.status = 503
    running = start("program.py", MILLPOND_SPOOL_DIR=str(spool))
    eventually(lambda: all(is_spooled(spool, text) for text in work(2)), lambda: running.output, running)
    running.tell(signal.SIGUSR1)
    assert running.wait() == 0, running.output
    server.status = 200
    run(start, HEAD + "log.info('next')", MILLPOND_SPOOL_DIR=str(spool))
    each_once(server, ["next", *work(2)])


def test_a_fork_server_that_has_loaded_the_application_keeps_out_of_its_childrens_records(
    start: Start, server: Recorder
) -> None:
    code = """
import multiprocessing
import work
if __name__ == "__main__":
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["work"])
    children = [context.Process(target=work.work, args=(number,)) for number in range(5)]
    for child in children: child.start()
    for child in children: child.join()
    assert [child.exitcode for child in children] == [0] * 5
"""
    run(start, code)
    each_once(server, work(5))


def test_a_fork_in_a_thread_and_forks_in_forks_deliver(start: Start, server: Recorder) -> None:
    code = """
def descend(depth):
    log.info(f"enters {depth}")
    if depth < 4:
        child = os.fork()
        if child == 0:
            descend(depth + 1)
        wait(child)
    log.info(f"leaves {depth}")
    if depth > 0:
        os._exit(0 if millpond.flush(20) else 1)

log.info("before")
thread = threading.Thread(target=descend, args=(0,))
thread.start()
thread.join()
"""
    run(start, HEAD + code)
    each_once(server, ["before", *(f"{verb} {depth}" for verb in ("enters", "leaves") for depth in range(5))])


def test_a_fork_while_other_threads_flush(start: Start, server: Recorder) -> None:
    """A client that a flush brings to life between a fork and its hooks was a bug of others."""
    code = """
stop = threading.Event()

def flush():
    while not stop.is_set():
        millpond.flush(5)

threads = [threading.Thread(target=flush) for _ in range(3)]
for thread in threads: thread.start()
for n in range(40):
    log.info(f"parent {n}")
    child = os.fork()
    if child == 0:
        log.info(f"child {n}")
        os._exit(0 if millpond.flush(20) else 1)
    wait(child)
stop.set()
for thread in threads: thread.join()
"""
    run(start, HEAD + code)
    each_once(server, [f"{who} {n}" for who in ("parent", "child") for n in range(40)])


def test_a_storm_of_forks_while_threads_begin_and_log(start: Start, server: Recorder) -> None:
    """Each child forks again while a thread of its own logs for the first time."""
    code = """
stop = threading.Event()
counts = []

def chatter(name):
    n = 0
    while not stop.is_set():
        log.info(f"{name} {n}", value=[n])
        n += 1
        stop.wait(0.001)
    counts.append(n)

def begin():
    while not stop.is_set():
        thread = threading.Thread(target=lambda: log.is_enabled_for("info"))
        thread.start()
        thread.join()
        stop.wait(0.001)

threads = [threading.Thread(target=chatter, args=(f"thread{n}",)) for n in range(3)] + [threading.Thread(target=begin)]
for thread in threads: thread.start()
for n in range(200):
    child = os.fork()
    if child == 0:
        first = threading.Thread(target=log.info, args=(f"first of a thread {n}",))
        first.start()
        grandchild = os.fork()
        if grandchild == 0:
            log.info(f"grandchild {n}")
            os._exit(0 if millpond.flush(20) else 1)
        log.info(f"child {n}")
        first.join()
        wait(grandchild)
        os._exit(0 if millpond.flush(20) else 1)
    wait(child)
stop.set()
for thread in threads: thread.join()
print("counted:", *counts)
"""
    # A busy machine may have the client complain of the server, in the same output.
    counts = next(line for line in run(start, HEAD + code).splitlines() if line.startswith("counted:")).split()[1:]
    expected = [f"{who} {n}" for who in ("first of a thread", "child", "grandchild") for n in range(200)]
    # The names of the threads come in the order in which they ended: only how many there were is known.
    chatter = messages(server, "thread")
    assert len(chatter) == len(set(chatter)) == sum(map(int, counts))
    each_once(server, [*expected, *chatter])


@pytest.mark.parametrize("logged_before", [False, True], ids=["before-its-first-record", "after-its-first-record"])
def test_a_child_that_closes_all_descriptors_delivers(start: Start, server: Recorder, logged_before: bool) -> None:
    """As Celery's beat and every daemon do after they were forked."""
    code = f"""
log.info("parent")
assert millpond.flush(20)
child = os.fork()
if child == 0:
    if {logged_before}:
        log.info("early")
        assert millpond.flush(20)
    os.closerange(3, 4096)
    for n in range(10): log.info(f"child {{n}}")
    os._exit(0 if millpond.flush(20) else 1)
wait(child)
log.info("parent again")
"""
    run(start, HEAD + code)
    early = ["early"] if logged_before else []
    each_once(server, ["parent", "parent again", *early, *(f"child {n}" for n in range(10))])


def test_a_daemon_delivers_at_its_exit(start: Start, server: Recorder) -> None:
    """Two forks, a new session, no descriptors, and the parent gone before."""
    code = """
log.info("parent")
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.closerange(0, 4096)
        log.info("daemon")
        sys.exit()
    os._exit(0)
"""
    run(start, HEAD + code)
    eventually(lambda: len(server.records) >= 2, lambda: str(messages(server)))
    each_once(server, ["parent", "daemon"])


def test_what_is_logged_between_fork_and_exec_hurts_nobody(start: Start, server: Recorder) -> None:
    """It is gone with the process that it was logged in; documented."""
    code = """
import subprocess
log.info("before")
for _ in range(5):
    subprocess.run([sys.executable, "-S", "-c", ""], preexec_fn=lambda: log.info("in between"), check=True)
log.info("after")
"""
    run(start, HEAD + code)
    each_once(server, ["before", "after"])

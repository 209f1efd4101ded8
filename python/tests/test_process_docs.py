"""The programs on the pages about servers, workers and processes run, and what they log arrives."""

from __future__ import annotations

from collections import Counter

import pytest

from conftest import docs_page
from recorder import Recorder
from running import Start, eventually, get, messages, needs_fork
from test_celery import broker as broker
from test_servers import GUNICORN


def write(start: Start, page: str) -> None:
    files = docs_page(page).files
    assert files, "a page without a program"
    for name, code in files.items():
        start.file(name, code)


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("asyncio", {"fetched": 3, "stored": 3, "done": 1}),
        ("gevent", {"fetched": 3}),
        pytest.param("multiprocessing", {"squared": 20, "all squared": 1}, marks=needs_fork),
    ],
)
def test_the_program_of_the_page_logs_what_it_says(
    start: Start, server: Recorder, page: str, expected: dict[str, int]
) -> None:
    if page == "gevent":
        pytest.importorskip("gevent")
    write(start, page)
    running = start("program.py")
    assert running.wait() == 0, running.output
    assert Counter(messages(server)) == expected


@needs_fork
@pytest.mark.parametrize(
    ("page", "arguments", "pattern", "expected"),
    [
        ("gunicorn", ["--bind", "127.0.0.1:0", "--preload"], "Listening at", "application loaded"),
        ("uvicorn", ["--port", "0"], "running on", "GET /page 200"),
    ],
)
def test_the_application_of_the_page_logs_its_requests(
    start: Start, server: Recorder, page: str, arguments: list[str], pattern: str, expected: str
) -> None:
    pytest.importorskip(page)
    write(start, page)
    start.file("gunicorn.conf.py", GUNICORN)
    running = start("-m", page, *arguments, "app:app")
    (port,) = running.wait_for_output(pattern + r":? http://127\.0\.0\.1:(\d+)")
    assert get(int(port), "/page") == "ok\n"
    running.stop()
    assert Counter(messages(server)) == {"asked": 1, expected: 1}


@needs_fork
def test_the_task_of_the_page_logs(start: Start, server: Recorder, broker: str) -> None:
    pytest.importorskip("celery")
    write(start, "celery")
    options = ["--pool", "prefork", "--concurrency", "1", "--without-gossip", "--without-mingle"]
    running = start("-m", "celery", "-A", "tasks", "worker", *options, BROKER=broker)
    sender = start("-c", "import tasks; tasks.send.delay('a@b.c')", BROKER=broker)
    assert sender.wait() == 0, sender.output
    eventually(lambda: "sent" in messages(server), lambda: running.output, running)
    assert running.stop() == 0, running.output
    assert Counter(messages(server)) == {"sent": 1}

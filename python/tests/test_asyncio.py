"""asyncio: loops that end and begin again, and code that runs when no loop does."""

from __future__ import annotations

from recorder import Recorder
from running import Start, each_once

HEAD = """
import asyncio, gc, threading, time
import millpond
millpond.init(batch_age_s=600)
log = millpond.get_logger("program")
"""


def run(start: Start, code: str, **environment: str) -> str:
    start.file("program.py", HEAD + code)
    running = start("-W", "error", "program.py", **environment)
    assert running.wait() == 0, running.output
    return running.output


def test_one_loop_after_another_and_none_at_all(start: Start, server: Recorder) -> None:
    """Nothing of the client belongs to the loop in which it was used first."""
    code = """
async def main(name):
    with millpond.context(request_id=name):
        log.info(f"{name} loop")
        await asyncio.gather(*(asyncio.to_thread(log.info, f"{name} thread {n}") for n in range(5)))
        assert await asyncio.to_thread(millpond.flush, 20)
    log.info(f"{name} is about to close")

asyncio.run(main("first"))
log.info("between")
asyncio.run(main("second"))
log.info("after")
"""
    run(start, code)
    expected = ["between", "after"]
    for name in ("first", "second"):
        expected += [f"{name} loop", f"{name} is about to close", *(f"{name} thread {n}" for n in range(5))]
    each_once(server, expected)
    assert all(
        record["request_id"] == record["message"].split()[0]
        for record in server.records
        if "thread" in record["message"] or record["message"].endswith(" loop")
    )


def test_what_is_logged_where_a_loop_is_closed_or_a_task_is_lost_arrives(start: Start, server: Recorder) -> None:
    code = """
class Held:
    def __init__(self, name): self.name = name
    def __del__(self, log=log): log.info(f"{self.name} is let go")

async def hold(name):
    held = Held(name)
    try:
        await asyncio.Event().wait()
    finally:
        log.info(f"{name} ends")

async def main():
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: log.error("handler: " + context["message"]))
    loop.call_exception_handler({"message": "told"})
    loop.call_soon(lambda: 1 / 0)
    loop.create_task(hold("task"))
    await asyncio.sleep(0.01)

# The task is cancelled, and with it goes what it held.
asyncio.run(main())

# A coroutine of a loop that is closed already.
loop = asyncio.new_event_loop()
task = loop.create_task(hold("orphan"))
loop.run_until_complete(asyncio.sleep(0.01))
task.cancel()
loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
loop.close()
log.info("loop is closed")
del task
gc.collect()
"""
    run(start, code)
    callback = [record["message"] for record in server.records if "Exception in callback" in record["message"]]
    assert len(callback) == 1
    ends = [f"{name} {end}" for name in ("task", "orphan") for end in ("ends", "is let go")]
    each_once(server, ["handler: told", *callback, *ends, "loop is closed"])


def test_a_loop_goes_on_while_a_thread_flushes(start: Start) -> None:
    code = """
async def main():
    log.info("m")
    flush = asyncio.ensure_future(asyncio.to_thread(millpond.flush, 0.5))
    turns = 0
    while not flush.done():
        turns += 1
        await asyncio.sleep(0.01)
    assert flush.result() is False and turns > 5, turns

asyncio.run(main())
"""
    run(start, code, MILLPOND_ENDPOINT="http://127.0.0.1:9", MILLPOND_SHUTDOWN_TIMEOUT_S="0")

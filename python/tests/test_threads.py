"""Any number of threads log at once, with what they share. On a free-threaded interpreter they really do."""

from __future__ import annotations

import contextvars
import json
import threading
from collections import Counter, defaultdict, deque
from typing import Any

import millpond
from conftest import Program
from recorder import Recorder

THREADS = 8
ROUNDS = 300


class Account:
    """Its members come and go."""

    def __init__(self) -> None:
        self.owner = "o"


def test_threads_that_change_what_others_log_lose_nothing(client: Recorder) -> None:
    plain: dict[str, Any] = {}
    # Neither `bytearray` nor `OrderedDict`: free-threaded CPython 3.13 itself does not survive it when several threads
    # change one.
    shared: list[Any] = [plain, [], set(), deque(), defaultdict(list), Counter(), Account()]
    log = millpond.get_logger("shared").bind(bound=shared)
    barrier = threading.Barrier(THREADS)

    def change(number: int) -> None:
        _, some_list, some_set, some_deque, default, counter, account = shared
        plain[f"k{number % 50}"] = plain.pop(f"k{(number + 7) % 50}", number)
        some_list.append(number)
        some_set.add(number % 50)
        some_set.discard((number + 7) % 50)
        some_deque.append(number)
        default[number % 50].append(number)
        default.pop((number + 7) % 50, None)
        counter[number % 50] += 1
        counter.pop((number + 7) % 50, None)
        setattr(account, f"a{number % 50}", number)
        if number % 16 == 0:
            for container in (some_list, some_deque):
                container.clear()

    def work(thread: int) -> None:
        barrier.wait()
        for number in range(ROUNDS):
            change(thread * 31 + number)
            millpond.breadcrumb("step", number=number, shared=plain)
            bound = log.bind(thread=thread)
            with millpond.context(number=number, seen=plain):
                bound.info("%s", number, shared=shared, **plain)
            if number % 100 == 0:
                try:
                    raise ValueError(number)
                except ValueError:
                    bound.exception("failed")

    with millpond.context(of="all of them"):
        millpond.breadcrumb("before")
        threads = [threading.Thread(target=contextvars.copy_context().run, args=(work, n)) for n in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert millpond.flush(30)
    logged = Counter((r["fields"]["thread"], r["fields"]["number"]) for r in client.records if r["level"] == "info")
    assert logged == {(thread, number): 1 for thread in range(THREADS) for number in range(ROUNDS)}
    assert "unprintable" not in json.dumps(client.records)
    account = millpond.metrics()
    assert account["accepted"] == account["delivered"] + sum(account["dropped"].values())
    assert set(account["dropped"].values()) == {0}


def test_a_client_may_be_replaced_and_asked_while_others_log(program: Program) -> None:
    """The records of each client are in its account, and nothing breaks."""
    code = """
    import threading
    import millpond
    millpond.init(batch_age_s=0.01, capture_logging=False)
    log, done = millpond.get_logger("program"), threading.Event()
    def work():
        # Without a rest the main thread would mostly wait for the interpreter, and the server be busy for long.
        while not done.wait(0.0005):
            log.info("m", value={"a": [1, 2, 3]})
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads: thread.start()
    for number in range(20):
        while millpond.metrics()["accepted"] < 20: done.wait(0.0005)
        millpond.flush(0.01)
        millpond.init(batch_age_s=0.01, capture_logging=False, version=str(number), queue_bytes_max=1 << 20)
    done.set()
    for thread in threads: thread.join()
    """
    program.run(code)

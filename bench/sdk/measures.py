"""What one process finds out about one contestant. The run starts it anew for each finding.

    python bench/sdk/measures.py MEASURE CONTESTANT PORT FOLDER [NUMBER]

Findings go to the stdout that it was given, as lines of JSON; whatever a library prints goes to ``/dev/null``.
"""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import signal
import statistics
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from contestants import CONTESTANTS, QUICK
from place import Place, Started
from sink import IDS_PER_PRODUCER

#: Calls before those that count; their ids are of a producer that nobody asks for.
WARM_UP_CALLS = 2_000
_WARM_UP = 900 * IDS_PER_PRODUCER
#: Calls between which all is sent. Sentry keeps 1,000 records, OpenTelemetry 2,048: nothing is dropped for want of
#: room, which would be cheaper than keeping it.
_BURST_CALLS = 500
_OUTAGE_INTERVAL_S = 0.002
#: How long it is logged on after an outage.
AFTER_OUTAGE_S = 5.0
#: Records before the end of a process; not a whole number of anybody's batches.
EXIT_RECORDS = 1_007
#: Forks of a process, a moment apart, and what each child logs.
FORKS = 20
CHILD_RECORDS = 10
_FORK_INTERVAL_S = 0.05
#: A child that takes longer hangs.
_CHILD_LIMIT_S = 10.0
#: As does a thread that takes longer to end.
_THREAD_LIMIT_S = 3.0


#: Where findings go: the stdout that this process was given.
_findings: TextIO = sys.stdout


def _keep_stdout_to_ourselves() -> None:
    global _findings
    _findings = os.fdopen(os.dup(1), "w")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)


def _tell(finding: object) -> None:
    print(json.dumps(finding), file=_findings, flush=True)


def _warm(started: Started) -> None:
    for number in range(WARM_UP_CALLS):
        started.log(_WARM_UP + number)
        if number % _BURST_CALLS == _BURST_CALLS - 1:
            started.flush()
    started.flush()
    gc.collect()


def calls(started: Started, count: int) -> None:
    """How long each of so many calls takes its caller, in microseconds, in bursts between which all is sent."""
    _warm(started)
    clock, log, flush = time.perf_counter_ns, started.log, started.flush
    took: list[int] = []
    cpu = 0.0
    for first in range(0, count, _BURST_CALLS):
        burst = range(first, min(first + _BURST_CALLS, count))
        cpu_before = time.thread_time()
        for number in burst:
            start = clock()
            log(number)
            took.append(clock() - start)
        cpu += time.thread_time() - cpu_before
        flush()
    took.sort()
    quantiles = {name: took[min(count - 1, count * of // 1000)] / 1e3 for name, of in _QUANTILES.items()}
    _tell({"calls": count, "mean_us": statistics.fmean(took) / 1e3, **quantiles, "cpu_us": cpu / count * 1e6})
    started.close()


_QUANTILES = {"p50_us": 500, "p99_us": 990, "p999_us": 999, "max_us": 1000}


def throughput(started: Started, count: int) -> None:
    """So many records as fast as the calls return, then the library is closed: what it delivers of them, how fast,
    and how much memory the process has before and at its peak, beyond that of the bare interpreter."""
    _warm(started)
    # Makes the peak of memory that of what follows.
    Path("/proc/self/clear_refs").write_text("5")
    memory_ready = _memory_bytes("VmRSS")
    log = started.log
    begun_s = time.monotonic()
    cpu_before = time.process_time()
    for number in range(count):
        log(number)
    logged_s = time.monotonic()
    started.close()
    finding = {
        "calls": count,
        "begun_s": begun_s,
        "logged_s": logged_s,
        "closed_s": time.monotonic(),
        "cpu_s": time.process_time() - cpu_before,
        "memory_ready_bytes": memory_ready - _bare_memory_bytes,
        "memory_peak_bytes": _memory_bytes("VmHWM") - _bare_memory_bytes,
    }
    _tell(finding)


def _memory_bytes(line: str) -> int:
    for text in Path("/proc/self/status").read_text().splitlines():
        if text.startswith(f"{line}:"):
            return int(text.split()[1]) * 1024
    raise ValueError(f"/proc/self/status has no {line}")


#: Resident before a library was imported, in bytes.
_bare_memory_bytes = _memory_bytes("VmRSS")


def outage(started: Started, seconds: int) -> None:
    """500 records a second while the server is away and for a while after it is back. A call that waits makes the
    next ones late; those that would come after the end are not made."""
    clock, log = time.monotonic, started.log
    begun = clock()
    _tell("begun")
    end = begun + seconds + AFTER_OUTAGE_S
    due, number, longest, took = begun, 0, 0.0, []
    while (now := clock()) < end:
        if now < due:
            time.sleep(due - now)
        start = clock()
        log(number)
        took.append(clock() - start)
        number += 1
        due += _OUTAGE_INTERVAL_S
    took.sort()
    longest = took[-1]
    _tell({"calls": number, "longest_ms": longest * 1e3, "p99_ms": took[len(took) * 99 // 100] * 1e3})
    started.close()
    _tell("closed")


def exits(started: Started, how: int) -> None:
    """Records, then at once the end: by itself (0) or by a signal of this number; 50 ms later if the number is
    negative. The application does not close the library: what it does by itself is the finding."""
    for number in range(EXIT_RECORDS):
        started.log(number)
    _tell({"calls": EXIT_RECORDS})
    if how < 0:
        time.sleep(0.05)
    if how:
        os.kill(os.getpid(), abs(how))


def recovers(started: Started, _number: int) -> None:
    """The next process after one that was killed: it lives for a moment, and logs nothing."""
    time.sleep(0.5)
    started.flush()
    started.close()
    _tell({})


class _Loggers:
    """Two threads that log all the time, each a producer of its own."""

    def __init__(self, started: Started) -> None:
        self._ended = threading.Event()
        self._log = started.log
        self.counts = [0, 0]
        self._threads = [threading.Thread(target=self._run, args=(place,), daemon=True) for place in range(2)]
        for thread in self._threads:
            thread.start()

    def _run(self, place: int) -> None:
        first = (1 + place) * IDS_PER_PRODUCER
        while not self._ended.wait(0.001):
            self._log(first + self.counts[place])
            self.counts[place] += 1

    def end(self) -> int:
        """Stops them; how many records they logged. One that hangs in a call stays where it is."""
        self._ended.set()
        for thread in self._threads:
            thread.join(_THREAD_LIMIT_S)
        return sum(self.counts)


def _child(log: Callable[[int], None], place: int) -> None:
    first = (10 + place) * IDS_PER_PRODUCER
    for number in range(CHILD_RECORDS):
        log(first + number)


def forks(started: Started, _number: int) -> None:
    """``os.fork`` while other threads log; each child logs and ends as a program does."""
    loggers = _Loggers(started)
    children = []
    for place in range(FORKS):
        time.sleep(_FORK_INTERVAL_S)
        child = os.fork()
        if child == 0:
            _child(started.log, place)
            # Up through everything, as from any program: what is registered for the exit is run.
            sys.exit(0)
        children.append(child)
    hung = 0
    deadline = time.monotonic() + _CHILD_LIMIT_S
    for child in children:
        hung += not _ended(child, deadline)
    _tell({"parent": loggers.end(), "hung": hung})
    started.close()


def _ended(child: int, deadline: float) -> bool:
    while os.waitpid(child, os.WNOHANG)[0] == 0:
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return False
        time.sleep(0.01)
    return True


def processes(started: Started, _number: int) -> None:
    """``multiprocessing.Process`` with the start method ``fork``, while other threads log."""
    fork: Any = multiprocessing.get_context("fork")
    loggers = _Loggers(started)
    children = []
    for place in range(FORKS):
        time.sleep(_FORK_INTERVAL_S)
        child = fork.Process(target=_child, args=(started.log, place))
        child.start()
        children.append(child)
    hung = 0
    deadline = time.monotonic() + _CHILD_LIMIT_S
    for child in children:
        child.join(max(0.0, deadline - time.monotonic()))
        if child.is_alive():
            hung += 1
            child.kill()
            child.join()
    _tell({"parent": loggers.end(), "hung": hung})
    started.close()


_MEASURES = {each.__name__: each for each in (calls, throughput, outage, exits, recovers, forks, processes)}


def main() -> None:
    """Does what the arguments say."""
    measure, name, port, folder, number = sys.argv[1:]
    _keep_stdout_to_ourselves()
    started = {**QUICK, **CONTESTANTS}[name].start(Place(int(port), Path(folder)))
    _MEASURES[measure](started, int(number))


if __name__ == "__main__":
    main()

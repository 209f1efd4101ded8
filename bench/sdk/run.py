"""Millpond's Python package side by side with libraries that anyone can get, on one machine, in one run.

    python bench/sdk/run.py FOLDER [--page PAGE.md] [--outage-s 20] [--rounds 5] [--only NAME,NAME]
    python bench/sdk/run.py --quick

A fresh process for each contestant and each finding, in a new order each round, and one more for the sink that takes
what it sends. The tables go to stdout as Markdown; ``raw.json`` and ``chart.svg`` to the folder; the page, if one is
given, gets them between its two marks. ``--quick`` measures our own calls alone.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import IO, Any

import chart
import report
from contestants import CONTESTANTS, LIBRARIES, QUICK, Contestant
from measures import AFTER_OUTAGE_S, CHILD_RECORDS, EXIT_RECORDS, FORKS, WARM_UP_CALLS
from sink import ids_of, tally

_HERE = Path(__file__).parent
#: Longer than this no finding may take, beyond what it is meant to take.
_LIMIT_S = 60.0
#: Nothing arrives for so long: all that will has arrived.
_SETTLED_S = 0.5
_WARM_UP_PRODUCER = "900"
#: A finding that takes longer is made once.
_SLOW_S = 4.0
#: How many processes at a time find out what is no matter of time.
_AT_ONCE = 3

Finding = dict[str, Any]


class Hangs(Exception):
    """A process that did not do in time what it should; it was killed."""


class Process:
    """A child that speaks in lines of JSON and doesn't outlive the run."""

    def __init__(self, words: list[str], stderr: Path) -> None:
        # Nothing of the environment sends loopback through a proxy or configures a library.
        environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        with stderr.open("w") as errors:
            self._process = subprocess.Popen(
                [sys.executable, *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment,
                # A library may start processes of its own: all of them end together.
                start_new_session=True,
            )
        self._stderr = stderr
        self._unread = b""

    def line(self, limit_s: float) -> Any:
        """What it says next, ``None`` if it has ended."""
        deadline = time.monotonic() + limit_s
        stdout: IO[bytes] = self._process.stdout  # type: ignore[assignment]
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            while b"\n" not in self._unread:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise Hangs
                read = os.read(stdout.fileno(), 65536)
                if not read:
                    return None
                self._unread += read
        line, _, self._unread = self._unread.partition(b"\n")
        return json.loads(line)

    def finding(self, limit_s: float) -> Finding:
        """As `line`, but a process that ends instead has failed."""
        found = self.line(limit_s)
        if found is None:
            raise RuntimeError(self._stderr.read_text()[-2000:] or "ended without a word")
        return found if isinstance(found, dict) else {}

    def tell(self, command: str) -> None:
        """A line for its stdin."""
        stdin: IO[bytes] = self._process.stdin  # type: ignore[assignment]
        stdin.write(command.encode() + b"\n")
        stdin.flush()

    def wait(self, limit_s: float) -> None:
        """Until it has ended."""
        try:
            self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            raise Hangs from None

    def kill(self) -> None:
        """Ends it and the processes that it has started."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    pass


class Bench:
    """One contestant, one finding: its processes, its sink, its folder."""

    def __init__(self, scratch: Path, name: str, contestant: Contestant, manner: str = "takes") -> None:
        self._folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=scratch))
        self._name, self._contestant = name, contestant
        self._processes: list[Process] = []
        self._sink = None
        self._port = _closed_port()
        if contestant.sends:
            self._sink = self._start([str(_HERE / "sink.py"), str(self._port), manner])
            self._sink.line(_LIMIT_S)

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._processes):
            process.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self, words: list[str]) -> Process:
        process = Process(words, self._folder / f"{len(self._processes)}.stderr")
        self._processes.append(process)
        return process

    def measure(self, what: str, number: int) -> Process:
        """Starts a process that measures."""
        words = [str(_HERE / "measures.py"), what, self._name, str(self._port), str(self._folder), str(number)]
        return self._start(words)

    def sink(self, manner: str) -> None:
        """The sink behaves otherwise from now on."""
        if self._sink is not None:
            self._sink.tell(manner)

    def arrived(self) -> Finding:
        """What there is at the other end once nothing more comes."""
        if self._sink is None:
            file = self._folder / "records.jsonl"
            return _without_warm_up(tally(ids_of(file.read_bytes() if file.exists() else b"")))
        last: float | None = None
        while True:
            self._sink.tell("last")
            now = self._sink.line(_LIMIT_S)
            if now == last and time.monotonic() - now > _SETTLED_S:
                break
            last = now
            time.sleep(_SETTLED_S / 5)
        self._sink.tell("count")
        return _without_warm_up(self._sink.finding(_LIMIT_S))


def _without_warm_up(counted: Finding) -> Finding:
    counted["unique"].pop(_WARM_UP_PRODUCER, None)
    counted["records"] = sum(counted["unique"].values())
    return counted


def _closed_port() -> int:
    """A port that refuses connections. Not one that the system gives out for outgoing ones: such a connection could
    be one to itself."""
    while True:
        with socket.socket() as probe:
            try:
                port = random.randrange(20_000, 32_000)
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


# What is found out about one contestant.


def calls(scratch: Path, name: str, contestant: Contestant) -> Finding:
    """The cost of a call."""
    with Bench(scratch, name, contestant) as bench:
        return bench.measure("calls", contestant.calls).finding(_LIMIT_S + contestant.calls * 1e-3)


def throughput(scratch: Path, name: str, contestant: Contestant) -> Finding:
    """What one thread gets through."""
    with Bench(scratch, name, contestant) as bench:
        finding = bench.measure("throughput", contestant.calls).finding(_LIMIT_S + contestant.calls * 1e-3)
        arrived = bench.arrived()
    last_s = arrived.get("last_s") or finding["closed_s"]
    seconds = max(last_s, finding["logged_s"]) - finding["begun_s"]
    lost = finding["calls"] - arrived["records"]
    return {
        **finding,
        "delivered_per_s": arrived["records"] / seconds,
        "lost": lost,
        "twice": arrived["twice"],
        "disorder": arrived["disorder"],
        "wire_bytes": arrived.get("wire_bytes"),
    }


def outage(scratch: Path, name: str, contestant: Contestant, manner: str, seconds: float) -> Finding:
    """The server is away for so long, then it is back."""
    with Bench(scratch, name, contestant, manner) as bench:
        process = bench.measure("outage", round(seconds))
        process.line(_LIMIT_S)
        time.sleep(seconds)
        bench.sink("takes")
        finding = process.finding(AFTER_OUTAGE_S + _LIMIT_S)
        try:
            process.line(_LIMIT_S)
        except Hangs:
            finding["hangs"] = True
        arrived = bench.arrived()
    lost = finding["calls"] - arrived["records"]
    return {**finding, "lost": lost, "lost_percent": 100 * lost / finding["calls"], "twice": arrived["twice"]}


def ending(scratch: Path, name: str, contestant: Contestant, how: int) -> Finding:
    """A process ends with records that are not sent yet. Where there is a spool, one more process follows."""
    with Bench(scratch, name, contestant) as bench:
        process = bench.measure("exits", how)
        finding = process.finding(_LIMIT_S)
        begun = time.monotonic()
        try:
            process.wait(_LIMIT_S)
        except Hangs:
            finding["hangs"] = True
            process.kill()
        finding["seconds"] = time.monotonic() - begun
        if name == "millpond-spool":
            bench.measure("recovers", 0).finding(_LIMIT_S)
        arrived = bench.arrived()
    return {**finding, "lost": EXIT_RECORDS - arrived["records"], "twice": arrived["twice"]}


def forking(scratch: Path, name: str, contestant: Contestant, what: str) -> Finding:
    """Children of a process whose threads log."""
    with Bench(scratch, name, contestant) as bench:
        process = bench.measure(what, 0)
        finding = process.finding(_LIMIT_S / 2)
        try:
            process.wait(_LIMIT_S / 2)
        except Hangs:
            finding["hangs"] = True
            process.kill()
        arrived = bench.arrived()
    logged = finding["parent"] + FORKS * CHILD_RECORDS
    # A record of a call that never returned may have arrived.
    lost = max(0, logged - arrived["records"])
    return {**finding, "logged": logged, "lost": lost, "twice": arrived["twice"]}


# The run.


class Run:
    """Who takes part, and what was found."""

    def __init__(self, scratch: Path, contestants: dict[str, Contestant]) -> None:
        self._scratch = scratch
        self._contestants = contestants
        self._begun = time.monotonic()
        self.found: dict[str, dict[str, Any]] = {name: {} for name in contestants}

    def _say(self, text: str) -> None:
        print(f"{time.monotonic() - self._begun:5.0f} s  {text}", file=sys.stderr, flush=True)

    def _find(self, key: str, name: str, what: Any, *more: object) -> None:
        try:
            finding = what(self._scratch, name, self._contestants[name], *more)
        except Hangs:
            finding = {"hangs": True}
        except Exception as error:
            finding = {"failed": str(error)}
        self.found[name].setdefault(key, []).append(finding)
        self._say(f"{key:20} {name:22} {report.brief(finding)}")

    def alone(self, key: str, what: Any, rounds: int) -> None:
        """One process at a time, the order of each round another one, the same in each run. Who is slow has one round:
        it is far from the others in each."""
        slow = set()
        for number in range(rounds):
            names = [name for name in self._contestants if name not in slow]
            random.Random(number).shuffle(names)
            for name in names:
                begun = time.monotonic()
                self._find(key, name, what)
                if time.monotonic() - begun > _SLOW_S:
                    slow.add(name)

    def together(self, key: str, names: list[str], at_once: int, what: Any, *more: object) -> None:
        """What is no matter of time, or mostly waits."""
        with ThreadPoolExecutor(max(1, at_once)) as pool:
            list(pool.map(lambda name: self._find(key, name, what, *more), names))

    def outages(self, seconds: float) -> None:
        """Ours for themselves, and those for themselves that start a thread for each record."""
        sends = [name for name, contestant in self._contestants.items() if contestant.sends]
        ours = ["nothing", *(name for name in sends if self._contestants[name].kind == "ours")]
        crowd = [name for name in sends if name == "streamlogia"]
        peers = [name for name in sends if name not in ours and name not in crowd]
        with ThreadPoolExecutor(2) as pool:
            for group in (ours, peers, crowd):
                group = [name for name in group if name in self._contestants]
                both = ("refuses", "mute")
                done = [
                    pool.submit(self.together, f"outage-{manner}", group, len(group), outage, manner, seconds)
                    for manner in both
                ]
                for one in done:
                    one.result()

    def behaviour(self) -> None:
        """Exits and forks."""
        names = [name for name in self._contestants if name != "nothing"]
        ends = {"exit": 0, "sigterm": signal.SIGTERM, "sigkill": signal.SIGKILL, "sigkill-later": -signal.SIGKILL}
        for key, how in ends.items():
            self.together(key, names, _AT_ONCE, ending, int(how))
        for what in ("forks", "processes"):
            self.together(what, names, _AT_ONCE, forking, what)

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return time.monotonic() - self._begun


def _versions() -> dict[str, str]:
    return {name: metadata.version(name) for name in LIBRARIES if _installed(name)}


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _quick(scratch: Path) -> None:
    """As text for a terminal."""
    run = Run(scratch, {name: contestant for name, contestant in QUICK.items() if contestant.available})
    run.alone("calls", calls, 1)
    print(f"{'microseconds per call':40} {'mean':>7} {'p50':>7} {'p99':>7} {'p99.9':>7} {'max':>8} {'CPU':>7}")
    for name, found in run.found.items():
        finding = found["calls"][0]
        values = [finding[key] for key in ("mean_us", "p50_us", "p99_us", "p999_us", "max_us", "cpu_us")]
        print(
            f"{QUICK[name].title:40} "
            + " ".join(f"{value:{width}.2f}" for value, width in zip(values, [7] * 4 + [8, 7]))
        )


def _full(options: argparse.Namespace, scratch: Path) -> None:
    only = options.only.split(",") if options.only else list(CONTESTANTS)
    contestants = {name: each for name, each in CONTESTANTS.items() if name in only and each.available}
    run = Run(scratch, contestants)
    run.alone("calls", calls, options.rounds)
    run.alone("throughput", throughput, options.rounds)
    run.outages(options.outage_s)
    run.behaviour()
    result = {
        "python": sys.version.split()[0],
        "versions": _versions(),
        "rounds": options.rounds,
        "outage_s": options.outage_s,
        "warm_up_calls": WARM_UP_CALLS,
        "seconds": round(run.seconds),
        "found": run.found,
    }
    folder: Path = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "raw.json").write_text(json.dumps(result, indent=1) + "\n")
    (folder / "chart.svg").write_text(chart.svg(result))
    print(report.markdown(result))
    if options.page is not None:
        report.write_into(options.page, folder, result)


def main() -> None:
    """Reads the arguments."""
    parser = argparse.ArgumentParser(description="Millpond's Python package and its peers")
    parser.add_argument("folder", type=Path, nargs="?", help="where raw.json and chart.svg go")
    parser.add_argument("--quick", action="store_true", help="our own calls alone, to the terminal")
    parser.add_argument("--page", type=Path, help="a page of the documentation to bring up to date")
    parser.add_argument("--rounds", type=int, default=5, help="of what is a matter of time")
    parser.add_argument("--outage-s", type=float, default=20.0, help="length of an outage in seconds")
    parser.add_argument("--only", help="names of contestants, separated by commas")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="millpond-bench-") as scratch:
        if options.quick:
            _quick(Path(scratch))
        elif options.folder is None:
            parser.error("where to?")
        else:
            _full(options, Path(scratch))


if __name__ == "__main__":
    main()

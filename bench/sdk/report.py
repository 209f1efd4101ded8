"""What a run found -> tables in Markdown."""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contestants import CONTESTANTS
from measures import AFTER_OUTAGE_S, CHILD_RECORDS, EXIT_RECORDS, FORKS

MEAN_TARGET_US = 2.0
P50_TARGET_US = 1.5
#: Between these two lines of a page the tables stand.
_MARKS = ("<!-- bench/sdk begins -->", "<!-- bench/sdk ends -->")

Result = dict[str, Any]


@dataclass(frozen=True)
class Column:
    """One number for each contestant: the median of its rounds."""

    title: str
    measure: str
    field: str
    decimals: int = 0
    #: Whether more is better.
    high: bool = False
    scale: float = 1.0
    #: Who speaks for us here.
    ours: str = "millpond"
    #: Whether it is about sending: who writes a file has no part in it.
    sending: bool = False

    def value(self, result: Result, name: str) -> float | str | None:
        """The number; or why there is none."""
        rounds = result["found"].get(name, {}).get(self.measure, [])
        for reason in ("failed", "hangs"):
            if any(reason in finding for finding in rounds):
                return reason
        values = [finding[self.field] for finding in rounds if finding.get(self.field) is not None]
        return statistics.median(values) * self.scale if values else None

    def cell(self, result: Result, name: str) -> str:
        """As it stands in a table."""
        value = self.value(result, name)
        if CONTESTANTS[name].kind == "none" and not self.field.endswith(("_us", "_ms")):
            return "–"
        if isinstance(value, float | int):
            return f"{value:.{self.decimals}f}"
        return value or "–"


_CALLS = [
    Column("mean", "calls", "mean_us", 2),
    Column("p50", "calls", "p50_us", 2),
    Column("p99", "calls", "p99_us", 2),
    Column("p99.9", "calls", "p999_us", 1),
    Column("longest", "calls", "max_us"),
    Column("on the processor", "calls", "cpu_us", 2),
]
_THROUGHPUT = [
    Column("delivered a second", "throughput", "delivered_per_s", high=True),
    Column("lost", "throughput", "lost"),
    Column("twice", "throughput", "twice"),
    Column("out of order", "throughput", "disorder"),
    Column("MB when ready", "throughput", "memory_ready_bytes", 1, scale=1e-6),
    Column("MB at the peak", "throughput", "memory_peak_bytes", 1, scale=1e-6),
    Column("processor s", "throughput", "cpu_s", 2),
]
_OUTAGE = [
    Column("refused: longest call ms", "outage-refuses", "longest_ms", 1, sending=True),
    Column("refused: lost %", "outage-refuses", "lost_percent", 1, sending=True),
    Column("refused: twice", "outage-refuses", "twice", sending=True),
    Column("no answer: longest call ms", "outage-mute", "longest_ms", 1, sending=True),
    Column("no answer: lost %", "outage-mute", "lost_percent", 1, sending=True),
    Column("no answer: twice", "outage-mute", "twice", sending=True),
]
_EXIT = [
    Column("end: lost", "exit", "lost"),
    Column("end: seconds", "exit", "seconds", 2),
    Column("SIGTERM: lost", "sigterm", "lost", ours="millpond-spool"),
    Column("SIGKILL: lost", "sigkill", "lost", ours="millpond-spool"),
    Column("SIGKILL 50 ms later: lost", "sigkill-later", "lost", ours="millpond-spool"),
]
_FORK = [
    Column("os.fork: lost", "forks", "lost"),
    Column("os.fork: twice", "forks", "twice"),
    Column("os.fork: children that hang", "forks", "hung"),
    Column("multiprocessing: lost", "processes", "lost"),
    Column("multiprocessing: twice", "processes", "twice"),
    Column("multiprocessing: children that hang", "processes", "hung"),
]


def brief(finding: dict[str, Any]) -> str:
    """One finding in a line, for who waits."""
    shown = {name: round(value, 2) if isinstance(value, float) else value for name, value in finding.items()}
    return ", ".join(f"{name} {value}" for name, value in shown.items() if not name.endswith("ed_s"))[:160]


def _table(titles: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    titles = list(titles)
    head = f"| {' | '.join(titles)} |\n| --- |{' ---: |' * (len(titles) - 1)}\n"
    return head + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _names(result: Result, keep: Callable[[str], bool] = lambda name: True) -> list[str]:
    return [name for name in CONTESTANTS if name in result["found"] and keep(name)]


def _titled(name: str) -> str:
    title = CONTESTANTS[name].title
    return f"**{title}**" if CONTESTANTS[name].kind == "ours" else title


def _findings(result: Result, columns: list[Column], names: list[str]) -> str:
    rows = ([_titled(name), *(column.cell(result, name) for column in columns)] for name in names)
    return _table(["who", *(column.title for column in columns)], rows)


def _best(result: Result, column: Column, kind: str) -> tuple[float, str] | None:
    """The best number as it is shown, and who has it."""
    values = [
        (round(value, column.decimals), CONTESTANTS[name].title)
        for name in _names(result, lambda name: CONTESTANTS[name].kind == kind)
        if isinstance(value := column.value(result, name), float | int)
    ]
    if not values:
        return None
    best = (max if column.high else min)(value for value, _ in values)
    who = [title for value, title in values if value == best]
    return best, who[0] if len(who) == 1 else f"{len(who)} of {len(values)}"


def _verdict(column: Column, ours: float | str | None, best: tuple[float, str] | None) -> str:
    if not isinstance(ours, float | int) or best is None:
        return "–"
    ours = round(ours, column.decimals)
    if ours == best[0]:
        return "equal"
    return "ahead" if (ours > best[0]) == column.high else "**behind**"


def _comparison(result: Result) -> str:
    rows = []
    for group, columns in _GROUPS:
        for column in columns:
            ours = column.value(result, column.ours)
            row = [f"{group} {column.title}", column.cell(result, column.ours)]
            for kind in ("peer", "file"):
                best = None if column.sending and kind == "file" else _best(result, column, kind)
                shown = "–" if best is None else f"{best[0]:.{column.decimals}f} {best[1]}"
                row += [shown, _verdict(column, ours, best)]
            rows.append(row)
    return _table(["what", "ours", "best that sends", "", "best that writes a file", ""], rows)


_GROUPS = [
    ("a call, µs:", _CALLS),
    ("100,000 records:", _THROUGHPUT),
    ("outage,", _OUTAGE),
    ("exit,", _EXIT),
    ("fork,", _FORK),
]


def _targets(result: Result) -> str:
    mean, p50 = (column.value(result, "millpond-context") for column in _CALLS[:2])
    lost, twice = (_faults(result, fields) for fields in (("lost", "lost_percent", "hung"), ("twice", "disorder")))
    checks = [
        ("mean cost of a call, with context and redaction by key", MEAN_TARGET_US, mean, "µs"),
        ("median cost of a call, with context and redaction by key", P50_TARGET_US, p50, "µs"),
        ("records lost and children that hang, in all of what follows but kills without a spool", 0.0, lost, ""),
        ("records that came twice or out of order, in all of what follows", 0.0, twice, ""),
    ]
    rows = []
    for what, target, value, unit in checks:
        known = isinstance(value, float | int)
        shown = f"{value:.2f} {unit}" if known else str(value or "–")
        met = known and value <= target  # type: ignore[operator]
        rows.append([what, f"≤ {target:g} {unit}".strip(), shown.strip(), "met" if met else "**not met**"])
    return _table(["what", "target", "measured", ""], rows)


def _faults(result: Result, fields: tuple[str, ...]) -> float:
    """Of all variants of ours, the worst rounds. A process that is killed loses what it holds: without a spool all of
    it, with one what is younger than two milliseconds."""
    total = 0.0
    for name in _names(result, lambda name: CONTESTANTS[name].kind == "ours"):
        for measure, rounds in result["found"][name].items():
            # In the same instant even what goes to disk is on its way.
            if measure == "sigkill" or (measure == "sigkill-later" and name != "millpond-spool"):
                continue
            total += sum(max(0, finding.get(field, 0)) for finding in rounds for field in fields)
            total += sum("hangs" in finding or "failed" in finding for finding in rounds)
    return total


def markdown(result: Result) -> str:
    """All tables, with what they mean."""
    libraries = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    rounds = f"Medians of {result['rounds']} rounds, each a fresh process; of one where it takes long"
    return f"""- Python {result["python"]}: {libraries}
- took {result["seconds"]} s

## Targets

{_targets(result)}
## Ours and the best of the others, column by column

{_comparison(result)}
![Cost of a call and longest call in an outage](chart.svg)

## What a call costs its caller

Microseconds: a message and five fields, 100,000 calls (streamlogia, which sends each record by itself: 5,000);
measured warm, in bursts of 500 calls between which all is sent, so that no queue is full. The stopwatch is part of each
call. {rounds}.
Redaction by key is on in ours, as it is by default.

{_findings(result, _CALLS, _names(result))}
## What one thread gets through

As many records again, as fast as the calls return; then the library is closed. What arrived the sink counts, by the id
of each record. Megabytes of resident memory beyond those of the interpreter before the library was imported; processor
seconds of the whole process, its senders included.

{_findings(result, _THROUGHPUT, _names(result, lambda name: name != "nothing"))}
## Calls while the server is away

500 records a second for {result["outage_s"]:g} s while connections are refused, or while requests are read and never
answered; then the server is back, and what hung is cut off; it is logged on for {AFTER_OUTAGE_S:g} s.
logtide gives up for 30 s after its last failure, which ends after the program does.

{_findings(result, _OUTAGE, _names(result, lambda name: CONTESTANTS[name].kind != "file"))}
## At the end of a process

{EXIT_RECORDS} records, then at once the end: of the program, or by a signal; 50 ms later in the last column. Nobody calls `close()` or its like. With a
spool the next process delivers what a killed one left; it is started, and what it delivers counts.

{_findings(result, _EXIT, _names(result, lambda name: name != "nothing"))}
## Forks

{FORKS} children, each of which logs {CHILD_RECORDS} records and ends, while two threads of the parent log. What hangs
for ten seconds is killed; where the parent itself does, there are no numbers.

{_findings(result, _FORK, _names(result, lambda name: name != "nothing"))}"""


def write_into(page: Path, folder: Path, result: Result) -> None:
    """Puts the targets, the chart and the costs between the marks of a page."""
    before, begins, rest = page.read_text().partition(_MARKS[0])
    _, ends, after = rest.partition(_MARKS[1])
    if not begins or not ends:
        raise ValueError(f"{page} has no {_MARKS[0]} and {_MARKS[1]}")
    where = Path(os.path.relpath(folder, page.parent)).as_posix()
    cost = [*_CALLS[:6], *_THROUGHPUT[:2]]
    tables = f"""
![Cost of a call and longest call in an outage]({where}/chart.svg)

{_targets(result)}
Microseconds a call; then what one thread gets through:

{_findings(result, cost, _names(result))}
The server away, the end of a process, forks, memory, versions and the machine: [the whole run]({where}/README.md).
"""
    page.write_text(f"{before}{begins}\n{tables}\n{ends}{after}")

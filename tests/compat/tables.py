"""The tables of `docs/compat/SYSTEM.md`: each feature of a system, how it is here, and the test that shows it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from programs import ROOT

SYSTEMS = ("logtide", "timberlogs", "logiscout", "streamlogia")
HEADER = ("feature", "here", "note", "test")


@dataclass(frozen=True)
class Row:
    #: Names the row: no other has the same.
    feature: str
    #: `works`, `better` or `differs`.
    here: str
    note: str
    #: Each `FILE::NAME`.
    tests: tuple[str, ...]


def page(system: str) -> Path:
    return ROOT / "docs" / "compat" / f"{system}.md"


def rows(system: str) -> list[Row]:
    """Those of all tables of the page."""
    found: list[Row] = []
    for line in page(system).read_text(encoding="utf-8").splitlines():
        if not line.startswith("|"):
            continue
        # A bar in a cell is written as in every Markdown table, with a backslash.
        cells = [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if tuple(cells) == HEADER or set("".join(cells)) <= set("-: "):
            continue
        assert len(cells) == len(HEADER), f"{page(system)}: {len(cells)} cells, expected {len(HEADER)}: {line}"
        found.append(Row(cells[0], cells[1], cells[2], tuple(re.findall(r"[\w./-]+::\w+", cells[3]))))
    return found

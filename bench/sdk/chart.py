"""The run as a picture: two panels of bars on a logarithmic scale, readable on light and on dark ground."""

from __future__ import annotations

import math
from html import escape
from typing import Any

from contestants import CONTESTANTS
from report import Column

_ROW, _BAR, _LABELS, _BARS, _MARGIN = 22, 12, 300, 440, 24
_VALUES = 96
_STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #1f2328 }
  .title { font-weight: 600; font-size: 14px }
  .quiet { fill: #59636e }
  .grid { stroke: #d1d9e0; stroke-width: 1 }
  .ours { fill: #0969da } .peer { fill: #8c959f } .file { fill: #c8ced4 } .none { fill: #d1d9e0 }
  .strong { font-weight: 600 }
  .mark { stroke: #1f2328; stroke-width: 2 }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc } .quiet { fill: #9198a1 } .grid { stroke: #3d444d }
    .ours { fill: #4493f8 } .peer { fill: #7d8590 } .file { fill: #4d555e } .none { fill: #3d444d }
    .mark { stroke: #f0f6fc }
  }
"""


def svg(result: dict[str, Any]) -> str:
    """The picture."""
    cost = Column("", "calls", "mean_us", 2)
    mark = Column("", "calls", "p99_us", 2)
    outage = Column("", "outage-mute", "longest_ms", 1)
    top, parts = _MARGIN, []
    for title, unit, column, tick in (
        ("Mean cost of a log call with five fields; the mark is p99", "µs", cost, mark),
        ("Longest log call while the server does not answer", "ms", outage, None),
    ):
        panel, top = _panel(result, top, title, unit, column, tick)
        parts.append(panel)
    legend = "blue: millpond · grey: others that send · light grey: others that write a file · shorter is better"
    parts.append(f'<text class="quiet" x="{_MARGIN}" y="{top}">{legend}</text>')
    width = 2 * _MARGIN + _LABELS + _BARS + _VALUES
    size = f'viewBox="0 0 {width} {top + _MARGIN}" width="{width}" height="{top + _MARGIN}"'
    body = "\n".join(parts)
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">\n<style>{_STYLE}</style>\n{body}\n</svg>\n'


def _panel(
    result: dict[str, Any], top: int, title: str, unit: str, column: Column, tick: Column | None
) -> tuple[str, int]:
    """One panel, and where the next may begin."""
    rows = _rows(result, column)
    ticks = {name: tick.value(result, name) for _, name in rows} if tick else {}
    numbers = [value for value in [*(value for value, _ in rows), *ticks.values()] if isinstance(value, float | int)]
    scale = _Scale(min(numbers, default=1.0), max(numbers, default=10.0))
    left, first = _MARGIN + _LABELS, top + 34
    bottom = first + len(rows) * _ROW
    lines = [f'<text class="title" x="{_MARGIN}" y="{top}">{escape(title)}</text>']
    for value in scale.grid():
        x = left + scale.place(value)
        lines.append(f'<line class="grid" x1="{x:.1f}" y1="{first - 6}" x2="{x:.1f}" y2="{bottom}"/>')
        lines.append(f'<text class="quiet" x="{x:.1f}" y="{first - 10}" text-anchor="middle">{value:g} {unit}</text>')
    for place, (value, name) in enumerate(rows):
        y = first + place * _ROW
        lines.append(_bar(name, value, unit, left, y, scale))
        other = ticks.get(name)
        if isinstance(other, float | int):
            x = left + scale.place(other)
            lines.append(f'<line class="mark" x1="{x:.1f}" y1="{y + 2}" x2="{x:.1f}" y2="{y + _BAR + 4}"/>')
    return "\n".join(lines), bottom + 2 * _MARGIN


def _rows(result: dict[str, Any], column: Column) -> list[tuple[float, str]]:
    found = ((column.value(result, name), name) for name in CONTESTANTS if CONTESTANTS[name].kind != "none")
    return sorted((value, name) for value, name in found if isinstance(value, float | int))


def _bar(name: str, value: float, unit: str, left: int, y: int, scale: _Scale) -> str:
    contestant = CONTESTANTS[name]
    strong = "strong" if contestant.kind == "ours" else ""
    middle = y + 13
    shown = f"{value:.2f}" if value < 10 else f"{value:,.0f}"
    return (
        f'<text class="{strong}" x="{left - 8}" y="{middle}" text-anchor="end">{escape(contestant.title)}</text>'
        f'<rect class="{contestant.kind}" x="{left}" y="{y + 3}" width="{scale.place(value):.1f}" height="{_BAR}"/>'
        f'<text class="{strong}" x="{left + _BARS + 12}" y="{middle}">{shown} {unit}</text>'
    )


class _Scale:
    """Powers of ten, from the one below the least value to the one above the greatest."""

    def __init__(self, least: float, greatest: float) -> None:
        self._low = math.floor(math.log10(max(least, 1e-3)) - 0.05)
        self._high = max(math.ceil(math.log10(max(greatest, 1e-3))), self._low + 1)

    def place(self, value: float) -> float:
        """How far to the right."""
        return max(1.0, (math.log10(max(value, 1e-3)) - self._low) / (self._high - self._low) * _BARS)

    def grid(self) -> list[float]:
        """Where the lines are."""
        return [10.0**power for power in range(self._low, self._high + 1)]

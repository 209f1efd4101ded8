"""Values that are kept as JSON until the rest of what they belong to is there."""

from __future__ import annotations

import json
import threading
from typing import Any

from millpond._native import Written


def test_what_happens_to_a_value_later_changes_nothing() -> None:
    order: dict[str, Any] = {"items": [1]}
    written = Written(order)
    order["items"].append(2)
    assert json.loads(str(written)) == {"items": [1]}
    assert len(written) == len('{"items":[1]}')


def test_it_stands_for_its_value_where_values_are_written() -> None:
    log = Written({"message": "m", "at": 1.5})
    assert json.loads(str(Written({"logs": [log, log]}))) == {"logs": [{"message": "m", "at": 1.5}] * 2}


def test_no_value_raises() -> None:
    class Hostile:
        def __repr__(self) -> str:
            raise ValueError

    written = json.loads(str(Written({"lock": threading.Lock(), "nan": float("nan"), "hostile": Hostile()})))
    assert written["nan"] == "NaN"
    assert written["hostile"] == "<unprintable Hostile>"
    assert written["lock"].startswith("<unlocked")


def test_what_is_too_long_is_cut_and_stays_json() -> None:
    written = Written({"text": "x" * 10_000, "after": 1}, 100)
    assert len(written) < 300
    assert json.loads(str(written))["text"].startswith("xxx")


def test_one_that_has_no_room_in_another_is_left_out_whole() -> None:
    assert json.loads(str(Written([Written("x" * 1000)], 100))) == ["<record too large>"]

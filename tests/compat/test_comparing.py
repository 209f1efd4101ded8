"""What the comparison finds, and what it lets pass."""

from __future__ import annotations

import json
from typing import Any

import pytest

import comparing
from comparing import Allowed, Difference, Shape, comparable, differences, judge
from recording import Request
from tables import Row

SHAPE = Shape("timberlogs", lambda request, body: body.pop("logs") if request.path == "/v1/logs" else None)


def sent(path: str, body: Any, **headers: str) -> Request:
    return Request("POST", path, {}, {"content-type": "application/json", **headers}, json.dumps(body).encode(), 0, 0.0)


@pytest.fixture(autouse=True)
def _table(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [Row("retries", "better", "", ()), Row("ids", "works", "", ())]
    monkeypatch.setattr(comparing, "rows", lambda system: rows)


def test_batches_may_be_cut_anywhere() -> None:
    one = [sent("/v1/logs", {"logs": [{"a": 1}, {"a": 2}]}), sent("/v1/logs", {"logs": [{"a": 3}]})]
    other = [sent("/v1/logs", {"logs": [{"a": 1}, {"a": 2}, {"a": 3}]}, **{"user-agent": "another"})]
    assert differences(comparable(SHAPE, one), comparable(SHAPE, other)) == []


def test_times_ids_and_durations_are_the_same_whatever_they_are() -> None:
    bodies = [
        {
            "at": "2026-01-31T12:00:00.5+00:00",
            "id": "7f1f8f68-6a0c-4f0e-9a0b-0b6a3a0b1c2d",
            "message": "GET / (8ms)",
        },
        {"at": "2026-02-01T12:00:00.7+00:00", "id": "00000000-6a0c-4f0e-9a0b-0b6a3a0b1c2d", "message": "GET / (17ms)"},
    ]
    one, other = (comparable(SHAPE, [sent("/v1/flows", {**body, "duration_ms": n})]) for n, body in enumerate(bodies))
    assert one["requests"][0]["body"]["message"] == "GET / (<number>ms)"
    assert differences(one, other) == []


@pytest.mark.parametrize("other", ["2026-01-31 12:00:00.5Z", "2026-01-31T12:00:00.51Z", "2026-01-31T12:00:00.5+00:00"])
def test_a_time_that_is_spelled_otherwise_is_a_difference(other: str) -> None:
    one, two = (comparable(SHAPE, [sent("/v1/flows", {"at": at})]) for at in ("2020-12-31T00:00:00.1Z", other))
    assert [found.path for found in differences(one, two)] == ["requests.0.body.at"]


def test_a_duration_of_another_type_is_a_difference() -> None:
    one, other = (comparable(SHAPE, [sent("/v1/flows", {"durationMS": value})]) for value in (1, 1.5))
    (found,) = differences(one, other)
    assert found == Difference("requests.0.body.durationMS", "<int>", "<float>")


def test_a_header_that_matters_is_compared() -> None:
    one, other = (comparable(SHAPE, [sent("/v1/logs", {"logs": []}, authorization=key)]) for key in ("a", "b"))
    assert [found.path for found in differences(one, other)] == ["envelopes.0.headers.authorization"]


def test_an_entry_more_is_one_difference() -> None:
    one, other = ({"entries": [1, 2]}, {"entries": [0, 1, 2]})
    assert differences(one, other) == [Difference("entries.0", "<absent>", 0)]


def test_true_is_not_one() -> None:
    assert differences({"a": 1}, {"a": True}) == [Difference("a", 1, True)]


def test_a_difference_that_no_row_allows_fails() -> None:
    with pytest.raises(AssertionError, match="differences that no row allows"):
        judge(SHAPE, [Difference("entries.0.a", 1, 2)], [])


def test_a_difference_that_a_row_allows_passes() -> None:
    judge(SHAPE, [Difference("entries.0.a", 1, 2)], [Allowed("retries", "entries.*.a")])


def test_a_difference_that_a_row_allows_does_not_allow_others_inside_of_it() -> None:
    with pytest.raises(AssertionError, match="differences that no row allows"):
        judge(SHAPE, [Difference("entries.0.a", 1, 2)], [Allowed("retries", "entries.*")])


def test_an_allowed_difference_that_no_longer_occurs_fails() -> None:
    with pytest.raises(AssertionError, match="allowed and do not occur"):
        judge(SHAPE, [], [Allowed("retries", "entries.*.a")])


@pytest.mark.parametrize("feature", ["ids", "unheard of"])
def test_a_difference_needs_a_row_that_tells_of_it(feature: str) -> None:
    with pytest.raises(AssertionError, match="has no row `better` or `differs`"):
        judge(SHAPE, [Difference("a", 1, 2)], [Allowed(feature, "a")])

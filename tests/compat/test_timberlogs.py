"""Timberlogs: its published client and the drop-in, against a real server and beside each other."""

from __future__ import annotations

import re
from typing import Any

import pytest

from comparing import Allowed, Shape
from conftest import SameSurface, SideBySide
from programs import Programs
from recording import Answer, Recorder
from serving import Project

VARIANTS = ("original", "ours")
SHAPE = Shape(
    "timberlogs",
    lambda request, body: body.pop("logs") if request.path == "/v1/logs" and not request.query else None,
    headers=("x-api-key", "content-type"),
    members={"timestamp": "<ms>"},
    patterns=[(re.compile(r"-[0-9a-f]{8}\b"), "-<suffix>")],
)
OWN_TIME = Allowed("Time of a log", "entries.*.timestamp")

#: What `calls.py` logs, by message, as Timberlogs' own API returns it, but for ids and times.
SHOP = {"source": "shop", "environment": "staging", "dataset": "orders", "version": "1.2.3"}
OF_U1 = {**SHOP, "userId": "u1", "sessionId": "s1"}
STEP = {**SHOP, "flowId": "checkout-<suffix>"}
QUIET = {"source": "shop", "environment": "production", "dataset": "default", "flowId": "filtered-<suffix>"}
CALLS: dict[str, dict[str, Any]] = {
    "debug": {**OF_U1, "level": "debug", "data": {"attempt": 1}},
    "info": {
        **OF_U1,
        "level": "info",
        "data": {"cart": {"items": [1, 2.5, None, True]}, "name": "Jörg 😀"},
        "tags": ["a", "b"],
    },
    "warn": {**OF_U1, "level": "warn", "tags": ["c"]},
    "error with exception": {
        **OF_U1,
        "level": "error",
        "data": {"message": "'missing'"},
        "errorName": "KeyError",
        "errorStack": "<stack>",
        "tags": ["d"],
    },
    "error with data": {**OF_U1, "level": "error", "data": {"field": "email"}},
    "error alone": {**OF_U1, "level": "error"},
    "entry": {
        "level": "warn",
        "source": "shop",
        "environment": "staging",
        "version": "1.2.3",
        "dataset": "other",
        "userId": "u9",
        "sessionId": "s9",
        "requestId": "r9",
        "data": {"custom": "data"},
        "errorName": "Odd",
        "errorStack": "at line 1",
        "tags": ["e"],
        "flowId": "flow-1",
        "stepIndex": 3,
        "ipAddress": "192.0.2.7",
        "country": "AT",
    },
    "entry alone": {**OF_U1, "level": "info"},
    "of another user": {**SHOP, "level": "info", "userId": "u2", "sessionId": "s2"},
    "of nobody": {**SHOP, "level": "info"},
    "cart": {**STEP, "level": "debug", "stepIndex": 0},
    "paying": {**STEP, "level": "info", "stepIndex": 1, "data": {"amount": 99.99}},
    "slow": {**STEP, "level": "warn", "stepIndex": 2, "tags": ["f"]},
    "declined": {
        **STEP,
        "level": "error",
        "stepIndex": 3,
        "data": {"message": "no money"},
        "errorName": "ValueError",
        "errorStack": "ValueError: no money\n",
    },
    "ended": {**STEP, "level": "error", "stepIndex": 4, "data": {"code": 7}},
    "after the flush": {**SHOP, "level": "info"},
    "first step": {**QUIET, "level": "warn", "stepIndex": 0},
    "second step": {**QUIET, "level": "error", "stepIndex": 1},
}


def stored(project: Project, count: int) -> dict[str, dict[str, Any]]:
    """The logs of a project by message, read by Timberlogs' API: what is absent or empty is left out, and so is what
    differs from run to run."""
    project.read(count)
    logs = project.get("/v1/logs?limit=1000")["logs"]
    assert len(logs) == count
    for log in logs:
        assert log.pop("id") and isinstance(log.pop("timestamp"), int)
        if log.get("flowId"):
            log["flowId"] = re.sub(r"-[0-9a-z]{8}$", "-<suffix>", log["flowId"])
        if "Traceback" in (log.get("errorStack") or ""):
            assert log["errorStack"].endswith(f"\n{log['errorName']}: {log['data']['message']}\n")
            log["errorStack"] = "<stack>"
    return {log.pop("message"): {name: one for name, one in log.items() if one not in (None, [], {})} for log in logs}


def told(expected: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """What was found, without the address of the client, which the server adds to logs that have none."""
    return {name: one for name, one in found.items() if name in expected or name not in ("ipAddress", "country")}


@pytest.mark.parametrize("variant", VARIANTS)
def test_calls_arrive_field_by_field(variant: str, programs: Programs, project: Project) -> None:
    programs.run("scenarios/timberlogs/calls.py", variant, "timberlogs", address=project.address, key=project.key)
    found = stored(project, len(CALLS))
    assert {message: told(CALLS[message], log) for message, log in found.items()} == CALLS


@pytest.mark.parametrize("variant", VARIANTS)
def test_awaited_calls_arrive_field_by_field(variant: str, programs: Programs, project: Project) -> None:
    scenario = "scenarios/timberlogs/asynchronous.py"
    seen = programs.run(scenario, variant, "timberlogs", address=project.address, key=project.key).report
    assert seen["flow"] == ["nightly", True, len("nightly-") + 8]
    worker = {"source": "worker", "environment": "development", "dataset": "default"}
    step = {**worker, "flowId": "nightly-<suffix>"}
    expected = {
        "started": {**worker, "level": "info"},
        "step one": {**step, "level": "info", "stepIndex": 0},
        "step two": {**step, "level": "warn", "stepIndex": 1, "data": {"rows": 2}},
        "after the flush": {**worker, "level": "info"},
        "link down": {**worker, "source": "router", "level": "error"},
        "by hand": {**worker, "level": "error"},
    }
    found = stored(project, len(expected))
    assert {message: told(expected[message], log) for message, log in found.items()} == expected


RAW = {"source": "from outside", "environment": "staging", "dataset": "raw", "level": "warn"}
#: What each format of `raw.py` becomes: its messages, and what must be in them.
FORMATS: dict[str, dict[str, dict[str, Any]]] = {
    "json": {
        "json one": {**RAW, "level": "info", "source": "own", "environment": "production"},
        "json two": {**RAW, "data": {"a": 1}},
    },
    "jsonl": {
        "jsonl one": {**RAW, "level": "error", "tags": ["t"]},
        "jsonl two": {**RAW, "userId": "u"},
    },
    "syslog": {
        "syslog five": {**RAW, "level": "error", "source": "su"},
        "syslog three": {**RAW, "level": "info", "source": "cron"},
    },
    "text": {"text one": {**RAW, "level": "error"}, "text two": RAW},
    "csv": {"csv, one": {**RAW, "tags": ["a", "b"], "data": {"n": 1}}, "csv two": RAW},
    "obl": {
        "Button: eat": {**RAW, "source": "leafboard", "userId": "aac:u7", "sessionId": "tablet-3"},
        "Note: Two words": {**RAW, "source": "leafboard", "userId": "aac:u7", "sessionId": "tablet-3"},
    },
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_raw_formats_arrive_field_by_field(variant: str, programs: Programs, project: Project) -> None:
    programs.run("scenarios/timberlogs/raw.py", variant, "timberlogs", address=project.address, key=project.key)
    found = stored(project, sum(map(len, FORMATS.values())))
    for logs in FORMATS.values():
        for end, expected in logs.items():
            message = next(message for message in found if message.endswith(end))
            assert {name: found[message].get(name) for name in expected} == expected, message


def test_calls_are_those_of_the_original(side_by_side: SideBySide) -> None:
    side_by_side("scenarios/timberlogs/calls.py", "timberlogs", SHAPE, allowed=[OWN_TIME])


def test_awaited_calls_are_those_of_the_original(side_by_side: SideBySide) -> None:
    made = Answer(200, {"flowId": "nightly-a7x9k2f3", "name": "nightly"})
    side_by_side(
        "scenarios/timberlogs/asynchronous.py",
        "timberlogs",
        SHAPE,
        script=lambda recorder: recorder.always("/v1/flows", made),
        allowed=[OWN_TIME],
    )


def test_raw_formats_are_those_of_the_original(side_by_side: SideBySide) -> None:
    side_by_side("scenarios/timberlogs/raw.py", "timberlogs", SHAPE)


def test_failures_are_those_of_the_original(side_by_side: SideBySide) -> None:
    redirect = Answer(307, "", {"location": "/elsewhere"})

    def script(recorder: Recorder) -> None:
        recorder.answer("/v1/logs", *[Answer(500, {"error": "x"})] * 2, Answer(), Answer(400, {"error": "no"}))
        recorder.answer("/v1/logs", *[Answer(503, {"error": "x"})] * 2, redirect)
        recorder.answer("/v1/flows", Answer(500, {"error": "x"}), Answer(401, {"error": "x"}), redirect, Answer())

    side_by_side("scenarios/timberlogs/failing.py", "timberlogs", SHAPE, script=script, allowed=[OWN_TIME])


def test_names_and_signatures_are_those_of_the_original(same_surface: SameSurface) -> None:
    same_surface("timberlogs", "timberlogs", SHAPE)


def seed(programs: Programs, project: Project, file: str, count: int) -> dict[str, dict[str, Any]]:
    """Runs a program of the seed page, and gives what came of it."""
    programs.seed(f"timberlogs/{file}", address=project.address, key=project.key, MILLPOND_ENDPOINT=project.address)
    return stored(project, count)


def parts(found: dict[str, dict[str, Any]], *names: str) -> dict[str, tuple[Any, ...]]:
    """These members of each log."""
    return {message: tuple(log.get(name) for name in names) for message, log in found.items()}


def test_seed_basics(programs: Programs, project: Project) -> None:
    found = seed(programs, project, "basics.py", 12)
    assert {(log["source"], log["environment"]) for log in found.values()} == {("my-app", "production")}
    assert parts(found, "level", "data", "tags") == {
        "Cache miss": ("debug", {"key": "user:1"}, None),
        "User signed in": ("info", {"userId": "u1", "method": "oauth"}, None),
        "Rate limit close": ("warn", {"used": 95, "limit": 100}, None),
        "Payment failed": ("error", {"code": "card_declined"}, None),
        "Could not read the amount": (
            "error",
            {"message": "invalid literal for int() with base 10: 'twelve'"},
            None,
        ),
        "Order placed": (
            "info",
            {"items": [{"sku": "a", "count": 2}], "paid": True, "coupon": None, "total": 12.5},
            None,
        ),
        "Cart opened": ("info", {"items": 3}, ["cart", "web"]),
        "Mail bounced": ("error", None, ["mail"]),
        "Imported": ("info", {"rows": 7}, ["import"]),
        "Profile opened": ("info", None, None),
        "Profile saved": ("info", None, None),
        "Signed out": ("info", None, None),
    }
    of_users = {message: ids for message, ids in parts(found, "userId", "sessionId").items() if any(ids)}
    assert of_users == {"Imported": ("u2", "s2"), "Profile opened": ("u3", "s3"), "Profile saved": ("u3", "s3")}
    failed = found["Could not read the amount"]
    assert failed["errorName"] == "ValueError"
    assert failed["errorStack"] == "<stack>"


def test_seed_flows(programs: Programs, project: Project) -> None:
    programs.seed("timberlogs/flows.py", address=project.address, key=project.key, MILLPOND_ENDPOINT=project.address)
    project.read(15)
    flows: dict[str, list[tuple[int, str, str]]] = {}
    for log in project.get("/v1/logs?limit=1000")["logs"]:
        flows.setdefault(log["flowId"], []).append((log["stepIndex"], log["level"], log["message"]))
    steps = sorted((id.rpartition("-")[0], sorted(logs)) for id, logs in flows.items())
    assert steps == [
        (
            "checkout",
            [
                (0, "info", "Cart validated"),
                (1, "info", "Payment authorized"),
                (2, "info", "Order created"),
                (3, "info", "Confirmation sent"),
            ],
        ),
        ("filtered", [(0, "warn", "First"), (1, "error", "Second")]),
        ("pipeline", [(0, "info", "Extract"), (1, "error", "Transform failed")]),
        ("pipeline", [(0, "info", "Extract"), (1, "info", "Load")]),
        ("remote", [(0, "info", "Remote step")]),
        (
            "signup",
            [
                (0, "debug", "Form shown"),
                (1, "info", "Form sent"),
                (2, "warn", "Mail is slow"),
                (3, "error", "Mail failed"),
            ],
        ),
    ]


def test_seed_raw(programs: Programs, project: Project) -> None:
    found = seed(programs, project, "raw.py", 8)
    assert parts(found, "level", "source", "dataset") == {
        "From JSON": ("info", "api", "default"),
        "From JSONL": ("info", "legacy", "imports"),
        "Also JSONL": ("warn", "legacy", "imports"),
        "From syslog": ("error", "nginx", "imports"),
        "ERROR From text": ("error", "legacy", "imports"),
        "From CSV, quoted": ("error", "billing", "imports"),
        "Utterance: From OBL": ("info", "legacy", "imports"),
        "Awaited": ("info", "legacy", "imports"),
    }


def test_seed_clients(programs: Programs, project: Project) -> None:
    found = seed(programs, project, "clients.py", 4)
    assert parts(found, "environment", "dataset", "version", "userId", "sessionId") == {
        "Configured": ("development", "clients", "2.0.0", "u1", "s1"),
        "In a block": ("development", "default", None, None, None),
        "In an async block": ("development", "default", None, None, None),
        "By hand": ("development", "default", None, None, None),
    }

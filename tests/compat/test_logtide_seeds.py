"""Each sample of LogTide's page is a program that runs with the drop-in and a real server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from programs import Programs, Run
from serving import Project

Seed = Callable[[str], Run]


@pytest.fixture
def seed(programs: Programs, project: Project) -> Seed:
    return lambda name: programs.seed(f"logtide/{name}.py", address=project.address, key=project.key)


def lines(project: Project, count: int) -> list[list[Any]]:
    return [[log["service"], log["level"], log["message"]] for log in project.read(count)]


def test_the_quick_start(seed: Seed, project: Project) -> None:
    seed("quick_start")
    started, failed = project.read(2)
    assert [started["service"], started["level"], started["message"]] == ["api-gateway", "info", "Server started"]
    assert started["fields"]["port"] == 3000
    assert failed["exception"]["type"] == "Exception"
    assert failed["exception"]["message"] == "Timeout"


def test_the_end_of_a_program_delivers_what_is_left(seed: Seed, project: Project) -> None:
    seed("not_closed")
    assert lines(project, 1) == [["api-gateway", "info", "Server started"]]


def test_the_configuration(seed: Seed, project: Project) -> None:
    seed("configuration")
    (log,) = project.read(1)
    fields = log["fields"]
    assert fields["env"] == "test", "metadata of the call goes before the global one"
    assert fields["region"] == "eu-west-1"
    assert fields["password"] == "[EXCLUDED]"
    assert fields["long"] == ("a b " * 4096)[: 10 * 1024] + "...[TRUNCATED]"


def test_the_logging_methods(seed: Seed, project: Project) -> None:
    seed("methods")
    assert lines(project, 6) == [
        ["service", "debug", "Debug message"],
        ["api-gateway", "info", "Request received"],
        ["cache", "warn", "Cache miss"],
        ["database", "error", "Query failed"],
        ["system", "critical", "Out of memory"],
        ["database", "error", "Query failed"],
    ]
    exception = project.read(6)[-1]["exception"]
    assert [exception["type"], exception["message"], exception["language"]] == [
        "RuntimeError",
        "Database timeout",
        "python",
    ]
    assert exception["stacktrace"][0]["function"] == "<module>"
    assert exception["raw"].startswith("Traceback (most recent call last)")


def test_the_async_client(seed: Seed, project: Project) -> None:
    seed("async_client")
    assert lines(project, 3) == [
        ["my-service", "info", "Hello from async!"],
        ["my-service", "error", "Something failed"],
        ["svc", "info", "message"],
    ]


def test_the_logging_handler(seed: Seed, project: Project) -> None:
    seed("handler")
    low, failed = project.read(2)
    assert [low["service"], low["level"], low["message"]] == ["my-service", "warn", "Low disk space"]
    assert failed["exception"]["type"] == "ZeroDivisionError"
    assert failed["exception"]["stacktrace"]


def test_the_trace_ids(seed: Seed, project: Project) -> None:
    seed("traces")
    traces = [log.get("trace_id") for log in project.read(9)]
    assert traces[:5] == ["request-123"] * 3 + ["request-456"] * 2
    assert traces[5] == traces[6] is not None
    assert traces[7] is None
    assert traces[8] is not None and traces[8] != traces[5]


def test_the_payload_limits(seed: Seed, project: Project) -> None:
    seed("limits")
    limited, large = (log["fields"] for log in project.read(2))
    assert limited["password"] == limited["nested"]["token"] == "[EXCLUDED]"
    assert limited["nested"]["kept"] == "yes"
    assert limited["long"].endswith("...[TRUNCATED]") and len(limited["long"]) == 5 * 1024 + 14
    assert limited["image"] == "[BASE64 DATA REMOVED]"
    assert large["_truncated"] is True and large["_original_size"] > 100 * 1024


@pytest.mark.parametrize(
    ("framework", "status"), [("flask", 200), ("django", 200), ("fastapi", 200), ("starlette", 404)]
)
def test_the_middleware(seed: Seed, project: Project, framework: str, status: int) -> None:
    seed(f"{framework}_app")
    came, answered = project.read(2)
    assert came["service"] == f"{framework}-api"
    assert came["message"] == "GET /orders", "health checks and skipped paths are not logged"
    assert answered["message"].startswith(f"GET /orders {status} (")
    assert answered["fields"]["status"] == status
    assert answered["fields"]["duration_ms"] >= 0
    assert came["trace_id"] == answered["trace_id"]


def test_the_query_api(seed: Seed) -> None:
    run = seed("query")
    assert run.stdout.splitlines() == ["Found 1 logs", "timeout of the upstream", "api-gateway: 2 logs"]
    assert run.report == [["timeout of the upstream"], 2]


def test_the_live_streams(seed: Seed) -> None:
    run = seed("stream")
    assert run.report == ["error: failed", "warn: async"]
    assert run.stdout == ""


def test_the_metrics(seed: Seed) -> None:
    out = seed("metrics").stdout.splitlines()
    assert out[0].split() == ["Logs", "sent:", "1"]
    assert out[1].split() == ["Logs", "dropped:", "0"]
    assert out[-2:] == [
        "CircuitState.CLOSED",
        "ClientMetrics(logs_sent=0, logs_dropped=0, errors=0, retries=0, avg_latency_ms=0.0, circuit_breaker_trips=0)",
    ]

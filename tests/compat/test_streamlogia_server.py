"""Streamlogia: what its published clients and the samples of its page write to a real server, read back."""

from __future__ import annotations

import re
from typing import Any

import pytest

from programs import Programs
from serving import Project

PROJECT = "7f1f8f68-6a0c-4f0e-9a0b-0b6a3a0b1c2d"
#: Environment, package, and whether it is the original.
CLIENTS = [
    ("streamlogia", "streamlogia", "original"),
    ("streamlogia", "streamlogia", "ours"),
    ("streamlogia_0_1", "logingestor", "original"),
    ("streamlogia_0_1", "logingestor", "ours"),
]
every_client = pytest.mark.parametrize(("venv", "package", "variant"), CLIENTS)
of_0_4 = pytest.mark.parametrize("variant", ["original", "ours"])


def written(
    programs: Programs, project: Project, scenario: str, variant: str, venv: str, *arguments: str, count: int
) -> list[dict[str, Any]]:
    """What the scenario wrote."""
    file = f"scenarios/streamlogia/{scenario}.py"
    programs.run(file, variant, venv, *arguments, address=project.address, key=project.key)
    return [shown(record) for record in project.read(count)]


def shown(record: dict[str, Any]) -> dict[str, Any]:
    """The record, but for its id and times, and with a number for what differs from run to run."""
    kept = {name: value for name, value in record.items() if name not in ("id", "time", "observed_time")}
    fields = dict(kept.pop("fields", {}))
    for name in ("logger", "file", "line", "function", "thread"):
        # Only the drop-in sends them.
        fields.pop(name, None)
        kept.pop(name, None)
    if "duration_ms" in fields:
        assert type(fields["duration_ms"]) is int
        fields["duration_ms"] = 0
        kept["message"] = re.sub(r"\(\d+ms\)$", "(0ms)", kept["message"])
    return {**kept, "fields": fields}


def expected(level: str, message: str, service: str, fields: Any = None, tags: Any = None) -> dict[str, Any]:
    record = {"level": level, "message": message, "service": service, "fields": {**(fields or {}), **OF_PROJECT}}
    return {**record, "tags": tags} if tags else record


#: How the project that a client names is kept.
OF_PROJECT = {"streamlogia.project_id": PROJECT}


@every_client
def test_what_every_method_wrote_is_read_back(
    programs: Programs, project: Project, venv: str, package: str, variant: str
) -> None:
    records = written(programs, project, "methods", variant, venv, package, count=5)
    order = {"order": {"id": "ord_99", "lines": [1, 2.5, None, True]}}
    assert records == [
        expected("warn", "by hand", "elsewhere", {"n": 2**60}, ["t"]),
        expected("debug", "cache miss", "shop", {"key": "user:abc"}),
        expected("info", "order placed", "shop", order, ["orders", "eu"]),
        expected("warn", "rate limit approaching", "shop", None, ["alerts"]),
        expected("error", "payment failed", "shop"),
    ]


@every_client
def test_records_of_logging_are_read_back(
    programs: Programs, project: Project, venv: str, package: str, variant: str
) -> None:
    records = written(programs, project, "handler", variant, venv, package, count=9)
    levels = [("debug", 10), ("info", 20), ("warn", 30), ("error", 40), ("error", 50)]
    assert records == [
        *(expected(level, f"level {number}", "svc") for level, number in levels),
        expected("info", "with meta", "svc", {"payment_id": "pay_abc"}),
        expected("info", "with meta that is no dict", "svc"),
        expected("info", "my-service: formatted", "svc"),
        expected("info", "my-service: after the handler was closed", "svc"),
    ]


def request(message: str, level: str, service: str, **fields: Any) -> dict[str, Any]:
    method, path, status = message.split()
    facts = {"method": method, "path": path, "status": int(status), "duration_ms": 0}
    return expected(level, f"{message} (0ms)", service, {**facts, **fields})


@every_client
def test_requests_of_flask_are_read_back(
    programs: Programs, project: Project, venv: str, package: str, variant: str
) -> None:
    records = written(programs, project, "flask_app", variant, venv, package, count=11)
    for record in records:
        if record["fields"].get("user_agent", "").startswith("Werkzeug/"):
            record["fields"]["user_agent"] = "Werkzeug"
    inside = expected("info", "inside", "payment-service", {"a": 1}, ["payments"])
    local = {"user_agent": "Werkzeug", "ip": "127.0.0.1"}

    def of(message: str, level: str = "info", **fields: Any) -> dict[str, Any]:
        return request(message, level, "payment-service", **{**local, **fields})

    assert records == [
        inside,
        of("GET /ok 200"),
        inside,
        of("GET /ok 200", user_agent="tests/1", request_id="r-1"),
        of("POST /made/x 201", ip="192.0.2.7"),
        inside,
        of("GET /ok 200"),
        of("GET /forbidden 403", "warn"),
        of("GET /nothing 404", "warn"),
        of("GET /boom 500", "error"),
        of("GET /health 404", "warn"),
    ]


@every_client
def test_requests_of_fastapi_are_read_back(
    programs: Programs, project: Project, venv: str, package: str, variant: str
) -> None:
    count = 7 if variant == "original" else 8
    records = written(programs, project, "fastapi_app", variant, venv, package, count=count)
    local = {"user_agent": "testclient", "ip": "testclient"}

    def of(message: str, level: str = "info", **fields: Any) -> dict[str, Any]:
        return request(message, level, "order-service", **{**local, **fields})

    assert records[:7] == [
        expected("info", "order created", "order-service", {"customer_id": "c1"}, ["orders"]),
        of("POST /orders 201"),
        of("GET /items/7 200", user_agent="tests/1", request_id="r-1"),
        of("GET /items/7 200"),
        of("GET /items/x 422", "warn"),
        of("GET /nothing 404", "warn"),
        of("GET /unavailable 503", "error"),
    ]
    assert [record["message"] for record in records[7:]] == ["GET /boom 500 (0ms)"][: count - 7]


@of_0_4
def test_what_init_sets_up_for_flask_is_read_back(programs: Programs, project: Project, variant: str) -> None:
    records = written(programs, project, "init_flask", variant, "streamlogia", count=2)
    assert [(record["message"], record["level"]) for record in records] == [
        ("seen", "info"),
        ("GET /ok 200 (0ms)", "info"),
    ]
    assert records[0] == expected("info", "seen", "web", {"a": 1})


@of_0_4
def test_what_init_sets_up_for_fastapi_is_read_back(programs: Programs, project: Project, variant: str) -> None:
    records = written(programs, project, "init_fastapi", variant, "streamlogia", count=2)
    assert records == [
        expected("warn", "seen", "web"),
        request("GET /ok 200", "info", "web", user_agent="testclient", ip="testclient"),
    ]


@of_0_4
def test_what_init_sets_up_for_a_program_is_read_back(programs: Programs, project: Project, variant: str) -> None:
    records = written(programs, project, "init_plain", variant, "streamlogia", count=2)
    assert records == [expected("info", "started", "job"), expected("error", "failed", "job")]


@of_0_4
def test_entries_that_are_sent_one_by_one_are_all_there(programs: Programs, project: Project, variant: str) -> None:
    records = written(programs, project, "each", variant, "streamlogia", "streamlogia", count=5)
    assert [record["message"] for record in records] == [f"number {number}" for number in range(5)]


@every_client
def test_the_answer_to_ingest_has_the_id_of_each_entry(
    programs: Programs, project: Project, venv: str, package: str, variant: str
) -> None:
    file = "scenarios/streamlogia/methods.py"
    run = programs.run(file, variant, venv, package, address=project.address, key=project.key)
    answer = run.report["answer"]
    assert answer["ingested"] == 1
    (record,) = (record for record in project.read(5) if record["message"] == "by hand")
    assert len(answer["ids"]) == 1 and record["time"] == "2024-01-01T00:00:00.000000000Z"


@every_client
def test_a_wrong_key_is_told_as_an_http_error(
    programs: Programs, project: Project, venv: str, package: str, variant: str
) -> None:
    file = "scenarios/streamlogia/refused.py"
    run = programs.run(file, variant, venv, package, address=project.address, key="wrong")
    assert run.report == [401, ["unauthenticated", "unauthenticated"]]
    project.read(0)


def seed(programs: Programs, project: Project, name: str, *requests: tuple[str, str, Any]) -> Any:
    return programs.seed(
        f"streamlogia/{name}.py",
        *requests,
        address=project.address,
        key=project.key,
        MILLPOND_ENDPOINT=project.address,
        LOGINGESTOR_API_KEY=project.key,
        LOGINGESTOR_PROJECT_ID=PROJECT,
    )


def test_the_sample_of_the_client_logs(programs: Programs, project: Project) -> None:
    run = seed(programs, project, "01_client")
    assert [shown(record) for record in project.read(4)] == [
        expected("debug", "Cache miss", "my-service", {"key": "user:abc"}),
        expected("info", "Order created", "my-service", {"order_id": "ord_99"}, ["orders"]),
        expected("warn", "Rate limit approaching", "my-service", None, ["alerts"]),
        expected("error", "Payment failed", "my-service", {"order_id": "o_456", "reason": "card_declined"}),
    ]
    assert run.stdout == "[DEBUG] Cache miss {'key': 'user:abc'}\n[INFO] Order created {'order_id': 'ord_99'}\n"
    assert run.stderr == (
        "[WARN] Rate limit approaching {}\n[ERROR] Payment failed {'order_id': 'o_456', 'reason': 'card_declined'}\n"
    )


def test_the_sample_of_logging_logs(programs: Programs, project: Project) -> None:
    seed(programs, project, "02_logging")
    first, second, third = (shown(record) for record in project.read(3))
    assert first == expected("info", "Server started on port 8080", "my-service")
    assert second["level"] == "error" and second["message"].startswith("Database connection failed")
    assert "ConnectionError: db.internal:5432" in str(second)
    assert third == expected("info", "payment record persisted", "my-service", {"payment_id": "pay_abc"})


def test_the_sample_of_flask_logs(programs: Programs, project: Project) -> None:
    payment = ("POST", "/payments", {"customerId": "c1", "amount": 12.5})
    assert seed(programs, project, "03_flask", payment).report == [201]
    first, second = (shown(record) for record in project.read(2))
    assert re.fullmatch("pay_[0-9a-f]{8}", first["fields"].pop("payment_id"))
    assert first == expected(
        "info", "payment processed", "payment-service", {"customer_id": "c1", "amount": 12.5}, ["payments"]
    )
    second["fields"].pop("user_agent")
    assert second == request("POST /payments 201", "info", "payment-service", ip="127.0.0.1")


def test_the_sample_of_fastapi_logs(programs: Programs, project: Project) -> None:
    assert seed(programs, project, "04_fastapi", ("POST", "/orders", {"customerId": "c1"})).report == [201]
    first, second = (shown(record) for record in project.read(2))
    assert re.fullmatch("ord_[0-9a-f]{8}", first["fields"].pop("order_id"))
    assert first == expected("info", "order created", "order-service", {"customer_id": "c1"}, ["orders"])
    agent = {"user_agent": "testclient", "ip": "testclient"}
    assert second == request("POST /orders 201", "info", "order-service", **agent)


def test_the_sample_of_raw_http_logs(programs: Programs, project: Project) -> None:
    seed(programs, project, "05_raw_http")
    (record,) = project.read(1)
    assert shown(record) == expected("info", "Hello, Streamlogia!", "my-service")
    assert record["time"] == "2024-01-01T00:00:00.000000000Z"

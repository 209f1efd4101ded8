"""logiscout-logger and its drop-in against a real server: what they wrote is read back and compared field by field."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from programs import Programs
from serving import Project

VENV = "logiscout_logger"
FOLDER = "scenarios/logiscout_logger"
BOTH = pytest.mark.parametrize("variant", ["original", "ours"])

#: Each log of `request.py` that is sent: level, message, metadata.
SENT: list[tuple[str, str, dict[str, Any]]] = [
    ("debug", "debug", {"number": 1}),
    ("info", "info", {"text": "x", "total": 99.99, "flag": True, "nothing": None, "nested": {"a": [1, {"b": 2}]}}),
    ("warn", "warning", {"unicode": "grün ☃"}),
    ("error", "error", {}),
    ("critical", "critical", {}),
    ("info", "bound", {"user_id": 123, "session_id": "abc", "step": 2, "action": "click"}),
    ("info", "not bound", {}),
    ("info", "template %s", {}),
    ("info", "", {}),
    ("error", "handled", {}),
    ("error", "given", {"order": 7}),
    ("error", "text", {}),
]
#: What a record has of its request.
REQUEST = ("http.request.method", "url.path", "http.response.status_code")


def read(project: Project, count: int) -> list[dict[str, Any]]:
    """The records in the order in which they were logged."""
    return sorted(project.read(count), key=lambda record: record["time"])


def metadata(record: dict[str, Any]) -> dict[str, Any]:
    """What the application gave, wherever the record has it."""
    own = {name: record[name] for name in ("user_id", "session_id") if name in record}
    fields = record.get("fields", {})
    return {**own, **{name: value for name, value in fields.items() if name not in _of_request(fields)}}


def _of_request(fields: dict[str, Any]) -> set[str]:
    return {name for name in fields if name in REQUEST or name.startswith("request.")}


def _milliseconds(began: str, ended: str) -> float:
    """Between two times of a record."""
    # The server has nine digits, of which Python reads six.
    first, last = (datetime.fromisoformat(time[:26].rstrip("Z")) for time in (began, ended))
    return (last - first).total_seconds() * 1000


@BOTH
def test_each_field_of_each_log_is_stored(programs: Programs, project: Project, variant: str) -> None:
    programs.run(f"{FOLDER}/request.py", variant, VENV, address=project.address, key=project.key)
    records = read(project, len(SENT))
    assert [(record["level"], record["message"]) for record in records] == [log[:2] for log in SENT]
    for record, (_, _, given) in zip(records, SENT):
        assert metadata(record) == {**given, "tenant": "acme"}
        assert record["logger"] == "shop.orders"
        assert record["request_id"] == "given-1"
        assert [record["fields"][name] for name in REQUEST] == ["GET", "/orders/7", 201]
        began, ended = record["fields"]["request.start_time"], record["fields"]["request.end_time"]
        assert began <= record["time"] <= ended
        assert _milliseconds(began, ended) / 2 < record["fields"]["request.duration_ms"] < 20_000
        assert (record["service"], record.get("environment")) == (
            ("shop", "production") if variant == "ours" else ("unknown_service", None)
        )
    exceptions = {record["message"]: record["exception"] for record in records if "exception" in record}
    assert set(exceptions) == {"handled", "given", "text"}
    assert (exceptions["handled"]["type"], exceptions["handled"]["message"]) == ("ValueError", "broken")
    assert exceptions["given"]["traceback"].endswith("ValueError: broken")
    assert exceptions["text"]["traceback"] == "no traceback"


@BOTH
@pytest.mark.parametrize("framework", ["fastapi", "starlette"])
def test_fastapi_and_starlette(programs: Programs, project: Project, variant: str, framework: str) -> None:
    run = programs.run(f"{FOLDER}/shop_asgi.py", variant, VENV, framework, address=project.address, key=project.key)
    count = 4 if framework == "fastapi" else 3
    records = read(project, count)
    requests = {record["message"]: [record["fields"][name] for name in REQUEST] for record in records}
    assert requests["Fetching user"] == ["GET", "/users/7", 200]
    assert requests["In a thread of the pool"] == ["GET", "/sync", 200]
    assert requests["Breaking"] == ["GET", "/broken", 500]
    ids = {record["message"]: record["request_id"] for record in records}
    assert ids["In a thread of the pool"] == "given-1"
    assert len(set(ids.values())) == 3, "each request has an id of its own, and its background tasks the same"
    if variant == "ours":
        told = [answered[1] for answered in run.report]
        assert told[0] == ids["Fetching user"] and told[1] == "given-1" and told[4] in (ids["Breaking"], None)


@BOTH
def test_flask(programs: Programs, project: Project, variant: str) -> None:
    programs.run(f"{FOLDER}/shop_flask.py", variant, VENV, address=project.address, key=project.key)
    records = read(project, 4)
    assert [(record["message"], record["fields"]["url.path"]) for record in records] == [
        ("Fetching user", "/users/7"),
        ("Part", "/stream"),
        ("Part", "/stream"),
        ("Breaking", "/broken"),
    ]
    assert records[1]["request_id"] == records[2]["request_id"] == "given-1"


@BOTH
@pytest.mark.parametrize("interface", ["wsgi", "asgi"])
def test_django(programs: Programs, project: Project, variant: str, interface: str) -> None:
    programs.run(f"{FOLDER}/shop_django.py", variant, VENV, interface, address=project.address, key=project.key)
    records = read(project, 2)
    assert [(record["message"], [record["fields"][name] for name in REQUEST]) for record in records] == [
        ("Processing request", ["GET", "/orders/7", 200]),
        ("Breaking", ["GET", "/broken", 500]),
    ]


def test_a_script_is_stored_under_its_service(programs: Programs, project: Project) -> None:
    programs.run(f"{FOLDER}/outside.py", "ours", VENV, address=project.address, key=project.key)
    records = read(project, 2)
    assert [(record["message"], record["service"]) for record in records] == [
        ("started", "script"),
        ("failed", "script"),
    ]
    assert len({record["request_id"] for record in records}) == 2


def test_the_slices_of_a_request_are_one_request_again(programs: Programs, project: Project) -> None:
    programs.run(f"{FOLDER}/long_request.py", "ours", VENV, "450", address=project.address, key=project.key)
    records = project.read(450)
    assert sorted(record["fields"]["number"] for record in records) == list(range(450))
    assert len({(record["request_id"], record["fields"]["request.start_time"]) for record in records}) == 1


# The samples of the seed page


def seed(programs: Programs, project: Project, file: str) -> str:
    """Runs one; what it wrote to the console."""
    environment = {"MILLPOND_ENDPOINT": project.address}
    run = programs.seed(f"logiscout_logger/{file}", address=project.address, key=project.key, **environment)
    return run.stderr


def test_seed_quick_start(programs: Programs, project: Project) -> None:
    console = seed(programs, project, "quick_start.py")
    records = read(project, 10)
    assert {(record["service"], record["environment"]) for record in records} == {("my-service", "production")}
    assert [(record["level"], record["message"], metadata(record)) for record in records] == [
        ("info", "User logged in", {"user_id": 123}),
        ("warn", "Rate limit approaching", {"current": 95, "limit": 100}),
        ("error", "Payment failed", {"order_id": "abc-123", "reason": "insufficient_funds"}),
        ("debug", "Detailed debug information", {}),
        ("info", "General information", {}),
        ("warn", "Warning message", {}),
        ("error", "Error message", {}),
        ("critical", "Critical error message", {}),
        ("info", "Order created", {"order_id": "123", "total": 99.99, "currency": "USD"}),
        ("info", "User action", {"user_id": 123, "session_id": "abc", "action": "click"}),
    ]
    assert "secret-token" in console and "Internal error details" in console


def test_seed_console(programs: Programs, project: Project) -> None:
    lines = seed(programs, project, "console.py").splitlines()
    assert lines[0].endswith("[info     ] Script started                 [my_script]")
    assert lines[1].endswith("[warning  ] Disk space low                 [my_script] available_gb=1.5")
    project.read(0)


def test_seed_modes(programs: Programs, project: Project) -> None:
    assert "Only here" in seed(programs, project, "modes.py")
    project.read(0)


@pytest.mark.parametrize("framework", ["fastapi", "flask"])
def test_seed_fastapi_and_flask(programs: Programs, project: Project, framework: str) -> None:
    seed(programs, project, f"{framework}_app.py")
    (record,) = project.read(1)
    assert (record["message"], record["service"]) == ("Fetching user", f"my-{framework}-app")
    assert (record["fields"]["url.path"], metadata(record)) == ("/users/7", {"user_id": 7})


def test_seed_django(programs: Programs, project: Project) -> None:
    seed(programs, project, "django_project/ask.py")
    first, second = read(project, 2)
    assert first["request_id"] != second["request_id"]
    for record in (first, second):
        assert (record["message"], record["service"]) == ("Processing request", "my-django-app")
        assert (record["fields"]["url.path"], metadata(record)) == ("/mine", {"user_id": 7})

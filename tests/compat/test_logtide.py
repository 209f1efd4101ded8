"""logtide-sdk and its drop-in: what they send is the same, but for what the table lists; and Millpond's server keeps it
field by field."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import millpond
import pytest

from comparing import Allowed
from conftest import SideBySide
from logtide import INGEST, SHAPE, TRACING, VENV, WEB, kept, sent
from programs import Programs, python
from recording import Answer, Recorder
from serving import Project

SCENARIOS = {
    "calls": ("scenarios/logtide/calls.py", SHAPE, ()),
    "calls_async": ("scenarios/logtide/calls_async.py", SHAPE, ()),
    "handler": ("scenarios/logtide/handler.py", SHAPE, ()),
    "processor": ("scenarios/logtide/processor.py", SHAPE, ()),
    "flask": ("scenarios/logtide/web_flask.py", WEB, ()),
    "django": ("scenarios/logtide/web_django.py", WEB, ()),
    "starlette": ("scenarios/logtide/web_starlette.py", WEB, ("starlette",)),
    "fastapi": ("scenarios/logtide/web_starlette.py", WEB, ("fastapi",)),
}


@pytest.mark.parametrize("variant", ["original", "ours"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_what_is_written_is_kept_field_by_field(
    programs: Programs, recorder: Recorder, project: Project, name: str, variant: str
) -> None:
    scenario, shape, arguments = SCENARIOS[name]
    programs.run(scenario, variant, VENV, *arguments, address=recorder.address)
    entries = sent(recorder.requests, shape)
    assert entries
    programs.run(scenario, variant, VENV, *arguments, address=project.address, key=project.key)
    assert kept(project.read(len(entries)), shape) == entries


def compare(side_by_side: SideBySide, name: str, *allowed: Allowed) -> None:
    scenario, shape, arguments = SCENARIOS[name]
    side_by_side(scenario, VENV, shape, *arguments, allowed=allowed)


def test_every_call_of_the_sync_client_sends_the_same(side_by_side: SideBySide) -> None:
    compare(side_by_side, "calls")


def test_every_call_of_the_async_client_sends_the_same(side_by_side: SideBySide) -> None:
    compare(side_by_side, "calls_async")


def test_values_that_need_no_server_are_the_same(side_by_side: SideBySide) -> None:
    side_by_side("scenarios/logtide/pure.py", VENV, SHAPE)


def test_the_handler_sends_the_same_and_extra_fields(side_by_side: SideBySide) -> None:
    extra = "`extra=` fields"
    compare(
        side_by_side,
        "handler",
        Allowed(extra, "entries.8.metadata.order"),
        Allowed(extra, "entries.8.metadata.extra_logger"),
    )


def test_the_processor_sends_the_same_and_other_levels(side_by_side: SideBySide) -> None:
    # Four more entries: three of levels that raise in the original, and one whose level it does not see.
    levels = "Levels of structlog"
    compare(
        side_by_side,
        "processor",
        Allowed(levels, "entries.*"),
        # What stands where the original has its last one.
        Allowed(levels, "entries.9.level"),
        Allowed(levels, "entries.9.message"),
    )


def test_the_flask_middleware_sends_the_same_but_no_errors_for_answers(side_by_side: SideBySide) -> None:
    compare(
        side_by_side,
        "flask",
        Allowed("Secrets in headers", "entries.10.metadata.headers.Authorization"),
        Allowed("Flask: answers are no errors", "entries.17"),
        Allowed("Flask: answers are no errors", "entries.20"),
        Allowed("Flask: exceptions stay the application's", "report.8.1"),
    )


def test_the_django_middleware_sends_the_same_and_exceptions_of_views(side_by_side: SideBySide) -> None:
    compare(
        side_by_side,
        "django",
        Allowed("Secrets in headers", "entries.12.metadata.headers.Authorization"),
        Allowed("Secrets in headers", "entries.12.metadata.headers.Cookie"),
        Allowed("Django: exceptions of views", "entries.11"),
    )


def test_the_starlette_middleware_sends_the_same_but_what_leaked(side_by_side: SideBySide) -> None:
    compare(
        side_by_side,
        "starlette",
        Allowed("Secrets in headers", "entries.13.metadata.headers.authorization"),
        # A tag that a request set which is not logged is on those that come later.
        Allowed("Scopes of tasks", "entries.10.metadata.tags"),
        Allowed("Scopes of tasks", "entries.13.metadata.tags"),
    )


def test_the_fastapi_middleware_sends_the_same(side_by_side: SideBySide) -> None:
    compare(
        side_by_side,
        "fastapi",
        Allowed("Secrets in headers", "entries.12.metadata.headers.authorization"),
    )


def answering_as_logtide(recorder: Recorder) -> None:
    """As LogTide's server: a trace in an object, statistics without what there is most of."""
    recorder.always("/api/v1/logs", Answer(body={"logs": [{"id": "1"}], "total": 7}))
    recorder.always("/api/v1/logs/trace/trace-1", Answer(body={"logs": [{"id": "1"}]}))
    recorder.always("/api/v1/logs/aggregated", Answer(body={"timeseries": [{"bucket": "b", "total": 1}]}))
    recorder.always("/api/v1/logs/top-services", Answer(body={"services": [{"service": "svc", "count": 1}]}))
    recorder.always("/api/v1/logs/top-errors", Answer(body={"errors": [{"message": "no", "count": 1}]}))


def test_questions_are_the_same_and_answers_as_documented(side_by_side: SideBySide) -> None:
    asked, answered = "Aggregated statistics", "`get_by_trace_id`"
    sides = side_by_side(
        "scenarios/logtide/reading.py",
        VENV,
        SHAPE,
        script=answering_as_logtide,
        allowed=[
            *(Allowed(asked, f"requests.{number}") for number in (5, 6, 10, 11)),
            Allowed(asked, "report.*.2.top_*.0"),
            Allowed(answered, "report.*.1"),
        ],
    )
    _, trace, stats = sides["ours"].run.report["async"]
    assert trace == [{"id": "1"}]
    assert stats["top_services"] == [{"service": "svc", "count": 1}]
    assert stats["top_errors"] == [{"message": "no", "count": 1}]


@pytest.mark.parametrize("variant", ["original", "ours"])
def test_what_was_written_is_read_back_by_every_method(programs: Programs, project: Project, variant: str) -> None:
    run = programs.run("scenarios/logtide/reading_back.py", variant, VENV, address=project.address, key=project.key)
    found, trace, stats = run.report["sync"]
    names = {name: [log["message"] for log in logs] for name, (logs, _) in found.items()}
    numbers = ["number 2", "number 1", "number 0"]
    assert names == {
        "all": ["timeout of the database", "number 2"],
        "more": ["number 1", "number 0"],
        "service": ["timeout of the database"],
        "level": ["timeout of the database"],
        "text": ["timeout of the database"],
        "times": ["timeout of the database", *numbers],
        "past": [],
    }
    assert [total for _, total in found.values()] == [4, 4, 1, 1, 1, 4, 0]
    assert [log["message"] for log in trace] == [*reversed(numbers), "timeout of the database"]
    assert stats == [
        [[4, {"info": 3, "error": 1}]],
        [{"service": "svc", "count": 3}, {"service": "other", "count": 1}],
        [{"message": "timeout of the database", "count": 1}],
    ]
    assert run.report["async"] == [found, [], stats]
    assert run.report["refused"] == [["HTTPError", 401], ["ClientResponseError", 401]]


@pytest.mark.parametrize("variant", ["original", "ours"])
def test_logs_are_heard_of_as_they_come(programs: Programs, project: Project, variant: str) -> None:
    run = programs.run(
        "scenarios/logtide/tail.py", variant, VENV, "2", "sends", address=project.address, key=project.key
    )
    metadata = {"sdk": {"name": "logtide-python", "version": "0.10.0"}}
    assert run.report == {
        "sync": [[["error", "svc", "sync", metadata, True]] * 2, []],
        "async": [["error", "svc", "async", metadata, True]] * 2,
    }


def test_the_events_of_logtide_s_server_are_logs_as_documented(programs: Programs, recorder: Recorder) -> None:
    log = {"time": "2026-01-02T03:04:05Z", "service": "svc", "level": "error", "metadata": {}}
    chunks = [
        'data: {"type":"connected","timestamp":"2026-01-02T03:04:05Z"}\n\n',
        ": heartbeat\n\n",
        "data: " + json.dumps({"type": "log", "data": {**log, "message": "raise"}}) + "\n\n",
        "data: " + json.dumps({**log, "message": "flat"}) + "\n\n",
    ]
    recorder.always("/api/v1/logs/stream", Answer(chunks=chunks))
    run = programs.run("scenarios/logtide/tail.py", "ours", VENV, "2", "listens", address=recorder.address)
    seen = [["error", "svc", message, {}, True] for message in ("raise", "flat")]
    assert run.report == {"sync": [seen, ["RuntimeError"]], "async": seen}
    for request in recorder.requests:
        assert request.query == {"service": ["svc"], "level": ["error"]}, "the key is in the address"
        assert request.headers["x-api-key"] == "key"


@pytest.fixture
def in_the_original_s_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours, where requests, aiohttp and OpenTelemetry's SDK are installed."""
    monkeypatch.setattr(sys, "executable", python(VENV))
    monkeypatch.setenv("PYTHONPATH", str(Path(millpond.__file__).parents[1]))


@pytest.mark.usefixtures("in_the_original_s_environment")
def test_errors_are_those_of_requests_and_aiohttp_where_they_are_installed(
    programs: Programs, project: Project
) -> None:
    run = programs.run("scenarios/logtide/errors.py", "ours", VENV, address=project.address, key="wrong")
    assert run.report == [401, 401, True, True]


@pytest.mark.usefixtures("in_the_original_s_environment")
def test_spans_go_where_the_original_sends_them_and_logs_carry_their_ids(side_by_side: SideBySide) -> None:
    sides = side_by_side("scenarios/logtide/tracing.py", VENV, TRACING)
    for side in sides.values():
        (spans,) = [request for request in side.requests if request.path == "/v1/otlp/traces"]
        assert spans.headers["content-type"] == "application/x-protobuf"
        (entries,) = [request.json["logs"] for request in side.requests if request.path == INGEST]
        assert [entries[0]["trace_id"], entries[0]["span_id"]] == side.run.report[1]
        assert bytes.fromhex(entries[0]["span_id"]) in spans.body
        assert "trace_id" not in entries[1]

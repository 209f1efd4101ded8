"""Streamlogia: the published clients, 0.4.0 as `streamlogia` and 0.1.0 as `logingestor`, beside the drop-ins."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from comparing import Allowed, Shape
from conftest import SameSurface, SideBySide
from programs import Programs
from recording import Answer, Recorder, Request

SHAPE = Shape(
    "streamlogia",
    lambda request, body: body if request.path == "/v1/ingest" and isinstance(body, list) else None,
    patterns=[(re.compile(r"Werkzeug/[\d.]+"), "Werkzeug/<version>")],
)
#: Threads of the original race each other.
UNORDERED = Shape("streamlogia", SHAPE.take_entries, is_ordered=False)
#: Environment and package.
VERSIONS = [("streamlogia", "streamlogia"), ("streamlogia_0_1", "logingestor")]
either = pytest.mark.parametrize(("venv", "package"), VERSIONS)

ORIGIN = [
    Allowed("Where a record of `logging` comes from", f"entries.*.meta.{name}")
    for name in ("logger", "file", "line", "function", "thread")
]

#: An error as the server words it.
REFUSAL = {"error": "some_code", "code": "some_code", "message": "some words"}


def taken(request: Request) -> Answer:
    """What Streamlogia answers when it has stored all."""
    ids = [f"{number:08x}-6a0c-4f0e-9a0b-0b6a3a0b1c2d" for number in range(len(request.json))]
    return Answer(body={"ingested": len(ids), "ids": ids})


def accepts(recorder: Recorder) -> None:
    recorder.always("*", taken)


def answers(answer: Answer) -> Callable[[Recorder], None]:
    return lambda recorder: recorder.always("*", answer)


def test_the_surface_is_the_same(same_surface: SameSurface) -> None:
    same_surface("streamlogia", "streamlogia", SHAPE)


def test_the_surface_of_0_1_is_the_same(same_surface: SameSurface) -> None:
    same_surface("streamlogia_0_1", "logingestor", SHAPE)


@either
def test_every_method_sends_returns_and_prints_the_same(side_by_side: SideBySide, venv: str, package: str) -> None:
    sides = side_by_side("scenarios/streamlogia/methods.py", venv, SHAPE, package, script=accepts)
    original, ours = (side.run for side in sides.values())
    assert (ours.stdout, ours.stderr) == (original.stdout, original.stderr)
    assert ours.stdout.startswith("[DEBUG] cache miss {'key': 'user:abc'}\n")


def test_entries_without_a_batch_size_all_arrive(side_by_side: SideBySide) -> None:
    """The original makes a thread and a connection for each."""
    sides = side_by_side("scenarios/streamlogia/each.py", "streamlogia", UNORDERED, "streamlogia", script=accepts)
    original, ours = ({request.connection for request in side.requests} for side in sides.values())
    assert (len(original), len(ours)) == (5, 1)
    messages = [entry["message"] for request in sides["ours"].requests for entry in request.json]
    assert messages == [f"number {number}" for number in range(5)]


def test_a_batch_goes_when_it_is_full_and_the_rest_at_the_end(side_by_side: SideBySide) -> None:
    side_by_side("scenarios/streamlogia/batches.py", "streamlogia", UNORDERED, "streamlogia", script=accepts)


def test_the_environment_says_what_arguments_do_not(side_by_side: SideBySide) -> None:
    side_by_side("scenarios/streamlogia/environment.py", "streamlogia", SHAPE)


@pytest.mark.parametrize("status", [400, 401, 500])
@either
def test_errors_are_told_and_raised_as_the_same_exceptions(
    side_by_side: SideBySide, venv: str, package: str, status: int
) -> None:
    script = answers(Answer(status, REFUSAL, {"X-Limit": "7"}))
    retried = [] if status == 400 else [Allowed("Retries", "entries.*")]
    side_by_side("scenarios/streamlogia/errors.py", venv, SHAPE, package, script=script, allowed=retried)
    side_by_side("scenarios/streamlogia/raised.py", venv, SHAPE, package, script=script)


@either
def test_a_server_that_is_not_there_is_told_as_the_same_exceptions(programs: Programs, venv: str, package: str) -> None:
    original, ours = (
        programs.run("scenarios/streamlogia/unreachable.py", variant, venv, package).report
        for variant in ("original", "ours")
    )
    assert ours == original == [["URLError", True, True], ["URLError", True]]


@either
def test_records_of_logging_become_the_same_entries(side_by_side: SideBySide, venv: str, package: str) -> None:
    sides = side_by_side("scenarios/streamlogia/handler.py", venv, SHAPE, package, script=accepts, allowed=ORIGIN)
    original, ours = (side.run for side in sides.values())
    assert (ours.stdout, ours.stderr) == (original.stdout, original.stderr)


def test_odd_records_of_logging_become_better_entries(side_by_side: SideBySide) -> None:
    side_by_side(
        "scenarios/streamlogia/handler_odd.py",
        "streamlogia",
        SHAPE,
        "streamlogia",
        script=accepts,
        allowed=[
            *ORIGIN,
            Allowed("Levels of `logging` between the named ones", "entries.[023].level"),
            Allowed("Where a record of `logging` comes from", "entries.4.meta.user"),
            Allowed("One traceback for an exception", "entries.[56].message"),
        ],
    )


@either
def test_requests_of_flask_become_the_same_entries(side_by_side: SideBySide, venv: str, package: str) -> None:
    side_by_side("scenarios/streamlogia/flask_app.py", venv, SHAPE, package, script=accepts)


@either
def test_requests_of_fastapi_become_the_same_entries(side_by_side: SideBySide, venv: str, package: str) -> None:
    side_by_side(
        "scenarios/streamlogia/fastapi_app.py",
        venv,
        SHAPE,
        package,
        script=accepts,
        allowed=[
            Allowed("Requests of ASGI that end with an exception", "entries.7"),
            Allowed("The ASGI middleware needs no Starlette", "report.is a middleware class"),
        ],
    )


def test_init_sets_up_flask(side_by_side: SideBySide) -> None:
    side_by_side("scenarios/streamlogia/init_flask.py", "streamlogia", SHAPE, script=accepts, allowed=ORIGIN)


def test_init_sets_up_fastapi(side_by_side: SideBySide) -> None:
    side_by_side("scenarios/streamlogia/init_fastapi.py", "streamlogia", SHAPE, script=accepts, allowed=ORIGIN)


def test_init_sets_up_a_program_by_its_environment(side_by_side: SideBySide) -> None:
    side_by_side("scenarios/streamlogia/init_plain.py", "streamlogia", SHAPE, script=accepts, allowed=ORIGIN)

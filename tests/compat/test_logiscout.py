"""logiscout-logger and its drop-in beside each other: the requests that reach a recorder."""

from __future__ import annotations

import re
from typing import Any

import pytest

from comparing import Allowed, Shape
from conftest import SameSurface, SideBySide
from recording import Request

VENV = "logiscout_logger"
FOLDER = "scenarios/logiscout_logger"


def take_logs(request: Request, body: Any) -> list[Any] | None:
    """Each log with the head of its payload: where a request is cut does not count."""
    if request.path != "/ingest" or not isinstance(body, dict):
        return None
    return [{**payload, "logs": log} for payload in body.pop("payloads") for log in payload["logs"]]


SHAPE = Shape("logiscout", take_logs)
SERVICE = [Allowed("Service name and environment", f"entries.*.{name}") for name in ("serviceName", "environment")]
HEADER = Allowed("Correlation id in the response", "report.*.1")
IMPORTED = "Names that modules import for themselves"


def test_the_surface_is_the_same(same_surface: SameSurface) -> None:
    allowed = [
        Allowed("`init` without a token in `DEV`", "*.names.init.function.0.2"),
        Allowed("`__version__`", "logiscout_logger.__version__"),
        *(
            Allowed(IMPORTED, f"logiscout_logger/logger.names.{name}")
            for name in (
                "TransportProcessor",
                "build_log_event",
                "filter_info_and_above",
                "push_to_request_buffer",
                "remove_internal_fields",
            )
        ),
        *(
            Allowed(IMPORTED, f"logiscout_logger/middlewares/configuration.names.{name}")
            for name in (
                "flush_buffer",
                "get_batch_manager",
                "get_batch_transport_processor",
                "initialize_buffer",
                "log_access_entry",
                "set_access_log_data",
                "start_buffer",
            )
        ),
        Allowed(IMPORTED, "logiscout_logger/processors/context.names.add_log_to_buffer"),
    ]
    same_surface(VENV, "logiscout_logger", SHAPE, allowed)


def test_all_that_a_logger_can_do_is_sent_alike(side_by_side: SideBySide) -> None:
    sides = side_by_side(f"{FOLDER}/request.py", VENV, SHAPE, allowed=SERVICE)
    assert len(sides["ours"].requests) == 1


def test_the_console_has_the_same_lines(side_by_side: SideBySide) -> None:
    sides = side_by_side(f"{FOLDER}/request.py", VENV, SHAPE, allowed=SERVICE)
    original, ours = (_lines(sides[variant].run.stderr) for variant in ("original", "ours"))
    assert ours == original
    assert any("secret" in line for line in ours)


def _lines(stderr: str) -> list[str]:
    """Without colours and times, and without tracebacks, whose frames are not the same."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", stderr)
    return [line[28:] for line in plain.splitlines() if re.match(r"\d{4}-\d\d-\d\dT", line)]


def test_a_script_without_requests_is_sent(side_by_side: SideBySide) -> None:
    feature = "Logs outside of a request"
    allowed = [Allowed(feature, "entries.*"), Allowed(feature, "envelopes.*")]
    sides = side_by_side(f"{FOLDER}/outside.py", VENV, SHAPE, allowed=allowed)
    assert not sides["original"].requests
    (request,) = sides["ours"].requests
    assert [payload["logs"][0]["message"] for payload in request.json["payloads"]] == ["started", "failed"]


@pytest.mark.parametrize("framework", ["fastapi", "starlette"])
def test_requests_of_fastapi_and_starlette_are_sent_alike(side_by_side: SideBySide, framework: str) -> None:
    sides = side_by_side(f"{FOLDER}/shop_asgi.py", VENV, SHAPE, framework, allowed=[*SERVICE, HEADER])
    assert [answer[0] for answer in sides["ours"].run.report] == [200, 200, 200, 404, 500]


def test_requests_of_flask_are_sent_alike(side_by_side: SideBySide) -> None:
    sides = side_by_side(f"{FOLDER}/shop_flask.py", VENV, SHAPE, allowed=[*SERVICE, HEADER])
    assert [answer[0] for answer in sides["ours"].run.report] == [200, 200, 404, 500]


@pytest.mark.parametrize("interface", ["wsgi", "asgi"])
def test_requests_of_django_are_sent_alike(side_by_side: SideBySide, interface: str) -> None:
    sides = side_by_side(f"{FOLDER}/shop_django.py", VENV, SHAPE, interface, allowed=[*SERVICE, HEADER])
    assert [answer[0] for answer in sides["ours"].run.report] == [200, 404, 500]


def test_a_request_is_cut_at_two_hundred_logs(side_by_side: SideBySide) -> None:
    sides = side_by_side(f"{FOLDER}/long_request.py", VENV, SHAPE, "350", allowed=SERVICE)
    assert _slices(sides["original"].requests) == _slices(sides["ours"].requests) == [200, 150]


def test_nothing_above_two_hundred_logs_is_lost_at_the_end(side_by_side: SideBySide) -> None:
    allowed = [*SERVICE, Allowed("Flush at the end of the program", "entries.*")]
    sides = side_by_side(f"{FOLDER}/long_request.py", VENV, SHAPE, "1000", allowed=allowed)
    assert sum(_slices(sides["original"].requests)) == 400
    assert _slices(sides["ours"].requests) == [200] * 5


def _slices(requests: list[Request]) -> list[int]:
    return [len(payload["logs"]) for request in requests for payload in request.json["payloads"]]

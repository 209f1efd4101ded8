"""OTLP: what OpenTelemetry's own exporter sends to a real server, read back."""

from __future__ import annotations

from programs import Programs
from serving import Project


def test_the_exporter_of_opentelemetry_writes_logs_and_is_told_that_spans_are_not_kept(
    programs: Programs, project: Project
) -> None:
    address, key = project.address, project.key
    run = programs.run("scenarios/otlp/logs.py", "original", "logtide_sdk", address=address, key=key)
    warned, failed, _, _ = project.read(4)
    assert (warned["level"], warned["message"], warned["service"]) == ("warn", "charge 7 failed", "shop")
    assert (warned["host"], warned["logger"]) == ("a1", "orders.gzip")
    assert warned["fields"]["amount"] == 9007199254740993
    assert warned["fields"]["card"] == {"kind": "debit"}
    assert warned["fields"]["resource"]["cloud.region"] == "eu"
    assert (failed["level"], failed["exception"]["type"]) == ("error", "TimeoutError")
    assert "too late" in failed["exception"]["raw"]
    traced = project.read(1, trace_id=run.report["trace_id"])
    assert traced[0]["logger"] == "orders.none"
    assert run.report["spans"] == ["FAILURE", "FAILURE"]

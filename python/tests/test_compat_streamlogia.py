"""The drop-ins for Streamlogia do better where the originals lose entries, or lose track."""

from __future__ import annotations

import contextlib
import io
import signal
import sys
import urllib.error
import uuid
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import pytest

from ingesting import PROJECT, QUIET, at_its_server, entries, messages, quiet_client
from millpond.compat import logingestor
from millpond.compat.streamlogia import LogIngestorClient
from recording import Answer, Recorder, Request
from running import Start, eventually, needs_fork


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    with at_its_server(monkeypatch) as recording:
        yield recording


@pytest.fixture
def client(recorder: Recorder) -> Iterator[LogIngestorClient]:
    with quiet_client() as made:
        yield made


@pytest.mark.parametrize("failure", [Answer(500), Answer(429, headers={"Retry-After": "0"}), Answer(is_lost=True)])
def test_a_batch_that_failed_is_sent_again(recorder: Recorder, failure: Answer) -> None:
    recorder.answer("/v1/ingest", failure)
    errors: list[Exception] = []
    client = LogIngestorClient("k", PROJECT, on_error=errors.append, **QUIET)
    client.info("important")
    client.flush()
    client.close()
    assert messages(recorder) == ["important", "important"]
    keys = {request.headers["idempotency-key"] for request in recorder.requests}
    assert len(keys) == 1, "a server that knows the key stores it once"
    assert len(errors) == 1 and isinstance(errors[0], urllib.error.URLError)


def test_a_value_that_json_has_no_type_for_costs_no_entry(recorder: Recorder, client: LogIngestorClient) -> None:
    at = datetime(2026, 1, 31, tzinfo=timezone.utc)
    client.info("before")
    client.info("odd", meta={"at": at, "id": uuid.UUID(int=7), "object": object(), "nan": float("nan")})
    client.info("after")
    client.flush()
    assert messages(recorder) == ["before", "odd", "after"]
    meta = entries(recorder)[1]["meta"]
    assert meta["at"].startswith("2026-01-31T00:00:00") and meta["id"] == str(uuid.UUID(int=7))
    assert b"NaN" not in recorder.requests[0].body.replace(b'"NaN"', b"")


def test_an_entry_that_the_server_refuses_costs_no_other(recorder: Recorder) -> None:
    def picky(request: Request) -> Answer:
        return Answer(400 if any(not entry["message"] for entry in request.json) else 200)

    recorder.always("/v1/ingest", picky)
    client = LogIngestorClient("k", PROJECT, on_error=lambda _error: None, **QUIET)
    for message in ("a", "", "b", "c"):
        client.info(message)
    client.close()
    taken = [request for request in recorder.requests if all(entry["message"] for entry in request.json)]
    assert sorted(entry["message"] for request in taken for entry in request.json) == ["a", "b", "c"]


def test_many_entries_need_one_connection_and_keep_their_order(recorder: Recorder) -> None:
    client = LogIngestorClient("k", PROJECT, console=False)
    for number in range(300):
        client.info(str(number))
    client.close()
    assert messages(recorder) == [str(number) for number in range(300)]
    assert {request.connection for request in recorder.requests} == {0}


def test_a_log_call_waits_for_nobody(recorder: Recorder) -> None:
    """The server answers when all calls have returned."""
    returned = False

    def late(_request: Request) -> Answer:
        eventually(lambda: returned, "the calls did not return")
        return Answer()

    recorder.always("/v1/ingest", late)
    client = LogIngestorClient("k", PROJECT, console=False)
    for number in range(50):
        client.info(str(number))
    returned = True
    client.close()
    assert len(entries(recorder)) == 50
    assert len(recorder.requests) <= 2, "what waited for the first request goes together in the second"


def test_what_is_logged_before_the_end_of_the_program_arrives(recorder: Recorder, tmp_path: Any) -> None:
    run(
        tmp_path,
        recorder,
        "client = LogIngestorClient('k', 'p', batch_size=50, console=False)\n"
        "for number in range(20): client.info(str(number))",
    )
    assert messages(recorder) == [str(number) for number in range(20)]


@needs_fork
def test_a_forked_child_sends_its_own_entries_and_only_those(recorder: Recorder, tmp_path: Any) -> None:
    run(
        tmp_path,
        recorder,
        "import os\n"
        "client = LogIngestorClient('k', 'p', batch_size=50, console=False)\n"
        "client.info('parent')\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    client.info('child')\n"
        "    client.close()\n"
        "    os._exit(0)\n"
        "assert os.waitpid(child, 0)[1] == 0",
    )
    assert sorted(messages(recorder)) == ["child", "parent"]


def run(directory: Any, recorder: Recorder, code: str) -> None:
    import subprocess

    path = directory / "program.py"
    path.write_text(f"from millpond.compat.streamlogia import LogIngestorClient\n{code}\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_program_that_is_told_to_end_sends_what_it_logged(recorder: Recorder, start: Start) -> None:
    start.file(
        "waits.py",
        """
import signal
from millpond.compat.streamlogia import LogIngestorClient
LogIngestorClient("k", "p", batch_size=50).info("waiting")
signal.pause()
""",
    )
    running = start("waits.py")
    running.wait_for_output("waiting")
    assert running.stop() == -signal.SIGTERM
    assert messages(recorder) == ["waiting"]


def test_entries_after_close_are_sent(recorder: Recorder, client: LogIngestorClient) -> None:
    client.info("before")
    client.close()
    client.info("after")
    client.close()
    client.close()
    assert messages(recorder) == ["before", "after"]


def test_an_error_callback_that_raises_ends_nothing(recorder: Recorder, capfd: pytest.CaptureFixture[str]) -> None:
    def broken(_error: Exception) -> None:
        raise RuntimeError("broken")

    recorder.answer("/v1/ingest", Answer(500))
    client = LogIngestorClient("k", PROJECT, on_error=broken, **QUIET)
    client.info("one")
    client.flush()
    client.info("two")
    client.close()
    assert set(messages(recorder)) == {"one", "two"}
    assert "broken" in capfd.readouterr().err


def test_errors_are_printed_where_nobody_asks_for_them(recorder: Recorder, capsys: pytest.CaptureFixture[str]) -> None:
    recorder.answer("/v1/ingest", Answer(400))
    client = LogIngestorClient("k", PROJECT, **QUIET)
    client.info("refused")
    client.close()
    assert "[streamlogia] HTTP Error 400: Bad Request\n" in capsys.readouterr().err


def test_the_client_of_0_1_prints_errors_under_its_own_name(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MILLPOND_ENDPOINT", recorder.address)
    recorder.answer("/v1/ingest", Answer(400))
    client = logingestor.LogIngestorClient("k", PROJECT, **QUIET)
    client.info("refused")
    client.close()
    assert "[logingestor] HTTP Error 400: Bad Request\n" in capsys.readouterr().err


def test_a_flush_waits_for_one_attempt(recorder: Recorder) -> None:
    recorder.always("/v1/ingest", Answer(503))
    errors: list[Exception] = []
    client = LogIngestorClient("k", PROJECT, on_error=errors.append, **QUIET)
    client.info("x")
    client.flush()
    assert (len(recorder.requests), len(errors)) == (1, 1)
    recorder.always("/v1/ingest", Answer())
    client.close()


def test_meta_is_sent_as_it_was_when_it_was_logged(recorder: Recorder, client: LogIngestorClient) -> None:
    meta = {"step": 1, "inner": {"a": 1}}
    client.info("x", meta=meta)
    meta["step"] = 2
    meta["inner"]["a"] = 2  # type: ignore[index]
    client.flush()
    assert entries(recorder)[0]["meta"] == {"step": 1, "inner": {"a": 1}}


def test_messages_and_tags_of_other_types_become_text(recorder: Recorder, client: LogIngestorClient) -> None:
    client.info(4711, tags=(1, "b"))  # type: ignore[arg-type]
    client.info("x", tags="alone", meta=[1])  # type: ignore[arg-type]
    client.flush()
    first, second = entries(recorder)
    assert (first["message"], first["tags"]) == ("4711", ["1", "b"])
    assert (second["tags"], second["meta"]) == (["alone"], {"value": [1]})


def test_the_console_is_the_stream_of_the_moment(recorder: Recorder) -> None:
    client = LogIngestorClient("k", PROJECT, batch_size=100)
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        client.info("said", meta={"a": 1})
        client.warn("warned")
    client.close()
    assert (out.getvalue(), err.getvalue()) == ("[INFO] said {'a': 1}\n", "[WARN] warned {}\n")


def test_a_console_that_is_gone_is_no_error(
    recorder: Recorder, client: LogIngestorClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    loud = LogIngestorClient("k", PROJECT, batch_size=100)
    monkeypatch.setattr(sys, "stdout", None)
    loud.info("said")
    loud.close()
    assert messages(recorder) == ["said"]


def test_a_large_entry_keeps_what_the_server_insists_on(recorder: Recorder, client: LogIngestorClient) -> None:
    client.info("m" * (3 << 20), tags=["t"], meta={"a": 1})
    client.flush()
    (entry,) = entries(recorder)
    assert (entry["projectId"], entry["level"], entry["source"]) == (PROJECT, "INFO", "unknown")
    assert entry["timestamp"] and entry["message"].startswith("mmm")
    assert len(recorder.requests[0].body) < 1 << 20


def test_a_message_that_can_not_be_shown_costs_no_entry(recorder: Recorder, client: LogIngestorClient) -> None:
    class Mute:
        def __str__(self) -> str:
            raise ValueError

    client.info(Mute())  # type: ignore[arg-type]
    client.flush()
    assert messages(recorder) == ["<unprintable Mute>"]


def test_tags_that_can_not_be_read_cost_no_entry(recorder: Recorder, client: LogIngestorClient) -> None:
    client.info("kept", tags=(1 // 0 for _ in "a"))  # type: ignore[arg-type]
    client.flush()
    assert [(entry["message"], entry["tags"]) for entry in entries(recorder)] == [("kept", [])]


def test_an_answer_without_a_body_is_a_success(recorder: Recorder) -> None:
    errors: list[Exception] = []
    recorder.always("/v1/ingest", Answer(204, b""))
    client = LogIngestorClient("k", PROJECT, on_error=errors.append, **QUIET)
    client.info("stored")
    client.flush()
    assert client.ingest([]) == {}
    client.close()
    assert not errors


def test_ingest_takes_odd_values_too(recorder: Recorder, client: LogIngestorClient) -> None:
    recorder.always("/v1/ingest", Answer(body={"ingested": 1, "ids": ["i"]}))
    assert client.ingest([{"meta": {"id": uuid.UUID(int=7), "nan": float("nan")}}]) == {"ingested": 1, "ids": ["i"]}
    assert entries(recorder) == [{"meta": {"id": str(uuid.UUID(int=7)), "nan": "NaN"}}]


def test_the_environment_of_the_documentation_is_read_too(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGINGESTOR_API_KEY", "documented")
    monkeypatch.setenv("LOGINGESTOR_PROJECT_ID", "its project")
    client = LogIngestorClient(**QUIET)
    client.info("x")
    client.close()
    assert entries(recorder)[0]["projectId"] == "its project"
    assert recorder.requests[0].headers["authorization"] == "Bearer documented"


def test_a_missing_key_is_named_with_its_variable(recorder: Recorder) -> None:
    with pytest.raises(ValueError, match=r"^api_key is missing, .* in STREAMLOGIA_API_KEY$"):
        LogIngestorClient(project_id=PROJECT)
    with pytest.raises(ValueError, match=r"^project_id is missing, .* in STREAMLOGIA_PROJECT_ID$"):
        LogIngestorClient("k", "")


def test_an_address_that_is_none_is_refused_at_once(recorder: Recorder) -> None:
    with pytest.raises(ValueError, match="h:1"):
        LogIngestorClient("k", PROJECT, base_url="h:1")


def test_odd_options_are_taken_as_they_were(recorder: Recorder) -> None:
    for options in ({"batch_size": 0}, {"batch_size": -1}, {"flush_interval": 0, "batch_size": 2}):
        client = LogIngestorClient("k", PROJECT, console=False, **options)  # type: ignore[arg-type]
        client.info("x")
        client.close()
    assert messages(recorder) == ["x", "x", "x"]


def test_a_batch_goes_when_it_is_full(recorder: Recorder) -> None:
    client = LogIngestorClient("k", PROJECT, batch_size=3, flush_interval=3600, console=False)
    for message in ("a", "b"):
        client.info(message)
    assert not recorder.requests
    client.info("c")
    recorder.wait_for(1)
    assert messages(recorder) == ["a", "b", "c"]
    client.close()


def test_a_batch_that_does_not_fill_goes_after_the_interval(recorder: Recorder) -> None:
    client = LogIngestorClient("k", PROJECT, batch_size=100, flush_interval=0.05, console=False)
    client.info("x")
    recorder.wait_for(1)
    client.close()


def test_the_client_of_0_1_asks_where_to_send(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILLPOND_ENDPOINT", recorder.address)
    client = logingestor.LogIngestorClient("k", PROJECT, **QUIET)
    client.info("x")
    client.close()
    assert messages(recorder) == ["x"]
    assert logingestor.DEFAULT_BASE_URL == "https://api.streamlogia.com"

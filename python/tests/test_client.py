"""Clients of one's own, flows, breadcrumbs, hooks, and where a trace comes from."""

from __future__ import annotations

import asyncio
import copy
import pickle
import sys
import threading
import types
from typing import Any

import pytest

import millpond
from conftest import Program
from recorder import Recorder


def sent(server: Recorder) -> list[dict[str, Any]]:
    assert millpond.flush(5)
    return list(server.records)


def test_a_client_has_options_and_records_of_its_own(client: Recorder) -> None:
    other = Recorder()
    with millpond.Client(service="other", endpoint=other.url, api_key="k2") as own:
        own.info("of the client", n=1)
        own.get_logger("import", shard=7).bind(file="a.csv").warning("%d rows", 3)
        millpond.get_logger("app").info("of the process")
        with millpond.context(request_id="r-1"):
            own.error("in a context")
    assert [(r["service"], r["message"], r.get("logger")) for r in other.records] == [
        ("other", "of the client", None),
        ("other", "3 rows", "import"),
        ("other", "in a context", None),
    ]
    assert other.records[1]["fields"] == {"shard": 7, "file": "a.csv"}
    assert other.records[2]["request_id"] == "r-1"
    assert {headers["x-api-key"] for headers in other.headers} == {"k2"}
    assert [record["message"] for record in sent(client)] == ["of the process"]
    own.info("too late")
    account = own.metrics()
    assert (account["accepted"], account["delivered"], account["dropped"]["closed"]) == (4, 3, 1)
    assert own.close()
    other.close()


def test_a_client_that_nobody_closes_is_flushed_at_the_end(program: Program) -> None:
    program.run("""
    import millpond
    def work():
        millpond.Client().info("from a client that is gone")
        kept.append(millpond.Client().get_logger("kept"))
    kept = []
    work()
    kept[0].info("from a logger")
    """)
    assert sorted(r["message"] for r in program.server.records) == ["from a client that is gone", "from a logger"]


def test_an_async_client_waits_without_stopping_the_loop() -> None:
    server = Recorder()

    async def main() -> None:
        async with millpond.AsyncClient(endpoint=server.url, batch_age_s=60) as own:
            own.info("first")
            assert await own.flush(5)
            assert server.records[-1]["message"] == "first"
            server.status = 503
            own.info("second")
            flush = asyncio.create_task(own.flush(0.5))
            ticks = 0
            while not flush.done():
                await asyncio.sleep(0.005)
                ticks += 1
            assert await flush is False
            assert ticks > 10
            server.status = 200

    asyncio.run(main())
    asyncio.run(main())  # Another loop, other clients, the same process.
    assert [record["message"] for record in server.records] == ["first", "second", "first", "second"]
    server.close()


def test_a_flow_counts_its_steps_across_threads_and_loggers(client: Recorder) -> None:
    flow = millpond.flow("check out!")
    assert (flow.name, flow.next_step) == ("check out!", 0) or flow.id.startswith("check")
    flow.step("cart checked", items=3).step("payment taken")
    flow.error("late", exc_info=ValueError("x"))
    threads = [threading.Thread(target=flow.info, args=("from a thread",)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with flow:
        millpond.get_logger("other").info("inside")
        with millpond.context(user_id="u"):
            millpond.get_logger("other").info("deeper")
            with millpond.flow("inner") as inner:
                millpond.get_logger("other").info("of the inner one")
    millpond.get_logger("other").info("outside")
    resumed = millpond.resume_flow(flow.id, flow.next_step)
    resumed.get_logger("worker").info("elsewhere")
    records = sent(client)
    mine = [record for record in records if record.get("flow_id") == flow.id]
    assert [record["step_index"] for record in mine] == list(range(11))
    assert mine[0]["fields"] == {"items": 3}
    assert (mine[9]["message"], mine[9]["user_id"], mine[9]["logger"]) == ("deeper", "u", "other")
    assert (mine[10]["logger"], mine[10]["message"]) == ("worker", "elsewhere")
    assert [(r["flow_id"], r["step_index"]) for r in records if r["message"] == "of the inner one"] == [(inner.id, 0)]
    assert [r.get("flow_id") for r in records if r["message"] == "outside"] == [None]


def test_a_record_that_is_filtered_leaves_no_gap_in_its_flow(server: Recorder) -> None:
    drop = {"b"}
    with millpond.Client(
        endpoint=server.url, before_send=lambda record: None if record["message"] in drop else record
    ) as own:
        own.flow("f").step("a").step("b").step("c")
    assert [(r["message"], r["step_index"]) for r in server.records] == [("a", 0), ("c", 1)]


def test_tags_are_said_in_calls_and_in_contexts(client: Recorder) -> None:
    log = millpond.get_logger("x", tags=["bound"])
    with millpond.context(tags=["eu"]):
        millpond.add_tags("beta", "eu")
        log.info("a", tags=("call",))
        log.info("b", tags="one")
    log.info("c", tags={"not": "tags"})
    millpond.get_logger("y").info("d", tags=[1, 2])
    a, b, c, d = sent(client)
    assert a["tags"] == ["call", "bound", "eu", "beta"]
    assert b["tags"] == ["one", "bound", "eu", "beta"]
    assert (c["tags"], c["fields"]) == (["bound"], {"tags": {"not": "tags"}})
    assert (d["tags"], d.get("fields")) == (["1", "2"], None)


def test_what_is_bound_to_the_context_lasts_to_its_end(client: Recorder) -> None:
    log = millpond.get_logger("x")
    with millpond.context():
        millpond.set_user("u-1", plan="pro")
        millpond.set_session("s-1")
        millpond.bind(shard=7)
        log.info("a")
        millpond.unbind("shard", "user", "nothing")
        log.info("b")
    log.info("c")
    a, b, c = sent(client)
    assert (a["user_id"], a["session_id"], a["fields"]) == ("u-1", "s-1", {"user": {"plan": "pro"}, "shard": 7})
    assert (b["user_id"], b.get("fields")) == ("u-1", None)
    assert (c.get("user_id"), c.get("fields")) == (None, None)


def test_breadcrumbs_go_with_errors_and_stay_in_their_request(client: Recorder) -> None:
    log = millpond.get_logger("x")

    class Bad:
        def __repr__(self) -> str:
            raise RuntimeError

    def request(name: str) -> None:
        with millpond.continue_trace({}):
            millpond.breadcrumb("asked the cache", category="cache", hit=False, key=name, password="p")
            with millpond.context(inner=True):
                millpond.breadcrumb(Bad(), level="warning", value=Bad())
            log.info("no breadcrumbs")
            log.error("failed")

    request("a")
    request("b")
    log.error("nothing of them")
    records = sent(client)
    assert [len(record.get("fields", {}).get("breadcrumbs", [])) for record in records] == [0, 2, 0, 2, 0]
    first, second = records[1]["fields"]["breadcrumbs"]
    assert (first["message"], first["category"], first["level"]) == ("asked the cache", "cache", "info")
    assert first["fields"] == {"hit": False, "key": "a", "password": "[REDACTED]"}
    assert (second["message"], second["level"]) == ("<unprintable Bad>", "warn")
    assert records[3]["fields"]["breadcrumbs"][0]["fields"]["key"] == "b"


def test_a_span_goes_on_with_the_trace_of_its_context(client: Recorder) -> None:
    with millpond.span() as outer, millpond.span(step="inner") as inner:
        millpond.get_logger("x").info("m")
    (record,) = sent(client)
    assert inner.trace_id == outer.trace_id == record["trace_id"]
    assert record["span_id"] == inner.span_id != outer.span_id
    assert record["fields"] == {"step": "inner"}


def test_a_record_without_a_trace_gets_that_of_the_active_span(
    client: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = millpond.get_logger("x")
    log.info("not there yet")
    active = types.SimpleNamespace(is_valid=True, trace_id=0x4BF92F3577B34DA6A3CE929D0E0E4736, span_id=0xF067AA0BA902B7)
    module = types.ModuleType("opentelemetry.trace")
    module.get_current_span = lambda: types.SimpleNamespace(get_span_context=lambda: active)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", module)
    log.info("active")
    log.info("said", trace_id="mine")
    with millpond.context(trace_id="of the context", span_id="too"):
        log.info("before the context")
    active.is_valid = False
    with millpond.context(trace_id="of the context", span_id="too"):
        log.info("invalid")
    active.get = None
    module.get_current_span = lambda: 1 / 0  # type: ignore[attr-defined]
    log.info("raises")
    ids = [(record["message"], record.get("trace_id"), record.get("span_id")) for record in sent(client)]
    otel = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")
    assert ids == [
        ("not there yet", None, None),
        ("active", *otel),
        ("said", "mine", None),
        ("before the context", *otel),
        ("invalid", "of the context", "too"),
        ("raises", None, None),
    ]


def test_a_hook_sees_and_changes_the_whole_record(server: Recorder) -> None:
    seen: list[dict[str, Any]] = []

    def hook(record: dict[str, Any]) -> dict[str, Any]:
        seen.append({**record, "fields": dict(record["fields"])})
        record["message"] = record["message"].upper()
        record["level"] = "error"
        record["user_id"] = 17
        record.pop("request_id", None)
        record["fields"]["added"] = {"password": "again", "n": 2**70}
        record["fields"].pop("gone")
        return record

    with millpond.Client(endpoint=server.url, before_send=hook, service="s") as own:
        own.info("m", password="p", big=2**64 - 1, gone=1, request_id="r", exc_info=ValueError("v"))
    (before,) = seen
    assert (before["message"], before["level"], before["service"], before["request_id"]) == ("m", "info", "s", "r")
    assert before["fields"] == {"password": "[REDACTED]", "big": 2**64 - 1, "gone": 1}
    assert before["exception"]["type"] == "ValueError"
    (record,) = server.records
    assert (record["message"], record["level"], record["user_id"]) == ("M", "error", "17")
    assert "request_id" not in record
    assert record["fields"]["added"]["password"] == "[REDACTED]"
    assert record["fields"]["big"] == 2**64 - 1
    assert "gone" not in record["fields"]
    assert record["exception"]["message"] == "v"


def test_a_hook_that_fails_changes_nothing_and_is_counted(server: Recorder, capfd: pytest.CaptureFixture[str]) -> None:
    answers: list[Any] = [ZeroDivisionError(), "no record", None]

    def hook(record: dict[str, Any]) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    with millpond.Client(endpoint=server.url, before_send=hook) as own:
        own.info("raises")
        own.info("returns nonsense")
        own.info("dropped")
        account = own.metrics()
    assert [record["message"] for record in server.records] == ["raises", "returns nonsense"]
    assert (account["hook_failures"], account["filtered"], account["accepted"]) == (2, 1, 2)
    assert capfd.readouterr().err == ""


def test_a_hook_that_logs_and_one_that_is_interrupted(server: Recorder) -> None:
    interrupt = False

    def hook(record: dict[str, Any]) -> dict[str, Any]:
        own.info("from the hook")
        if interrupt:
            raise KeyboardInterrupt
        return record

    with millpond.Client(endpoint=server.url, before_send=hook) as own:
        own.info("a")
        interrupt = True
        with pytest.raises(KeyboardInterrupt):
            own.info("b")
        interrupt = False
        own.info("c")
    assert [r["message"] for r in server.records] == ["from the hook", "a", "from the hook", "b", "from the hook", "c"]


def test_a_preview_is_what_would_be_sent(server: Recorder) -> None:
    with millpond.Client(endpoint=server.url, service="s") as own, millpond.context(request_id="r"):
        record = own.preview("warning", "%s of %d", 1, 2, password="p", exc_info=ValueError("v"))
        assert record is not None
        assert (record["level"], record["message"], record["request_id"]) == ("warn", "1 of 2", "r")
        assert record["fields"] == {"password": "[REDACTED]"}
        assert record["exception"]["type"] == "ValueError"
        assert own.metrics()["accepted"] == 0
    assert server.records == []


def test_the_development_mode_prints_and_sends_nothing(program: Program) -> None:
    done = program.run(
        """
        import millpond
        millpond.init(mode="development", console="json")
        millpond.get_logger("x").info("printed", n=1)
        millpond.get_logger("x").error("too")
        """
    )
    assert '"message":"printed"' in done.stdout
    assert '"message":"too"' in done.stderr
    assert program.server.headers == []


def test_a_logger_is_copied_and_pickled_and_keeps_what_is_bound_to_itself(client: Recorder) -> None:
    log = millpond.get_logger("x", api_key="sk-live", shard=7)
    assert repr(log) == "<millpond.Logger 'x' with api_key, shard>"
    assert copy.deepcopy({"log": log})["log"] is log
    pickle.loads(pickle.dumps(log)).info("from afar")
    (record,) = sent(client)
    assert (record["logger"], record["fields"]) == ("x", {"api_key": "[REDACTED]", "shard": 7})
    with millpond.Client(mode="silent") as own, pytest.raises(TypeError, match="can't be pickled"):
        pickle.dumps(own.get_logger("y"))


def test_a_trace_that_is_not_sampled_stays_so(client: Recorder) -> None:
    header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0"
    for flag in "01":
        with millpond.continue_trace({"traceparent": header + flag}), millpond.span():
            assert millpond.outgoing_headers()["traceparent"].endswith(f"-0{flag}")
    with millpond.continue_trace({"traceparent": 5}) as trace:  # type: ignore[dict-item]
        assert trace.sampled


def test_metrics_name_every_fate(client: Recorder) -> None:
    millpond.get_logger("x").info("m", password="p")
    assert millpond.flush(5)
    account = millpond.metrics()
    dropped = sum(account["dropped"].values())
    assert account["accepted"] == account["delivered"] + account["queued"] + account["spooled"] + dropped == 1
    assert (account["redacted"], account["breaker"], account["batches"]) == (1, "closed", 1)
    assert account["latency_ms_mean"] > 0
    millpond.reset_metrics()
    assert millpond.metrics()["accepted"] == 0

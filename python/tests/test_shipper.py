"""Entries of any form, to a server that is not Millpond's."""

from __future__ import annotations

import asyncio
import datetime
import decimal
import enum
import gc
import os
import threading
import typing
import weakref
from pathlib import Path
from typing import Any

import pytest

import millpond
from conftest import Program
from millpond._config import SHIPPER_OPTIONS, ShipperOptions, shipper_settings_from
from recording import Answer, Recorder
from running import PATIENCE_S, needs_fork
from shipping import HOUR_S, Made

BUSY = Answer(503, "busy")


def test_a_batch_is_an_array_under_the_headers_of_the_shipper(peer: Recorder, made: Made) -> None:
    shipper = made(headers={"X-Api-Key": "k", "User-Agent": "mine"})
    entry = {"a": [1, None, True], "b": "é"}
    assert shipper.ship(entry)
    entry["a"] = "changed later"
    assert shipper.ship("text")
    assert shipper.flush(PATIENCE_S)
    (asked,) = peer.requests
    assert asked.json == [{"a": [1, None, True], "b": "é"}, "text"]
    assert (asked.method, asked.path, asked.query) == ("POST", "/in", {"a": ["b"]})
    assert (asked.headers["x-api-key"], asked.headers["user-agent"]) == ("k", "mine")
    assert asked.headers["content-type"] == "application/json"
    assert asked.headers["idempotency-key"]
    assert "content-encoding" not in asked.headers


def test_what_stands_around_the_entries_and_the_content_type_can_be_others(peer: Recorder, made: Made) -> None:
    shipper = made(prefix='{"logs":[', suffix="]}", headers={"content-type": "application/x-logs"})
    shipper.ship(1)
    assert shipper.flush(PATIENCE_S)
    assert peer.requests[0].body == b'{"logs":[1]}'
    assert peer.requests[0].headers["content-type"] == "application/x-logs"


class _Colour(enum.Enum):
    RED = "red"


class _Broken:
    def __repr__(self) -> str:
        raise RuntimeError("no")


def test_odd_values_are_what_they_are_everywhere_and_nothing_raises(peer: Recorder, made: Made) -> None:
    shipper = made()
    cycle: list[Any] = []
    cycle.append(cycle)
    deep: Any = 1
    for _ in range(500):
        deep = [deep]
    entry = {
        "nan": float("nan"), "decimal": decimal.Decimal("1.10"), "lone": "\ud800\n", "cycle": cycle, "set": {1},
        "time": datetime.datetime(2026, 1, 2, 3, 4, 5), "enum": _Colour.RED, "broken": _Broken(), "big": 1 << 70,
        5: b"\xff", None: ValueError("x"),
    }  # fmt: skip
    assert shipper.ship(entry)
    assert shipper.ship(deep)
    assert shipper.ship("x" * (2 << 20))
    assert shipper.flush(PATIENCE_S)
    found, _, long = peer.taken
    assert found["nan"] == "NaN"
    assert (found["decimal"], found["lone"], found["cycle"]) == ("1.10", "\ufffd\n", ["<cycle>"])
    assert (found["time"], found["enum"], found["broken"]) == ("2026-01-02T03:04:05", "red", "<unprintable _Broken>")
    assert (found["set"], found["big"], found["5"]) == ([1], str(1 << 70), "b'\\xff'")
    assert long.endswith("… (2097152 bytes)")


class _Shipping:
    """Ships itself when it is shown."""

    def __init__(self, shipper: millpond.Shipper) -> None:
        self._shipper = shipper

    def __str__(self) -> str:
        self._shipper.ship(["shown", self])
        return "me"


def test_a_value_that_ships_while_it_is_written_comes_to_an_end(peer: Recorder, made: Made) -> None:
    shipper = made()
    assert shipper.ship(_Shipping(shipper))
    assert shipper.flush(PATIENCE_S)
    assert peer.taken[-1] == "me"


def test_an_entry_that_is_not_understood_costs_no_other_one(peer: Recorder, made: Made) -> None:
    failures: list[millpond.Failure] = []
    peer.always("*", lambda asked: Answer(400, "bad entry") if b'"bad"' in asked.body else Answer())
    shipper = made(on_failure=failures.append)
    for entry in [*range(9), "bad", *range(10, 20)]:
        shipper.ship(entry)
    assert shipper.flush(PATIENCE_S)
    assert sorted(peer.taken) == [*range(9), *range(10, 20)]
    assert failures[0] == (400, "the server answered 400 Bad Request", "bad entry", 20, 1, False)
    assert failures[-1] == (400, "the server answered 400 Bad Request", "bad entry", 1, 1, True)
    assert [failure.dropped for failure in failures].count(True) == 1
    assert shipper.metrics()["dropped"]["rejected"] == 1


def test_a_batch_that_is_too_large_is_halved(peer: Recorder, made: Made) -> None:
    peer.always("*", lambda asked: Answer(413) if len(asked.json) > 3 else Answer())
    shipper = made()
    for number in range(10):
        shipper.ship(number)
    assert shipper.flush(PATIENCE_S)
    assert peer.taken == list(range(10))


def test_what_a_success_lists_as_rejected_is_counted_and_told(peer: Recorder, made: Made) -> None:
    failures: list[millpond.Failure] = []
    peer.answer("*", Answer(200, '{"received": 1, "rejected": [{"index": 1, "reason": "x"}]}'))
    shipper = made(on_failure=failures.append)
    shipper.ship(1)
    shipper.ship(2)
    assert shipper.flush(PATIENCE_S)
    metrics = shipper.metrics()
    assert (metrics["delivered"], metrics["dropped"]["rejected"]) == (1, 1)
    assert [(f.status, f.message, f.records, f.dropped) for f in failures] == [
        (200, "the server rejected 1 entries", 1, True)
    ]


def test_a_server_in_trouble_is_asked_again_under_the_same_key(peer: Recorder, made: Made) -> None:
    failures: list[millpond.Failure] = []
    peer.answer(
        "*", BUSY, Answer(is_lost=True), Answer(429, '{"retryAfter": 0.01}'), Answer(408, "", {"retry-after": "0"})
    )
    shipper = made(on_failure=failures.append)
    shipper.ship({"a": 1})
    assert shipper.flush(PATIENCE_S)
    assert peer.taken == [{"a": 1}]
    assert len({asked.headers["idempotency-key"] for asked in peer.requests}) == 1
    assert [(f.status, f.body, f.attempt, f.dropped) for f in failures] == [
        (503, "busy", 1, False),
        (None, "", 2, False),
        (429, '{"retryAfter": 0.01}', 3, False),
        (408, "", 4, False),
    ]
    assert failures[1].message.startswith(f"can't reach {peer.address}/in?a=b: ")
    metrics = shipper.metrics()
    assert (metrics["errors"], metrics["retries"], metrics["breaker"]) == (4, 4, "closed")


def test_a_flush_that_ends_before_the_server_wants_to_be_asked_again_ends_at_once(peer: Recorder, made: Made) -> None:
    peer.answer("*", Answer(429, "", {"retry-after": "110"}))
    shipper = made()
    shipper.ship(1)
    assert not shipper.flush(100)
    assert not shipper.flush(100)
    assert len(peer.requests) == 1


@pytest.mark.parametrize("status", [401, 403, 404, 307])
def test_what_is_refused_is_kept_and_a_flush_tries_it_and_says_so_at_once(
    peer: Recorder, made: Made, status: int
) -> None:
    peer.answer("*", Answer(status), Answer(status))
    failures: list[millpond.Failure] = []
    shipper = made(retry_delay_s=HOUR_S, retry_delay_s_max=HOUR_S, on_failure=failures.append)
    shipper.ship(1)
    assert not shipper.flush(HOUR_S)
    assert not shipper.flush(HOUR_S)
    assert shipper.flush(PATIENCE_S)
    assert peer.taken == [1]
    assert [(f.status, f.attempt, f.dropped) for f in failures] == [(status, 1, False), (status, 2, False)]


def test_what_is_refused_is_dropped_if_told_so(peer: Recorder, made: Made) -> None:
    peer.answer("*", Answer(401))
    failures: list[millpond.Failure] = []
    shipper = made(refused="drop", on_failure=failures.append)
    shipper.ship(1)
    assert not shipper.flush(HOUR_S)
    assert [(f.status, f.records, f.dropped) for f in failures] == [(401, 1, True)]
    assert shipper.metrics()["dropped"]["refused"] == 1
    shipper.ship(2)
    assert shipper.flush(PATIENCE_S)
    assert peer.taken == [2]


def test_a_flush_ends_with_the_last_attempt_of_a_batch(peer: Recorder, made: Made) -> None:
    peer.answer("*", BUSY, BUSY)
    failures: list[millpond.Failure] = []
    shipper = made(attempts_max=2, on_failure=failures.append)
    shipper.ship(1)
    assert not shipper.flush(HOUR_S)
    # The callback comes before anybody is told who waits.
    assert [(f.attempt, f.dropped) for f in failures] == [(1, False), (2, True)]
    assert shipper.metrics()["dropped"]["exhausted"] == 1
    assert shipper.flush(PATIENCE_S), "nothing is left"


def test_a_flush_ends_when_an_attempt_has_failed_and_the_breaker_is_open(peer: Recorder, made: Made) -> None:
    peer.always("*", lambda _asked: BUSY)
    shipper = made(breaker_failures=3, breaker_reset_s=HOUR_S)
    shipper.ship(1)
    for attempts in (3, 4):
        assert not shipper.flush(HOUR_S)
        assert len(peer.requests) == attempts
        assert shipper.metrics()["breaker"] == "open"


def test_the_callback_may_ship_and_flush_and_what_it_raises_is_said_once(
    peer: Recorder, made: Made, capfd: pytest.CaptureFixture[str]
) -> None:
    peer.answer("*", BUSY, BUSY, BUSY)
    seen: list[tuple[bool, bool]] = []

    def fail(failure: millpond.Failure) -> None:
        seen.append((shipper.ship(f"failure {failure.attempt}"), shipper.flush(HOUR_S)))
        if failure.attempt == 1:
            raise RuntimeError("of the callback")
        if failure.attempt == 2:
            raise SystemExit
        fail(failure._replace(attempt=failure.attempt + 1))  # A recursion without end.

    shipper = made(on_failure=fail)
    shipper.ship("x")
    assert shipper.flush(PATIENCE_S)
    assert seen[:2] == [(True, False), (True, False)]
    assert len(seen) > 100
    assert peer.wait_for_entries(1)[0] == "x"
    assert capfd.readouterr().err.count("on_failure raised") == 1


def test_a_callback_does_not_make_attempts_come_faster(peer: Recorder, made: Made) -> None:
    """A flush from the application ends the pause before the next attempt; one from the callback must not."""
    peer.always("*", lambda _asked: BUSY)
    told = threading.Event()

    def fail(_failure: millpond.Failure) -> None:
        shipper.flush(HOUR_S)
        told.set()

    shipper = made(on_failure=fail, retry_delay_s=HOUR_S, retry_delay_s_max=HOUR_S, breaker_failures=1,
                   breaker_reset_s=HOUR_S)  # fmt: skip
    shipper.ship(1)
    assert not shipper.flush(HOUR_S)
    assert told.wait(PATIENCE_S)
    assert len(peer.requests) == 1


def test_a_closed_shipper_takes_nothing_and_lets_go_of_its_callback(peer: Recorder, made: Made) -> None:
    class Holder:
        def __init__(self) -> None:
            self.shipper = millpond.Shipper(peer.address, on_failure=self.fail)

        def fail(self, _failure: millpond.Failure) -> None:
            """It holds the shipper, which holds it."""

    holder = Holder()
    shipper = holder.shipper
    shipper.ship(1)
    assert not shipper.is_closed
    assert shipper.close(PATIENCE_S)
    assert shipper.is_closed
    assert not shipper.ship(2)
    assert shipper.close(PATIENCE_S)
    assert (peer.taken, shipper.metrics()["dropped"]["closed"]) == ([1], 1)
    held = weakref.ref(holder)
    del holder, shipper
    gc.collect()
    assert held() is None


def test_a_block_ends_with_the_delivery_and_a_full_queue_takes_no_more(peer: Recorder) -> None:
    with millpond.Shipper(peer.address, queue_records_max=2, batch_age_s=HOUR_S) as shipper:
        assert [shipper.ship(number) for number in range(3)] == [True, True, False]
        assert shipper.metrics()["dropped"]["overflow"] == 1
        shipper.reset_metrics()
        assert (shipper.metrics()["accepted"], shipper.metrics()["queued"]) == (2, 2)
    assert peer.taken == [0, 1]


def test_a_silent_shipper_sends_nothing(peer: Recorder, made: Made) -> None:
    shipper = made(mode="silent")
    assert shipper.ship(1)
    assert shipper.flush(0)
    assert shipper.close(0)
    assert (peer.requests, shipper.metrics()["filtered"]) == ([], 1)


def test_three_threads_at_once_lose_and_repeat_nothing(peer: Recorder, made: Made) -> None:
    shipper = made(batch_records_max=50, batch_age_s=0.01)

    def work(name: str) -> None:
        for number in range(500):
            shipper.ship([name, number])

    threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shipper.flush(PATIENCE_S)
    for name in "abc":
        assert [number for other, number in peer.taken if other == name] == list(range(500))


def test_asyncio_flushes_and_closes(peer: Recorder, made: Made) -> None:
    async def main() -> None:
        shipper = made()
        shipper.ship(1)
        assert await shipper.flush_async(PATIENCE_S)
        shipper.ship(2)
        assert await shipper.close_async()
        assert shipper.is_closed

    asyncio.run(main())
    assert peer.taken == [1, 2]


# Processes.


def test_the_end_of_the_program_delivers_what_was_shipped(peer: Recorder, program: Program) -> None:
    program.run("import millpond, os; millpond.Shipper(os.environ['URL']).ship({'a': 1})", URL=peer.address)
    assert peer.taken == [{"a": 1}]


def test_a_program_ends_in_peace_while_its_callback_is_called(peer: Recorder, program: Program) -> None:
    peer.always("*", lambda _asked: BUSY)
    done = program.run(
        """
        import millpond, os
        shipper = millpond.Shipper(
            os.environ["URL"], on_failure=lambda failure: sum(range(1000)), retry_delay_s=1e-6, retry_delay_s_max=1e-6,
            breaker_failures=1 << 31, shutdown_timeout_s=0.1,
        )
        shipper.ship(1)
        shipper.flush(0.1)
        """,
        URL=peer.address,
    )
    assert "1 records could not be delivered before the end of the program" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(peer.requests) > 1


@pytest.mark.skipif(os.name == "nt", reason="no SIGTERM here")
def test_sigterm_delivers_what_was_shipped(peer: Recorder, program: Program) -> None:
    done = program.run(
        """
        import millpond, os, signal
        millpond.Shipper(os.environ["URL"], batch_age_s=3600).ship("shipped")
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()
        """,
        URL=peer.address,
        check=False,
    )
    assert (done.returncode, peer.taken) == (-15, ["shipped"])


@needs_fork
def test_a_forked_child_delivers_its_own_and_leaves_that_of_its_parent(peer: Recorder, program: Program) -> None:
    program.run(
        """
        import millpond, multiprocessing, os, sys
        shipper = millpond.Shipper(os.environ["URL"], batch_age_s=3600)

        def work(name):
            assert shipper.metrics()["accepted"] == 0
            shipper.ship(name)

        shipper.ship("of the parent")
        child = os.fork()
        if child == 0:
            work("of a fork")
            shipper.flush()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        process = multiprocessing.get_context("fork").Process(target=work, args=("of a process",))
        process.start()
        process.join()
        assert process.exitcode == 0
        """,
        URL=peer.address,
    )
    assert sorted(peer.taken) == ["of a fork", "of a process", "of the parent"]


def test_what_a_process_leaves_in_the_spool_the_next_one_delivers_as_it_was(
    peer: Recorder, program: Program, tmp_path: Path
) -> None:
    peer.always("*", lambda _asked: BUSY)
    code = """
        import millpond, os
        shipper = millpond.Shipper(os.environ["URL"], spool_dir=os.environ["SPOOL"], shutdown_timeout_s=0.1)
    """
    spool = str(tmp_path / "spool")
    program.run(code + "    shipper.ship({'n': 1}); shipper.ship({'n': 2})", URL=peer.address, SPOOL=spool)
    assert peer.taken == []
    peer.always("*", lambda _asked: Answer())
    # A client with the same directory has nothing to do with it.
    millpond.Client(endpoint=program.server.url, spool_dir=spool).close(PATIENCE_S)
    assert program.server.records == []
    program.run(
        code + "    shipper.flush(30); shipper.ship({'n': 3}); shipper.flush(30)", URL=peer.address, SPOOL=spool
    )
    assert peer.wait_for_entries(3) == [{"n": 1}, {"n": 2}, {"n": 3}]


# Options.


@pytest.mark.parametrize(
    ("url", "options", "message"),
    [
        ("localhost/x", {}, r"Shipper\(url\) is 'localhost/x' \(str\), expected a whole address such as"),
        (b"http://h/x", {}, r"Shipper\(url\) is b'http://h/x' \(bytes\)"),
        ("http://secret@h/x", {}, r"Shipper\(url\) has credentials in it, expected a whole address [^@]*$"),
        ("http://h", {"headers": {"a": "sec\nret"}}, r"the header `a` has a character that no header can carry$"),
        ("http://h", {"headers": {"a": 1}}, r"Shipper\(headers=…\) is … \(dict\), expected a mapping of strings"),
        ("http://h", {"prefix": b"["}, r"Shipper\(prefix=…\) is of type bytes, expected a string"),
        ("http://h", {"refused": "no"}, r"Shipper\(refused=…\) is 'no', expected keep or drop"),
        ("http://h", {"on_failure": 1}, r"Shipper\(on_failure=…\) is 1, expected a function"),
        ("http://h", {"batch_age_s": "1"}, r"Shipper\(batch_age_s=…\) is '1' \(str\), expected a number of seconds"),
        ("http://h", {"mode": "development"}, r"Shipper\(mode=…\) is 'development' \(str\), expected normal or silent"),
        ("http://h", {"ca_file": "/nowhere/ca.pem"}, r"CA certificates"),
    ],
)
def test_a_wrong_option_says_what_where_and_what_was_expected(url: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(millpond.ConfigurationError, match=message) as raised:
        millpond.Shipper(url, **options)
    assert "secret" not in str(raised.value)


def test_only_options_of_delivery_are_options_of_a_shipper(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TypeError, match="there is no option `service`"):
        millpond.Shipper("http://h", service="x")  # type: ignore[call-arg]
    assert set(typing.get_type_hints(ShipperOptions)) == {option.name for option in SHIPPER_OPTIONS}
    # The environment is about the server of Millpond.
    monkeypatch.setenv("MILLPOND_COMPRESSION", "zstd")
    monkeypatch.setenv("MILLPOND_MODE", "nonsense")
    assert shipper_settings_from({}).native == {}


def test_every_option_of_a_shipper_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs/python/options.md").read_text(encoding="utf-8")
    _, _, text = page.partition("## Options of a shipper")
    docstring = str(millpond.Shipper.__doc__)
    for option in SHIPPER_OPTIONS:
        assert f":param {option.name}: {option.meaning}; default: {option.default_shown}" in docstring
        assert f"`{option.name}`" in text

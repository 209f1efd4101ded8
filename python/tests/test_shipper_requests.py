"""Other requests to the server that a shipper delivers to, and its events."""

from __future__ import annotations

import asyncio
import threading

import pytest

import millpond
from recording import Answer, Recorder, Request
from running import PATIENCE_S, eventually
from shipping import Made

BUSY = Answer(503, "busy")
STREAM = {"content-type": "text/event-stream", "connection": "close"}


def test_a_request_has_the_same_headers_and_any_answer_is_one(peer: Recorder, made: Made) -> None:
    shipper = made(headers={"X-Api-Key": "k"})
    peer.answer("*", Answer(404, "é", {"X-Said": "yes"}), Answer(), Answer())
    answer = shipper.request("GET", f"{peer.address}/out?q=1", headers={"X-More": "m"})
    assert (answer.status, answer.body, answer.headers["x-said"]) == (404, "é", "yes")
    assert shipper.request("POST", f"{peer.address}/out", '{"a": 1}', timeout=PATIENCE_S).status == 200
    assert shipper.request("PUT", f"{peer.address}/out", b"\xff", headers={"x-api-key": "other"}).status == 200
    get, post, put = peer.requests
    assert (get.method, get.path, get.query, get.headers["x-api-key"]) == ("GET", "/out", {"q": ["1"]}, "k")
    assert get.headers["x-more"] == "m"
    assert "content-type" not in get.headers
    assert (post.body, post.headers["content-type"]) == (b'{"a": 1}', "application/json")
    assert (put.method, put.body, put.headers["x-api-key"]) == ("PUT", b"\xff", "other")


def test_a_request_without_an_answer_is_a_connection_error(peer: Recorder, made: Made) -> None:
    shipper = made()
    peer.answer("*", Answer(is_lost=True))
    with pytest.raises(ConnectionError, match="can't reach"):
        shipper.request("POST", peer.address, "{}")
    held = threading.Event()

    def late(_asked: Request) -> Answer:
        held.wait(PATIENCE_S)
        return Answer()

    peer.always("*", late)
    with pytest.raises(ConnectionError, match="in time") as raised:
        shipper.request("GET", peer.address, timeout=0.05)
    held.set()
    assert isinstance(raised.value, TimeoutError)
    for method, url in [("GET", "nonsense"), ("G ET", peer.address)]:
        with pytest.raises(ValueError, match="can't write the request"):
            shipper.request(method, url)
    with pytest.raises(millpond.ConfigurationError, match=r"request\(headers=…\) is … \(dict\)"):
        shipper.request("GET", peer.address, headers={"a": 1})  # type: ignore[dict-item]


def test_a_request_is_tried_again_with_one_key_as_often_as_it_says(peer: Recorder, made: Made) -> None:
    shipper = made(retry_delay_s=0.001, retry_delay_s_max=0.001)
    peer.answer("*", BUSY, Answer(is_lost=True), Answer(), BUSY, BUSY)
    assert shipper.request("POST", peer.address, "[1]", attempts_max=5).status == 200
    assert asyncio.run(shipper.request_async("POST", peer.address, "[1]", attempts_max=2)).status == 503
    keys = [asked.headers["idempotency-key"] for asked in peer.requests]
    assert len(set(keys[:3])) == len(set(keys[3:])) == 1
    assert keys[0] != keys[3]
    for wrong in (0, 1.5, 1 << 32):
        with pytest.raises(ValueError, match="expected a whole number from 1 on"):
            shipper.request("GET", peer.address, attempts_max=wrong)  # type: ignore[arg-type]


def test_a_request_of_asyncio_ends_when_its_task_is_cancelled(peer: Recorder, made: Made) -> None:
    shipper = made()
    held, came = threading.Event(), threading.Event()

    def late(_asked: Request) -> Answer:
        came.set()
        held.wait(PATIENCE_S)
        return Answer()

    async def main() -> None:
        answer = await shipper.request_async("GET", peer.address)
        assert answer.status == 200
        peer.always("*", late)
        task = asyncio.ensure_future(shipper.request_async("GET", peer.address))
        while not came.is_set():
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    held.set()


def test_events_come_over_as_many_connections_as_it_takes(peer: Recorder, made: Made) -> None:
    peer.answer(
        "*",
        Answer(200, "event: log\nid: 7\ndata: one\n\ndata: two\n\n", STREAM),
        BUSY,
        Answer(200, "data: three\n\n", STREAM),
    )
    shipper = made(headers={"X-Api-Key": "k"})
    with shipper.events(f"{peer.address}/events", headers={"X-More": "m"}) as events:
        assert [next(events) for _ in range(3)] == ["one", "two", "three"]
        eventually(lambda: len(peer.requests) >= 4, "it is not connected again")
    assert list(events) == []
    assert [asked.headers.get("last-event-id") for asked in peer.requests[:3]] == [None, "7", "7"]
    assert {asked.headers["x-api-key"] + asked.headers["x-more"] for asked in peer.requests} == {"km"}


def test_events_are_stopped_by_another_thread_while_one_waits(peer: Recorder, made: Made) -> None:
    held = threading.Event()

    def silent(_asked: Request) -> Answer:
        held.wait(PATIENCE_S)
        return Answer()

    peer.always("*", silent)
    events = made().events(peer.address)
    found: list[list[str]] = []
    thread = threading.Thread(target=lambda: found.append(list(events)))
    thread.start()
    eventually(lambda: bool(peer.requests), "it is not connected")
    events.stop()
    thread.join(PATIENCE_S)
    held.set()
    assert found == [[]]


def test_events_that_can_not_begin_or_are_refused_raise(peer: Recorder, made: Made) -> None:
    shipper = made()
    peer.answer("*", Answer(is_lost=True), Answer(403, '{"error": "no"}'), Answer())
    with pytest.raises(ConnectionError, match="can't reach"):
        next(shipper.events(peer.address))
    with pytest.raises(millpond.RefusedError, match="no") as raised:
        next(shipper.events(peer.address))
    assert raised.value.status == 403
    with pytest.raises(ConnectionError, match="expected a stream"):
        next(shipper.events(peer.address))

"""Reading under asyncio: nothing blocks the loop, what is cancelled stops, and loops may come and go."""

from __future__ import annotations

import asyncio
import gc
import threading

import pytest

import millpond
from log_server import PATIENCE_S, LogServer
from millpond._read_errors import AccessError, QueryError, RefusedError


@pytest.fixture
def reading(logs: LogServer) -> millpond.AsyncClient:
    return millpond.AsyncClient(endpoint=logs.url)


async def until_requested(logs: LogServer, count: int) -> None:
    while len(logs.requests) < count:
        await asyncio.sleep(0.005)


def test_every_call_is_a_coroutine(logs: LogServer, reading: millpond.AsyncClient) -> None:
    logs.add(trace_id="t")
    logs.statistics = {"interval": "5m", "total": 1, "timeseries": [], "top_services": [], "top_errors": []}

    async def main() -> None:
        assert [log.id for log in await reading.query("q", level="info", limit=3)] == ["1"]
        assert [log.id for log in await reading.by_trace_id("t")] == ["1"]
        assert (await reading.aggregated(interval="5m")).total == 1
        assert (await reading.ingest_raw("text", "a", service="s", tags=["b"])).accepted == 1
        logs.refuse(400, "invalid_query", "at 3")
        with pytest.raises(QueryError, match="at 3"):
            await reading.query("(")
        with pytest.raises(TypeError, match="from_ is 5"):
            await reading.query(from_=5)  # type: ignore[arg-type]

    asyncio.run(main())
    assert logs.requests[0].parameters == {"q": "q", "level": "info", "limit": "3"}
    assert logs.requests[3].parameters == {"format": "text", "service": "s", "tags": "b"}


def test_many_requests_run_at_the_same_time(logs: LogServer, reading: millpond.AsyncClient) -> None:
    logs.hangs = True

    async def main() -> None:
        tasks = [asyncio.create_task(reading.query()) for _ in range(8)]
        await asyncio.wait_for(until_requested(logs, 8), PATIENCE_S)
        for task in tasks:
            task.cancel()
        assert all(
            isinstance(end, asyncio.CancelledError) for end in await asyncio.gather(*tasks, return_exceptions=True)
        )

    asyncio.run(main())
    logs.wait(lambda: logs.left == 8, "closed connections")


def test_a_call_that_takes_too_long_is_given_up_and_its_connection_closed(
    logs: LogServer, reading: millpond.AsyncClient
) -> None:
    logs.hangs = True

    async def main() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(reading.query(), 0.05)

    asyncio.run(main())
    logs.wait(lambda: logs.left == len(logs.requests), "closed connection")


def test_a_raw_body_whose_task_is_cancelled_is_not_sent_again(logs: LogServer, reading: millpond.AsyncClient) -> None:
    for _ in range(1000):
        logs.refuse(503, "overloaded", "later")

    async def main() -> None:
        task = asyncio.create_task(reading.ingest_raw("text", "a"))
        await asyncio.wait_for(until_requested(logs, 1), PATIENCE_S)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert no_thread_is_left()


def no_thread_is_left() -> bool:
    for thread in threading.enumerate():
        if thread.name == "millpond-read":
            thread.join(PATIENCE_S)
    return not any(thread.name == "millpond-read" for thread in threading.enumerate())


def test_all_pages_are_one_async_iterator(logs: LogServer, reading: millpond.AsyncClient) -> None:
    for _ in range(5):
        logs.add()
    logs.damaged = ["a.parquet: torn"]

    async def main() -> None:
        found = reading.logs(page_size=2, limit=4)
        assert [log.id async for log in found] == ["5", "4", "3", "2"]
        assert found.damaged == ("a.parquet: torn",)

    asyncio.run(main())


def test_all_pages_become_one_frame(logs: LogServer, reading: millpond.AsyncClient) -> None:
    pytest.importorskip("pyarrow")
    for _ in range(5):
        logs.add()

    async def main() -> None:
        found = reading.logs(page_size=2)
        assert (await found.__anext__()).id == "5"
        assert (await found.to_arrow()).column("id").to_pylist() == ["4", "3", "2", "1"]
        if pytest.importorskip("pandas"):
            assert list((await reading.logs().to_pandas())["id"]) == ["5", "4", "3", "2", "1"]
        if pytest.importorskip("polars"):
            assert (await reading.logs().to_polars())["id"].to_list() == ["5", "4", "3", "2", "1"]

    asyncio.run(main())


def test_a_stream_gives_what_is_stored_from_now_on_and_breaks_unseen(
    logs: LogServer, reading: millpond.AsyncClient
) -> None:
    async def main() -> None:
        async with reading.stream(resume_after="0") as stream:
            logs.add()
            got = []
            async for log in stream:
                got.append(log.id)
                if len(got) == 5:
                    break
                logs.cut_streams()
                logs.add()
        assert (got, stream.position, stream.outage) == (["1", "2", "3", "4", "5"], "5", None)
        assert [log async for log in stream] == []

    asyncio.run(main())
    assert no_thread_is_left()


def test_more_logs_than_are_read_ahead_arrive_in_order_and_others_have_their_turn(
    logs: LogServer, reading: millpond.AsyncClient
) -> None:
    for _ in range(300):
        logs.add()

    async def main() -> None:
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(other())
        async with reading.stream(resume_after="0") as stream:
            assert [(await stream.__anext__()).id for _ in range(300)] == [str(number) for number in range(1, 301)]
        task.cancel()
        assert turns >= 300

    asyncio.run(main())


def test_a_wait_that_is_given_up_loses_no_log(logs: LogServer, reading: millpond.AsyncClient) -> None:
    async def main() -> None:
        async with reading.stream(resume_after="0") as stream:
            for _ in range(5):
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(stream.__anext__(), 0.01)
            logs.add()
            assert (await stream.__anext__()).id == "1"

    asyncio.run(main())


def test_a_task_that_is_cancelled_closes_its_stream(logs: LogServer, reading: millpond.AsyncClient) -> None:
    async def follow() -> None:
        async with reading.stream() as stream:
            async for _ in stream:
                pass

    async def main() -> None:
        task = asyncio.create_task(follow())
        await asyncio.wait_for(until_requested(logs, 1), PATIENCE_S)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    logs.wait(lambda: logs.left == 1, "closed stream")
    assert no_thread_is_left()


def test_a_stream_that_is_forgotten_closes_its_connection(logs: LogServer, reading: millpond.AsyncClient) -> None:
    logs.add()

    async def main() -> None:
        async for log in reading.stream(resume_after="0"):
            assert log.id == "1"
            break

    asyncio.run(main())
    gc.collect()
    logs.wait(lambda: logs.left == 1, "closed stream")


def test_an_error_that_time_will_not_heal_is_raised(logs: LogServer, reading: millpond.AsyncClient) -> None:
    logs.refuse(401, "invalid_key", "revoked")

    async def main() -> None:
        async with reading.stream() as stream:
            with pytest.raises(AccessError, match="revoked"):
                await stream.__anext__()
            with pytest.raises(StopAsyncIteration):
                await stream.__anext__()

    asyncio.run(main())


def test_a_second_loop_goes_on_with_a_stream_of_the_first(logs: LogServer, reading: millpond.AsyncClient) -> None:
    stream = reading.stream(resume_after="0")

    async def give_up() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(stream.__anext__(), 0.05)

    async def go_on() -> str:
        return (await stream.__anext__()).id

    asyncio.run(give_up())
    logs.add()
    assert asyncio.run(go_on()) == "1"
    stream.stop()
    assert no_thread_is_left()


def test_a_loop_that_is_closed_in_the_middle_of_a_request_does_no_harm(
    logs: LogServer, reading: millpond.AsyncClient
) -> None:
    logs.hangs = True
    loop = asyncio.new_event_loop()
    task = loop.create_task(reading.query())
    loop.run_until_complete(until_requested(logs, 1))
    task.cancel()
    loop.run_until_complete(asyncio.wait([task]))
    loop.close()
    logs.hangs = False
    logs.add()
    assert len(asyncio.run(reading.query())) == 1
    assert no_thread_is_left()


def test_an_answer_for_a_loop_that_is_closed_is_dropped(logs: LogServer, reading: millpond.AsyncClient) -> None:
    stream = reading.stream()
    loop = asyncio.new_event_loop()
    task = loop.create_task(stream.__anext__())
    loop.run_until_complete(until_requested(logs, 1))
    task.cancel()
    loop.run_until_complete(asyncio.wait([task]))
    loop.close()
    stream.stop()
    assert no_thread_is_left()


def test_a_server_in_trouble_can_be_told_from_one_of_another_opinion(
    logs: LogServer, reading: millpond.AsyncClient
) -> None:
    logs.refuse(503, "overloaded", "later")

    async def main() -> None:
        with pytest.raises(RefusedError) as caught:
            await reading.query()
        assert caught.value.is_passing

    asyncio.run(main())

"""The channel: P3 and P4 on the smallest piece that makes them."""

from __future__ import annotations

import anyio
import pytest

from nbagent.events import AgentChoice, Event, StreamStopped
from nbagent.runtime.channel import Channel

pytestmark = pytest.mark.anyio


def _event(seq: int) -> Event:
    return AgentChoice(session_id="s", agent_name="a", stream_id="x", seq=seq, timestamp=0.0, content=str(seq))


def _terminal(seq: int) -> StreamStopped:
    return StreamStopped(session_id="s", agent_name="a", stream_id="x", seq=seq, timestamp=0.0, reason="completed")


async def _drain(channel: Channel) -> list[int]:
    got: list[int] = []
    with anyio.fail_after(5):
        while (event := await channel.receive()) is not None:
            got.append(event.seq)
    return got


async def test_p3_a_full_buffer_never_drops_the_terminal_event() -> None:
    channel = Channel(capacity=2)
    channel.push(_event(1))
    channel.push(_event(2))
    assert channel.full
    channel.close(_terminal(3))
    assert await _drain(channel) == [1, 2, 3]


async def test_p3_what_is_pushed_after_the_close_is_dropped() -> None:
    channel = Channel()
    channel.close(_terminal(1))
    channel.push(_event(2))
    channel.close(_terminal(3))
    assert await _drain(channel) == [1]
    assert await channel.receive() is None


async def test_p3_a_waiting_consumer_is_woken_by_the_close() -> None:
    channel = Channel()
    got: list[int] = []

    async def consume() -> None:
        got.extend(await _drain(channel))

    async with anyio.create_task_group() as group:
        group.start_soon(consume)
        await anyio.wait_all_tasks_blocked()
        channel.close(_terminal(1))
    assert got == [1]


async def test_p4_a_full_buffer_holds_the_producer_until_the_consumer_takes_one() -> None:
    channel = Channel(capacity=1)
    channel.push(_event(1))
    released = anyio.Event()

    async def produce() -> None:
        await channel.room()
        released.set()

    async with anyio.create_task_group() as group:
        group.start_soon(produce)
        await anyio.wait_all_tasks_blocked()
        assert not released.is_set()
        await channel.receive()
        with anyio.fail_after(5):
            await released.wait()


async def test_p4_a_producer_that_waits_for_room_is_released_by_the_close() -> None:
    channel = Channel(capacity=1)
    channel.push(_event(1))
    async with anyio.create_task_group() as group:
        group.start_soon(channel.room)
        await anyio.wait_all_tasks_blocked()
        channel.close(_terminal(2))
    assert not channel.full


@pytest.mark.parametrize("how", ["cancelled before the wake", "cancelled in the step of the wake"])
async def test_p4_of_several_who_wait_for_room_a_cancelled_one_takes_nobody_with_it(how: str) -> None:
    channel = Channel(capacity=1)
    channel.push(_event(1))
    released: list[str] = []

    async def produce(name: str) -> None:
        await channel.room()
        released.append(name)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(produce, "first")
            async with anyio.create_task_group() as doomed:
                doomed.start_soon(produce, "cancelled")
                await anyio.wait_all_tasks_blocked()
                group.start_soon(produce, "last")
                await anyio.wait_all_tasks_blocked()
                doomed.cancel_scope.cancel()
                if how == "cancelled in the step of the wake":
                    channel.take()
            if how == "cancelled before the wake":
                channel.take()
    assert sorted(released) == ["first", "last"]

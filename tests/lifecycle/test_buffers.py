"""The family, where the buffer is full when the stop comes: with a slow, an absent and a cancelled consumer."""

from __future__ import annotations

import anyio
import pytest

from nbagent.events import AgentChoice, Event, StreamStopped
from nbagent.hooks import HookContext
from nbagent.models import ToolCall
from nbagent.runtime import Runtime, Stream
from nbagent.runtime.channel import CAPACITY
from nbagent.session import Session
from tests.runtime.support import assert_nothing_left, assert_whole, drained, scripted

pytestmark = pytest.mark.anyio

WORDS = 1000


async def test_stop_under_a_full_buffer_with_a_slow_consumer() -> None:
    runtime, session = Runtime(scripted("word " * WORDS)), Session()
    events: list[Event] = []
    async with runtime.run_stream(session, "hi") as stream:
        with anyio.fail_after(5):
            async for event in stream:
                events.append(event)
                await anyio.lowlevel.checkpoint()
                if len(events) == 50:
                    await _until_full(stream)
                    stream.cancel()
                    assert stream.stopped is not None, "the stop waits for no consumer"
    assert_whole(events)
    assert CAPACITY < len(events) < WORDS
    assert_nothing_left(runtime, session)


async def test_stop_under_a_full_buffer_with_an_absent_consumer() -> None:
    runtime, session = Runtime(scripted("word " * WORDS)), Session()
    async with runtime.run_stream(session, "hi") as stream:
        await _until_full(stream)
        assert stream.stopped is None, "backpressure holds the producer"
        stream.cancel()
        assert stream.stopped is not None
        with anyio.fail_after(2):  # less than any grace
            await stream.join()
        assert not session.busy, "the turn is freed although nobody consumes"
        events = await drained(stream)
        assert_whole(events)
        assert len(events) < CAPACITY + 10
    assert_nothing_left(runtime, session)


async def test_stop_under_a_full_buffer_with_a_cancelled_but_draining_consumer() -> None:
    runtime, session = Runtime(scripted("word " * WORDS)), Session()
    events: list[Event] = []
    with anyio.CancelScope() as scope:
        async with runtime.run_stream(session, "hi") as stream:
            await _until_full(stream)
            scope.cancel()
            try:
                async for event in stream:
                    events.append(event)
                    await anyio.lowlevel.checkpoint()
            finally:
                stream.cancel()
                with anyio.CancelScope(shield=True):
                    events += await drained(stream)
    assert scope.cancelled_caught
    assert_whole(events)
    assert isinstance(events[-1], StreamStopped) and events[-1].reason == "cancelled"
    assert_nothing_left(runtime, session)


async def test_a_nested_stream_ends_although_its_parents_buffer_is_full() -> None:
    """What it does after its stop waits for no consumer either: its session_end hooks are told, its turn is freed."""
    ended = anyio.Event()

    def note(context: HookContext) -> None:
        ended.set()

    inner = scripted("word " * WORDS, name="inner", hooks={"session_end": note})
    call = ToolCall("transfer_task", {"agent": "inner", "task": "do it"})
    runtime, session = Runtime(scripted(call, "done", sub_agents=[inner])), Session()
    async with runtime.run_stream(session, "hi") as stream:
        await _until_full(stream)
        (_, child) = runtime.bridge.live
        child.cancel()
        with anyio.fail_after(2):  # less than any grace
            await child.join()
        assert ended.is_set() and stream.stopped is None and not child.session.busy
        await drained(stream)
    assert_nothing_left(runtime, session)


async def test_a_slow_consumer_gets_every_event() -> None:
    runtime = Runtime(scripted("word " * WORDS))
    async with runtime.run_stream(Session(), "hi") as stream:
        events: list[Event] = []
        async for event in stream:
            events.append(event)
            if len(events) % 100 == 0:
                await anyio.lowlevel.checkpoint()
    assert_whole(events)
    assert sum(isinstance(event, AgentChoice) for event in events) == WORDS


async def _until_full(stream: Stream) -> None:
    channel = stream._run.channel
    with anyio.fail_after(5):
        while not channel.full:
            await anyio.lowlevel.checkpoint()

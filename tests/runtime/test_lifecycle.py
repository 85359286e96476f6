"""The stream's lifecycle: P1 to P4 and P8, on every way in which a stream can end."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator

import anyio
import pytest

from nbagent.agent import Agent
from nbagent.errors import RunError, SessionBusy
from nbagent.events import (
    AgentChoice,
    Error,
    Event,
    ToolCallResponse,
    ToolCallStarted,
    UserMessage,
)
from nbagent.hooks import HookContext
from nbagent.models import ScriptedModel, ToolCall
from nbagent.ports import ModelChunk, ModelRequest
from nbagent.runtime import Runtime, live_runs
from nbagent.session import Session
from tests.runtime.support import (
    StalledModel,
    assert_nothing_left,
    assert_whole,
    calling,
    drained,
    events_of,
    inside,
    scripted,
    until,
)

pytestmark = pytest.mark.anyio


async def test_p1_the_bridge_knows_the_stream_while_it_lives() -> None:
    runtime, session = Runtime(scripted("hello")), Session()
    async with runtime.run_stream(session, "hi") as stream:
        assert runtime.bridge.current is stream
        assert_whole(await drained(stream))
        assert runtime.bridge.current is None
    assert_nothing_left(runtime, session)


class RaisingModel:
    """Fails before its first word."""

    name = "raising"

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelChunk]:
        raise ValueError("no weights")
        yield


async def test_a_model_that_raises_at_once_ends_in_error() -> None:
    runtime, session = Runtime(Agent("helper", model=RaisingModel())), Session()
    events = await events_of(runtime, session)
    assert_whole(events)
    assert isinstance(events[-2], Error)
    assert (events[-2].code, events[-2].message) == ("model_error", "raising failed: ValueError: no weights")
    assert_nothing_left(runtime, session)


async def test_p4_a_break_inside_async_with_cancels_the_producer_and_frees_the_turn() -> None:
    model = StalledModel()
    runtime, session = Runtime(Agent("helper", model=model)), Session()
    async with runtime.run_stream(session, "hi") as stream:
        await until(stream, AgentChoice)
        await inside(model.inside.wait)
    assert model.closed
    assert stream.stopped is not None and stream.stopped.reason == "cancelled"
    assert_nothing_left(runtime, session)


async def test_p4_a_handle_that_is_garbage_collected_cancels_the_producer() -> None:
    runtime, session = Runtime(Agent("helper", model=StalledModel())), Session()
    stream = await runtime.run_stream(session, "hi").__aenter__()
    (seen,) = live_runs()
    assert seen is stream
    done = stream._run.done
    del stream, seen
    gc.collect()
    with anyio.fail_after(5):
        await done.wait()
    assert_nothing_left(runtime, session)


async def test_p4_an_exception_in_the_consumer_cancels_the_producer_and_passes() -> None:
    runtime, session = Runtime(Agent("helper", model=StalledModel())), Session()
    with pytest.raises(ZeroDivisionError):
        async with runtime.run_stream(session, "hi"):
            _ = 1 / 0
    assert_nothing_left(runtime, session)


async def test_p2_cancel_returns_with_the_stream_already_stopped_and_its_call_answered() -> None:
    entered = anyio.Event()

    async def wait_for_ever() -> None:
        entered.set()
        await anyio.sleep_forever()

    runtime, session = Runtime(calling(wait_for_ever)), Session()
    async with runtime.run_stream(session, "hi") as stream:
        await inside(entered.wait)
        stream.cancel()
        assert stream.stopped is not None
        assert runtime.bridge.current is None
        events = await drained(stream)
        assert_whole(events)
        (response,) = [event for event in events if isinstance(event, ToolCallResponse)]
        assert response.is_error and response.state == "cancelled"
    assert_nothing_left(runtime, session)
    assert session.messages[-1].role == "tool"


async def test_p2_a_tool_that_ignores_its_cancellation_delays_neither_stop_nor_consumer() -> None:
    entered, release = anyio.Event(), asyncio.Event()

    async def stubborn() -> str:
        entered.set()
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return "too late"

    runtime, session = Runtime(calling(stubborn)), Session()
    async with runtime.run_stream(session, "hi") as stream:
        await inside(entered.wait)
        stream.cancel()
        assert_whole(await drained(stream))
        assert session.busy, "the turn is freed only after the producer has ended"
        release.set()
    assert "too late" not in str(session.messages)
    assert_nothing_left(runtime, session)


@pytest.mark.parametrize("early", [False, True])
async def test_p2_hurry_cuts_the_cleanup_short(early: bool) -> None:
    entered, release = anyio.Event(), asyncio.Event()

    async def cleans_up_for_ever() -> None:
        entered.set()
        try:
            await anyio.sleep_forever()
        finally:
            await release.wait()

    runtime, session = Runtime(calling(cleans_up_for_ever)), Session()
    stream = await runtime.run_stream(session, "hi").__aenter__()
    await inside(entered.wait)
    if early:
        stream.hurry()
        await anyio.wait_all_tasks_blocked()
    stream.cancel("interrupted")
    if not early:
        stream.hurry()
    with anyio.fail_after(2):
        await stream.join()
    assert not session.busy
    release.set()
    await anyio.wait_all_tasks_blocked()
    assert_nothing_left(runtime, session)


async def test_p2_a_cancelled_tool_may_await_its_cleanup() -> None:
    entered, cleaned = anyio.Event(), anyio.Event()

    async def polite() -> None:
        entered.set()
        try:
            await anyio.sleep_forever()
        finally:
            await asyncio.sleep(0)
            cleaned.set()

    runtime = Runtime(calling(polite))
    async with runtime.run_stream(Session(), "hi") as stream:
        await inside(entered.wait)
        stream.cancel()
    assert cleaned.is_set()


async def test_p2_a_run_cancelled_before_its_task_began_still_starts_and_stops() -> None:
    runtime, session = Runtime(scripted("never said")), Session()
    stream = runtime.run_stream(session, "hi")
    events = aiter(stream)
    stream.cancel()
    got = [event async for event in events]
    assert_whole(got)
    assert len(got) == 2
    await stream.join()
    assert_nothing_left(runtime, session)
    assert session.messages == []


async def test_p2_a_task_cancelled_from_outside_is_finalized() -> None:
    runtime, session = Runtime(scripted("never said")), Session()
    stream = runtime.run_stream(session, "hi")
    events = aiter(stream)
    (task,) = [task for task in asyncio.all_tasks() if stream.id in task.get_name()]
    task.cancel()
    assert_whole([event async for event in events])
    assert_nothing_left(runtime, session)


class Deaf:
    """An observer that does nothing."""

    lossless = True

    async def on_event(self, event: Event) -> None: ...


async def test_p8_a_second_stream_on_a_busy_session_is_refused_and_harms_nothing() -> None:
    model = StalledModel()
    runtime, session = Runtime(Agent("helper", model=model)), Session()
    async with runtime.run_stream(session, "hi") as stream:
        before = asyncio.all_tasks()
        with pytest.raises(SessionBusy, match="under way"):
            async with runtime.run_stream(session, "me too", observers=[Deaf()]):
                raise AssertionError("not reached")
        await anyio.wait_all_tasks_blocked()
        assert asyncio.all_tasks() == before, "no observer's task is left"
        assert runtime.bridge.current is stream
        assert stream.stopped is None
    assert_nothing_left(runtime, session)


async def test_p8_a_turn_cut_short_plays_the_same_turn_again() -> None:
    entered = anyio.Event()

    async def wait_for_ever() -> None:
        entered.set()
        await anyio.sleep_forever()

    agent = scripted("first", ToolCall("wait_for_ever"), "after the tool", tools=[wait_for_ever])
    runtime, session = Runtime(agent), Session()
    assert (await runtime.run(session, "one")).text == "first"
    for _ in range(3):
        entered = anyio.Event()
        async with runtime.run_stream(session, "two") as stream:
            await until(stream, ToolCallStarted)
            await inside(entered.wait)
    assert_nothing_left(runtime, session)
    assert sum(message.interrupted for message in session.messages) == 3


async def test_close_ends_streams_that_nobody_consumes() -> None:
    runtime, session = Runtime(Agent("helper", model=StalledModel())), Session()
    stream = await runtime.run_stream(session, "hi").__aenter__()
    await runtime.aclose()
    assert stream.stopped is not None
    assert_nothing_left(runtime, session)


async def test_session_hooks_come_in_a_pair_and_the_last_after_the_close() -> None:
    calls: list[tuple[str, str, bool]] = []

    def note(context: HookContext) -> None:
        calls.append((context.point, context.reason, runtime.bridge.current is None))

    agent = scripted("hello", hooks={"session_start": note, "session_end": [note]})
    runtime = Runtime(agent)
    await runtime.run(Session(), "hi")
    assert calls == [("session_start", "", False), ("session_end", "completed", True)]


async def test_the_script_past_its_end_is_a_model_error_and_the_session_goes_on() -> None:
    runtime, session = Runtime(scripted("only this")), Session()
    await runtime.run(session, "one")
    with pytest.raises(RunError, match="all of them are played"):
        await runtime.run(session, "two")
    assert [message.role for message in session.messages] == ["user", "assistant", "user"]


async def test_each_run_shows_the_users_message_once() -> None:
    events = await events_of(Runtime(Agent("helper", model=ScriptedModel(["hello"]))), prompt="what?")
    assert [event.content for event in events if isinstance(event, UserMessage)] == ["what?"]

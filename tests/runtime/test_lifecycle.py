"""The stream's lifecycle: P1 to P4 and P8, on every way in which a stream can end."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator

import anyio
import pytest

from nbagent.agent import Agent
from nbagent.errors import RunError, SessionBusy, ToolsUnavailable
from nbagent.events import (
    AgentChoice,
    Error,
    Event,
    StreamStopped,
    SubSessionCompleted,
    SubSessionStarted,
    ToolCallResponse,
    ToolCallStarted,
    UserMessage,
)
from nbagent.hooks import HookContext, HookResult
from nbagent.models import ScriptedModel, ToolCall
from nbagent.ports import Asker, ModelChunk, ModelRequest, Tool
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


class BrokenToolset:
    """A toolset that cannot be opened."""

    name = "broken"

    def __init__(self, error: Exception) -> None:
        self._error = error

    def open(self, asker: Asker) -> BrokenToolset:
        return self

    async def __aenter__(self) -> list[Tool]:
        raise self._error

    async def __aexit__(self, *exc: object) -> None:
        raise AssertionError("never entered")

    async def aclose(self) -> None:
        pass


@pytest.mark.parametrize("error", [ToolsUnavailable("no such command: nope"), OSError("disk on fire")])
async def test_tools_fail_before_the_loop(error: Exception) -> None:
    runtime, session = Runtime(scripted("never said", toolsets=[BrokenToolset(error)])), Session()
    events = await events_of(runtime, session)
    assert_whole(events)
    assert isinstance(events[-2], Error) and events[-2].code == "tools_unavailable"
    assert str(error) in events[-2].message
    assert isinstance(events[-1], StreamStopped) and events[-1].reason == "error"
    assert_nothing_left(runtime, session)


async def test_a_user_prompt_submit_hook_stops_the_run() -> None:
    def no(context: HookContext) -> HookResult:
        return HookResult(block=True, reason="not on Sundays")

    runtime, session = Runtime(scripted("never said", hooks={"user_prompt_submit": [no]})), Session()
    events = await events_of(runtime, session)
    assert_whole(events)
    assert isinstance(events[-1], StreamStopped)
    assert (events[-1].reason, events[-1].message) == ("hook_blocked", "not on Sundays")
    assert session.messages == []
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


async def test_run_with_an_error_event_drains() -> None:
    runtime, session = Runtime(Agent("helper", model=RaisingModel())), Session()
    with pytest.raises(RunError) as caught:
        await runtime.run(session, "hi")
    assert caught.value.code == "model_error"
    assert caught.value.result.reason == "error"
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


async def test_p4_break_out_of_async_for_frees_the_turn() -> None:
    runtime, session = Runtime(Agent("helper", model=StalledModel())), Session()
    stream = runtime.run_stream(session, "hi")
    async for event in stream:
        if isinstance(event, AgentChoice):
            break
    with anyio.fail_after(5):
        await stream.join()
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


async def test_p3_stop_under_a_full_buffer_with_an_absent_consumer() -> None:
    runtime, session = Runtime(scripted("word " * 1000)), Session()
    async with runtime.run_stream(session, "hi") as stream:
        await anyio.wait_all_tasks_blocked()
        assert stream.stopped is None, "backpressure should hold the producer"
        stream.cancel()
        assert stream.stopped is not None
        events = await drained(stream)
        assert_whole(events)
        assert len(events) < 200
    assert_nothing_left(runtime, session)


async def test_p3_a_slow_consumer_gets_every_event() -> None:
    runtime = Runtime(scripted("word " * 1000))
    async with runtime.run_stream(Session(), "hi") as stream:
        events: list[Event] = []
        async for event in stream:
            events.append(event)
            if len(events) % 100 == 0:
                await anyio.lowlevel.checkpoint()
    assert_whole(events)
    assert sum(isinstance(event, AgentChoice) for event in events) == 1000


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


async def test_a_stalled_model_stream_is_cancellable() -> None:
    model = StalledModel()
    runtime, session = Runtime(Agent("helper", model=model)), Session()
    async with runtime.run_stream(session, "hi") as stream:
        await inside(model.inside.wait)
        threading.Thread(target=stream.cancel).start()
        assert_whole(await drained(stream))
    assert model.closed
    (_, partial) = session.messages
    assert (partial.content, partial.interrupted) == ("half a ", True)
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


async def test_streams_of_two_sessions_end_out_of_order() -> None:
    runtime = Runtime(Agent("helper", model=StalledModel()))
    first = await runtime.run_stream(Session(), "1").__aenter__()
    second = await runtime.run_stream(Session(), "2").__aenter__()
    third = await runtime.run_stream(Session(), "3").__aenter__()
    assert runtime.bridge.current is third
    second.cancel()
    assert runtime.bridge.current is third
    third.cancel()
    assert runtime.bridge.current is first, "never the dead second"
    first.cancel()
    assert runtime.bridge.current is None
    for stream in (first, second, third):
        await stream.join()
    assert_nothing_left(runtime)


async def test_p7_a_nested_stop_restores_the_parent_and_a_parents_stop_ends_the_child() -> None:
    child_model = StalledModel()
    inner = Agent("inner", model=child_model)
    seen: list[object] = []

    async def nest() -> str:
        async with runtime.run_stream(Session(), "short") as child:
            seen.append(child.parent)
            child.cancel()
        seen.append(runtime.bridge.current)
        await Runtime(inner).run(Session(), "for ever")
        return "not reached"

    runtime, session = Runtime(calling(nest)), Session()
    async with runtime.run_stream(session, "hi") as stream:
        await inside(child_model.inside.wait)
        assert seen == [stream, stream]
        assert len(live_runs()) == 2
        stream.cancel()
        assert all(run.stopped is not None for run in live_runs())
        events = await drained(stream)
    assert_whole(events)
    begun = [event.child_stream_id for event in events if isinstance(event, SubSessionStarted)]
    ended = [(e.child_stream_id, e.reason) for e in events if isinstance(e, SubSessionCompleted)]
    assert ended == [(child, "cancelled") for child in begun] and len(begun) == 2
    assert child_model.closed
    assert_nothing_left(runtime, session)


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

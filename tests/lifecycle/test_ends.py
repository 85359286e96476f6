"""The family, where a stream ends: before it spoke, by an error, by its consumer, in the midst of a tool or a word."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import anyio
import pytest

from nbagent.agent import Agent
from nbagent.errors import RunError, StreamEnded, ToolsUnavailable
from nbagent.events import AgentChoice, Error, Event, StreamStopped, ToolCallOutput, ToolCallResponse
from nbagent.hooks import HookContext, HookResult
from nbagent.models import ToolCall
from nbagent.ports import Asker, ModelChunk, ModelRequest, TextDelta, Tool, current_call
from nbagent.runtime import Runtime, Stream
from nbagent.runtime.asking import cancelled
from nbagent.session import Session
from tests.runtime.support import (
    NAME_SCHEMA,
    StalledModel,
    assert_nothing_left,
    assert_whole,
    calling,
    drained,
    events_of,
    inside,
    scripted,
)

pytestmark = pytest.mark.anyio


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


class BreakingModel:
    """Says more words than the channel holds, and then fails."""

    name = "breaking"

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelChunk]:
        for n in range(300):
            yield TextDelta(f"{n} ")
        raise ValueError("no weights")


async def test_run_with_an_error_event_drains() -> None:
    seen: list[Event] = []

    class Seeing:
        lossless = True

        async def on_event(self, event: Event) -> None:
            await anyio.lowlevel.checkpoint()  # it falls behind, so that it has to be waited for
            seen.append(event)

    runtime, session = Runtime(Agent("helper", model=BreakingModel())), Session()
    with anyio.fail_after(5), pytest.raises(RunError) as caught:
        await runtime.run(session, "hi", observers=[Seeing()])
    assert caught.value.code == "model_error"
    assert caught.value.result.reason == "error"
    assert caught.value.result.text.split() == [str(n) for n in range(300)], "the partial text is kept"
    assert_whole(seen)
    assert_nothing_left(runtime, session)


async def test_run_with_an_error_event_in_mid_stream_goes_on_to_the_end() -> None:
    def fails() -> None:
        raise ValueError("told to")

    words = "word " * 300  # more than the channel holds, so that they are not said unless they are heard
    with anyio.fail_after(5):
        result = await Runtime(scripted(ToolCall("fails"), words, tools=[fails])).run(Session(), "hi")
    assert (result.reason, result.text) == ("completed", words)


async def test_a_stalled_model_stream_is_cancellable() -> None:
    model = StalledModel()
    runtime, session = Runtime(Agent("helper", model=model)), Session()
    async with runtime.run_stream(session, "hi") as stream:
        await inside(model.inside.wait)
        thread = threading.Thread(target=stream.cancel)
        thread.start()
        assert_whole(await drained(stream))
        with anyio.fail_after(2):  # less than any grace
            await stream.join()
        await anyio.to_thread.run_sync(thread.join, 5)
    assert model.closed
    (_, partial) = session.messages
    assert (partial.content, partial.interrupted) == ("half a ", True)
    assert_nothing_left(runtime, session)


async def test_break_out_of_async_for_frees_the_turn() -> None:
    model = StalledModel()
    runtime, session = Runtime(Agent("helper", model=model)), Session()
    stream = runtime.run_stream(session, "hi")
    async for event in stream:
        if isinstance(event, AgentChoice):
            break
    with anyio.fail_after(5):
        await stream.join()
    assert model.closed
    assert_nothing_left(runtime, session)
    assert (await Runtime(scripted("again")).run(session, "and now?")).text == "again"


async def test_retained_sink_after_close() -> None:
    kept: list[Callable[[str, Mapping[str, Any] | None], None]] = []
    askers: list[Asker] = []

    async def keeps() -> str:
        context = current_call.get()
        assert context is not None
        kept.append(context.emit_output)
        askers.append(context.asker)
        return "kept"

    runtime, session = Runtime(calling(keeps)), Session()
    stream = runtime.run_stream(session, "hi")
    async with stream:
        events = await drained(stream)
        await stream.join()
        before = list(session.messages)
        kept[0]("too late", None)
        await anyio.to_thread.run_sync(kept[0], "too late from a thread", {"text/plain": "late"})
        stream._run.record(ToolCallOutput, tool_call_id="call", content="recorded late")
        await stream._run.emit(AgentChoice, content="said late")
        with anyio.fail_after(2):
            assert (await askers[0].ask("Too late?", NAME_SCHEMA)).action == "cancel"
        with pytest.raises(StreamEnded):
            stream.steer("too late")
        await anyio.wait_all_tasks_blocked()
        assert await drained(stream) == [], "sending after the close is dropped, never raised"
    assert_whole(events)
    assert session.messages == before
    assert_nothing_left(runtime, session)


async def _interrupted(stream: Stream) -> None:
    stream.cancel("interrupted")


async def _closed(stream: Stream) -> None:
    await stream.runtime.aclose()  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("end", [_interrupted, _closed])
async def test_interrupted_tools_not_left_running(end: Callable[[Stream], Any]) -> None:
    running: set[str] = set()
    entered, on_thread, nested = anyio.Event(), threading.Event(), anyio.Event()

    async def waits() -> None:
        running.add("async")
        entered.set()
        try:
            await anyio.sleep_forever()
        finally:
            await asyncio.sleep(0)  # its cleanup takes a moment
            running.discard("async")

    def works() -> None:
        running.add("thread")
        on_thread.set()
        while not cancelled():
            threading.Event().wait(0.001)
        running.discard("thread")

    async def nests() -> None:
        running.add("nested")
        try:
            async with runtime.run_stream(Session(), "go") as child:
                nested.set()
                await drained(child)
        finally:
            running.discard("nested")

    agent = scripted([ToolCall("waits"), ToolCall("works"), ToolCall("nests")], "done", tools=[waits, works, nests])
    inner = StalledModel()
    outer, runtime, session = Runtime(agent), Runtime(Agent("inner", model=inner)), Session()
    async with outer.run_stream(session, "hi") as stream:
        await inside(entered.wait)
        assert await anyio.to_thread.run_sync(on_thread.wait, 5)
        await inside(nested.wait)
        await end(stream)
        events = await drained(stream)
    states = {event.name: event.state for event in events if isinstance(event, ToolCallResponse)}
    assert states.pop("works") in ("abandoned", "cancelled"), "its thread may have heard of it at once"
    assert states == {"waits": "cancelled", "nests": "cancelled"}
    with anyio.fail_after(2):
        while "thread" in running:
            await anyio.lowlevel.checkpoint()
    assert running == set()
    assert inner.closed
    assert_nothing_left(outer, session)

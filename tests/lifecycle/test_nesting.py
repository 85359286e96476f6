"""The family, where streams are nested in streams, or overlap: what is current is live, in whichever order they end."""

from __future__ import annotations

import asyncio

import anyio
import pytest

from nbagent.agent import Agent
from nbagent.events import StopReason, StreamStopped, SubSessionCompleted, SubSessionStarted
from nbagent.runtime import Runtime, Stream, live_runs
from nbagent.session import Session
from tests.runtime.support import (
    StalledModel,
    assert_nothing_left,
    assert_whole,
    calling,
    drained,
    inside,
    scripted,
)

pytestmark = pytest.mark.anyio


async def test_overlapping_streams_end_out_of_order() -> None:
    runtime = Runtime(Agent("helper", model=StalledModel()))
    sessions = [Session() for _ in range(3)]
    first, second, third = [await runtime.run_stream(session, "hi").__aenter__() for session in sessions]
    assert runtime.bridge.current is third
    second.cancel()
    assert runtime.bridge.current is third
    third.cancel()
    assert runtime.bridge.current is first, "never the dead second"
    first.cancel()
    assert runtime.bridge.current is None
    for stream in (first, second, third):
        await stream.join()
    assert_nothing_left(runtime, *sessions)


async def test_nested_stop_restores_the_parent() -> None:
    seen: list[object] = []

    async def nest() -> None:
        for end in ("completed", "cancelled"):
            async with runtime.run_stream(Session(), end, model=scripted("short").model) as child:
                seen.append(child.parent is runtime.bridge.live[0] and runtime.bridge.current is child)
                if end == "cancelled":
                    child.cancel()
                await drained(child)
            assert child.stopped is not None and child.stopped.reason == end
            seen.append(runtime.bridge.current)

    runtime, session = Runtime(calling(nest)), Session()
    async with runtime.run_stream(session, "hi") as stream:
        events = await drained(stream)
        assert seen == [True, stream] * 2
    assert_whole(events)
    assert isinstance(events[-1], StreamStopped) and events[-1].reason == "completed"
    assert_nothing_left(runtime, session)


@pytest.mark.parametrize("reason", ["cancelled", "interrupted"])
async def test_a_parents_stop_ends_its_children_depth_first(reason: StopReason) -> None:
    model = StalledModel()

    async def nest() -> None:
        await Runtime(Agent("innermost", model=model)).run(Session(), "for ever")

    async def nest_twice() -> None:
        await Runtime(calling(nest)).run(Session(), "for ever")

    runtime, session = Runtime(calling(nest_twice)), Session()
    async with runtime.run_stream(session, "hi") as stream:
        await inside(model.inside.wait)
        (_, inner, innermost) = live_runs()
        stream.cancel(reason)
        stops = [run.stopped for run in (innermost, inner, stream)]
        assert [stop and stop.reason for stop in stops] == [reason] * 3
        times = [stop.timestamp for stop in stops if stop is not None]
        assert times == sorted(times)
        events = await drained(stream)
    assert_whole(events)
    begun = [event.child_stream_id for event in events if isinstance(event, SubSessionStarted)]
    ended = [(event.child_stream_id, event.reason) for event in events if isinstance(event, SubSessionCompleted)]
    assert begun == [inner.id] and ended == [(inner.id, reason)]
    assert model.closed
    assert_nothing_left(runtime, session)


async def test_a_child_that_its_parents_good_end_cuts_short_has_not_completed() -> None:
    model, kept = StalledModel(), list[Stream]()

    async def starts_and_leaves() -> str:
        kept.append(await Runtime(Agent("inner", model=model)).run_stream(Session(), "for ever").__aenter__())
        await inside(model.inside.wait)
        return "it runs"

    runtime, session = Runtime(calling(starts_and_leaves)), Session()
    async with runtime.run_stream(session, "hi") as stream:
        events = await drained(stream)
        await kept[0].join()
    assert isinstance(events[-1], StreamStopped) and events[-1].reason == "completed"
    assert kept[0].result().reason == "cancelled" and kept[0].session.messages[-1].interrupted
    assert_nothing_left(runtime, session, kept[0].session)


def test_nested_streams_whose_loop_was_closed_over_them_are_dead_and_free_their_sessions() -> None:
    outer, inner = Session(), Session()

    class Deaf:
        lossless = True

        async def on_event(self, event: object) -> None: ...

    async def nest() -> None:
        async with Runtime(Agent("inner", model=StalledModel())).run_stream(inner, "hi") as child:
            await drained(child)

    async def begin() -> Stream:
        stream = await runtime.run_stream(outer, "hi", observers=[Deaf()]).__aenter__()
        with anyio.fail_after(5):
            while not inner.busy:
                await anyio.lowlevel.checkpoint()
        return stream

    runtime = Runtime(calling(nest))
    loop = asyncio.new_event_loop()
    stream = loop.run_until_complete(begin())
    pending = asyncio.all_tasks(loop)
    loop.close()
    try:
        assert asyncio.run(Runtime(scripted("hello")).run(Session(), "hi")).text == "hello"
        assert stream.stopped is not None
        assert_nothing_left(runtime, outer, inner)
    finally:
        for task in pending:
            task._log_destroy_pending = False  # pyright: ignore[reportAttributeAccessIssue]

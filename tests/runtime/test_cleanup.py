"""After the stop, and ends from outside: cleanup and its bounds, other loops, dead loops, signals."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from nbagent.agent import Agent
from nbagent.events import ElicitationRequest, Event, StreamStopped, ToolCallResponse, ToolCallStarted
from nbagent.hooks import HookContext
from nbagent.messages import CUT_SHORT
from nbagent.models import ToolCall
from nbagent.ports import Asker, ModelChunk, ModelRequest, TextDelta, Tool
from nbagent.runtime import Runtime, Stream, live_runs
from nbagent.runtime.asking import ask
from nbagent.runtime.output import CallOutput
from nbagent.runtime.sync import run_sync
from nbagent.session import Session
from tests.runtime.support import (
    NAME_SCHEMA,
    StalledModel,
    assert_nothing_left,
    assert_whole,
    calling,
    drained,
    inside,
    scripted,
    until,
)

pytestmark = pytest.mark.anyio


# ---------------------------------------------------------------- a full buffer


@pytest.mark.parametrize("words", range(119, 127))
async def test_p2_no_tool_begins_after_a_cancel_under_a_full_buffer(words: int) -> None:
    made: list[str] = []

    async def work() -> str:
        made.append("work")
        return "worked"

    runtime, session = Runtime(scripted(["w " * words, ToolCall("work")], "done", tools=[work])), Session()
    async with runtime.run_stream(session, "hi") as stream:
        await anyio.wait_all_tasks_blocked()
        before = list(made)
        stream.cancel()
        assert_whole(await drained(stream))
    assert made == before
    assert_nothing_left(runtime, session)


async def test_p2_a_cancel_between_two_announcements_answers_only_the_calls_announced() -> None:
    async def wait(n: int) -> None:
        await anyio.sleep_forever()

    calls = [ToolCall("wait", {"n": n}) for n in range(300)]
    runtime, session = Runtime(scripted(calls, "done", tools=[wait])), Session()
    async with runtime.run_stream(session, "hi") as stream:
        events: list[Event] = []
        async for event in stream:
            events.append(event)
            if isinstance(event, ToolCallStarted):
                break
        stream.cancel()
        events += await drained(stream)
    assert_whole(events)
    announced = [event.tool_call_id for event in events if isinstance(event, ToolCallStarted)]
    assert [event.tool_call_id for event in events if isinstance(event, ToolCallResponse)] == announced
    assert 0 < len(announced) < 300
    assert_nothing_left(runtime, session)


async def test_p4_a_cancel_from_another_thread_reaches_a_producer_that_waits_for_room() -> None:
    runtime, session = Runtime(scripted("word " * 1000)), Session()
    async with runtime.run_stream(session, "hi") as stream:
        while not stream._run.channel.full:
            await anyio.lowlevel.checkpoint()
        await anyio.to_thread.run_sync(stream.cancel)
        assert_whole(await drained(stream))
    assert_nothing_left(runtime, session)


# ---------------------------------------------------------------- cleanup


class Lending:
    """A toolset whose exit takes time."""

    name = "lending"

    def __init__(self, *, exits: bool = True) -> None:
        self.exited = False
        self._exits = exits

    def open(self, asker: Asker) -> Lending:
        return self

    async def __aenter__(self) -> list[Tool]:
        return []

    async def __aexit__(self, *exc: object) -> None:
        for _ in range(10):
            await asyncio.sleep(0)
        if not self._exits:
            await anyio.sleep_forever()
        self.exited = True

    async def aclose(self) -> None: ...


async def test_p2_a_toolset_leaves_in_peace_although_the_consumer_has_gone() -> None:
    lending = Lending()
    runtime = Runtime(scripted("hello", toolsets=[lending]))
    async with runtime.run_stream(Session(), "hi") as stream:
        assert_whole(await drained(stream))
    assert lending.exited
    assert_nothing_left(runtime)


async def test_p2_a_toolset_that_never_leaves_is_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nbagent.runtime.cleanup.GRACE", 0.05)
    monkeypatch.setattr("nbagent.runtime.cleanup.HOOK_GRACE", 0.0)
    before = asyncio.all_tasks()
    runtime, session = Runtime(scripted("hello", toolsets=[Lending(exits=False)])), Session()
    with anyio.fail_after(2):
        await runtime.run(session, "hi")
    assert asyncio.all_tasks() == before
    assert_nothing_left(runtime, session)


async def test_p2_hurry_cuts_the_exit_of_a_toolset_short() -> None:
    runtime, session = Runtime(scripted("hello", toolsets=[Lending(exits=False)])), Session()
    async with runtime.run_stream(session, "hi") as stream:
        await drained(stream)
        stream.hurry()
        with anyio.fail_after(2):
            await stream.join()
    assert_nothing_left(runtime, session)


async def test_p2_session_end_hooks_run_although_a_tool_uses_up_its_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nbagent.runtime.cleanup.GRACE", 1.05)
    entered, release = anyio.Event(), asyncio.Event()
    ended: list[str] = []

    async def stubborn() -> None:
        entered.set()
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    async def hook(context: HookContext) -> None:
        await anyio.lowlevel.checkpoint()
        ended.append(context.reason)

    runtime = Runtime(calling(stubborn, hooks={"session_end": hook}))
    async with runtime.run_stream(Session(), "hi") as stream:
        await inside(entered.wait)
        stream.cancel()
    assert ended == ["cancelled"]
    release.set()
    assert_nothing_left(runtime)


class Saving:
    """A store in memory."""

    lossless = True

    def __init__(self) -> None:
        self.types: list[str] = []
        self.saved = 0

    async def on_event(self, event: Event) -> None:
        self.types.append(event.type)

    async def load(self, session_id: str) -> Session | None:
        return None

    def begin_turn(self, session: Session) -> None: ...

    def end_turn(self, session: Session) -> None: ...

    async def save(self, session: Session) -> None:
        await anyio.lowlevel.checkpoint()
        self.saved += 1


async def test_p9_an_observer_that_hangs_keeps_no_session_from_being_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nbagent.runtime.cleanup.DRAIN", 0.1)

    class Hanging:
        lossless = True

        async def on_event(self, event: Event) -> None:
            await anyio.sleep_forever()

    store = Saving()
    await Runtime(scripted("hello"), store, observers=[Hanging()]).run(Session(), "hi")
    assert store.saved == 1


async def test_p8_a_caller_that_gives_up_in_a_cancel_scope_finds_the_session_free() -> None:
    entered, cleaned = anyio.Event(), anyio.Event()

    async def polite() -> None:
        entered.set()
        try:
            await anyio.sleep_forever()
        finally:
            for _ in range(20):
                await asyncio.sleep(0)
            cleaned.set()

    runtime, session = Runtime(calling(polite)), Session()
    with anyio.CancelScope() as scope:
        async with runtime.run_stream(session, "hi"):
            await inside(entered.wait)
            scope.cancel()
            await anyio.sleep_forever()
    assert scope.cancelled_caught and cleaned.is_set()
    assert_nothing_left(runtime, session)


async def test_p8_joining_a_live_stream_gives_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GRACE", "DRAIN"):  # its bounds, were they counted from here, are past
        monkeypatch.setattr(f"nbagent.runtime.cleanup.{name}", -0.33)
    model = StalledModel()
    runtime, session = Runtime(Agent("helper", model=model)), Session()
    async with runtime.run_stream(session, "hi") as stream:
        await inside(model.inside.wait)
        with anyio.move_on_after(0.1):
            await stream.join()
        assert session.busy and stream.stopped is None and live_runs() == (stream,)
        monkeypatch.undo()
    assert_nothing_left(runtime, session)


async def test_close_goes_on_past_a_toolset_that_cannot_be_closed() -> None:
    closed: list[str] = []

    class Closing(Lending):
        async def aclose(self) -> None:
            closed.append("")
            if len(closed) == 1:
                raise OSError("stuck")

    await Runtime(scripted("hello", toolsets=[Closing(), Closing()])).aclose()
    assert len(closed) == 2


# ---------------------------------------------------------------- the handle


async def test_a_stream_cancelled_before_it_begins_stops_as_it_begins() -> None:
    runtime, session = Runtime(scripted("never said")), Session()
    stream = runtime.run_stream(session, "hi")
    assert stream.result().reason == ""
    stream.cancel("superseded")
    async with stream:
        events = await drained(stream)
    assert_whole(events)
    assert isinstance(events[-1], StreamStopped) and events[-1].reason == "superseded"
    assert session.messages == []
    assert_nothing_left(runtime, session)


async def test_a_stream_can_be_consumed_once() -> None:
    runtime, session = Runtime(scripted("hello")), Session()
    stream = runtime.run_stream(session, "hi")
    assert_whole([event async for event in stream])
    assert [event async for event in stream] == []
    async with stream:
        assert [event async for event in stream] == []
    await stream.join()
    assert_nothing_left(runtime, session)


async def test_p4_a_handle_that_is_collected_on_another_thread_cancels_the_producer() -> None:
    runtime, session = Runtime(Agent("helper", model=StalledModel())), Session()
    box = [await runtime.run_stream(session, "hi").__aenter__()]
    done = box[0]._run.done

    def drop() -> None:
        box.clear()
        gc.collect()

    await anyio.to_thread.run_sync(drop)
    await inside(done.wait)
    assert_nothing_left(runtime, session)


async def test_many_runs_leave_nothing_behind() -> None:
    runtime = Runtime(scripted("hello"))

    async def some(count: int) -> int:
        for _ in range(count):
            await runtime.run(Session(), "hi")
        gc.collect()
        return len(gc.get_objects())

    await some(20)
    before = await some(20)
    assert await some(200) - before < 200, "less than an object a run"


# ---------------------------------------------------------------- output


class _Interleaving:
    """A lock at whose release another thread writes, as one may at any time."""

    def __init__(self, write: Any) -> None:
        self._write = write
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *exc: object) -> None:
        self._lock.release()
        write, self._write = self._write, lambda: None
        write()


async def test_p12_output_of_a_thread_that_goes_on_comes_before_the_end_or_not_at_all() -> None:
    told: list[str] = []
    output = CallOutput(asyncio.get_running_loop(), lambda text, data: told.append(text))
    output._lock = _Interleaving(lambda: output.write("late"))  # pyright: ignore[reportAttributeAccessIssue]
    output.end()
    told.append("response")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert told[-1] == "response"


async def test_p12_a_finalizer_that_prints_while_output_gathers_blocks_nothing() -> None:
    output = CallOutput(asyncio.get_running_loop(), lambda text, data: None)
    done = threading.Event()

    def within() -> None:
        with output._lock:
            output.write("from __del__")
        done.set()

    threading.Thread(target=within, daemon=True).start()
    assert await anyio.to_thread.run_sync(done.wait, 5)


# ---------------------------------------------------------------- other loops, dead loops


async def test_close_ends_streams_of_other_loops_too() -> None:
    model = StalledModel()
    runtime = Runtime(Agent("helper", model=model))
    begun, events = threading.Event(), list[Event]()

    async def consume() -> None:
        async with runtime.run_stream(Session(), "hi") as stream:
            begun.set()
            events.extend(await drained(stream))

    thread = threading.Thread(target=asyncio.run, args=(consume(),), daemon=True)
    thread.start()
    assert await anyio.to_thread.run_sync(begun.wait, 5)
    async with runtime.run_stream(Session(), "hi"):
        with anyio.fail_after(5):
            await runtime.aclose()
    await anyio.to_thread.run_sync(thread.join, 5)
    assert_whole(events)
    assert_nothing_left(runtime)


def test_p8_one_turn_a_session_also_from_the_loops_of_several_threads() -> None:
    session, model = Session(), StalledModel()
    runtime, outcomes = Runtime(Agent("helper", model=model)), list[str]()
    begun, over = threading.Barrier(5), threading.Event()

    def told(outcome: str) -> None:
        outcomes.append(outcome)
        if len(outcomes) == 5:
            over.set()

    async def attempt() -> None:
        stream = runtime.run_stream(session, "hi")
        begun.wait(5)
        try:
            async with stream:
                told("began")
                assert await anyio.to_thread.run_sync(over.wait, 5)
        except Exception as error:
            told(type(error).__name__)

    threads = [threading.Thread(target=asyncio.run, args=(attempt(),)) for _ in range(5)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
    finally:
        sys.setswitchinterval(before)
    assert sorted(outcomes) == ["SessionBusy"] * 4 + ["began"]
    assert_nothing_left(runtime, session)


def test_p1_a_stream_whose_loop_was_closed_over_it_is_dead_and_frees_its_session() -> None:
    runtime, session, stdout = Runtime(calling(_asks)), Session(), sys.stdout

    async def begin() -> Stream:
        stream = await runtime.run_stream(session, "hi").__aenter__()
        await until(stream, ElicitationRequest)
        return stream

    loop = asyncio.new_event_loop()
    stream = loop.run_until_complete(begin())
    pending = asyncio.all_tasks(loop)
    loop.close()
    try:
        assert session.busy and runtime.bridge.pending
        assert asyncio.run(ask("Anyone?")).action == "decline", "nobody is asked through a dead loop"
        assert asyncio.run(Runtime(scripted("hello")).run(Session(), "hi")).text == "hello"
        assert stream.stopped is not None
        assert session.messages[-1].content == CUT_SHORT
        assert_nothing_left(runtime, session)
        stream.cancel()
    finally:
        for task in pending:
            task._log_destroy_pending = False  # pyright: ignore[reportAttributeAccessIssue]
    assert sys.stdout is stdout, "the tool that died with its loop captures no more"


async def _asks() -> str:
    return (await ask("Who?", NAME_SCHEMA)).action


def test_p9_the_end_of_asyncio_run_stops_live_streams_and_observers_hear_of_it() -> None:
    store, session = Saving(), Session()
    runtime = Runtime(calling(_asks), store)

    async def leaves_a_stream() -> Stream:
        stream = await runtime.run_stream(session, "hi").__aenter__()
        await until(stream, ElicitationRequest)
        return stream

    stream = asyncio.run(leaves_a_stream())
    assert stream.stopped is not None and stream.stopped.reason == "cancelled"
    assert store.types[-1] == "stream_stopped" and store.saved == 1
    assert store.types.count("tool_call_response") == store.types.count("elicitation_resolved") == 1
    assert_nothing_left(runtime, session)


# ---------------------------------------------------------------- signals


def _interrupted_by(signalled: Any) -> Agent:
    class Interrupting:
        name = "interrupting"
        closed = False

        async def stream(self, request: ModelRequest) -> AsyncIterator[ModelChunk]:
            try:
                yield TextDelta("half a ")
                signalled()
                await anyio.sleep_forever()
            finally:
                Interrupting.closed = True

    return Agent("helper", model=Interrupting())


def _signal() -> None:
    signal.raise_signal(signal.SIGINT)


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("awaiting", [False, True])
def test_k3_an_interrupt_ends_run_sync_with_or_without_a_running_loop(awaiting: bool) -> None:
    handler, session = signal.getsignal(signal.SIGINT), Session()

    async def inside_a_loop() -> None:
        run_sync(_interrupted_by(_kill), "hi", session=session)
        raise AssertionError("not reached")

    def interrupted() -> None:
        asyncio.run(inside_a_loop()) if awaiting else run_sync(_interrupted_by(_signal), "hi", session=session)

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert signal.getsignal(signal.SIGINT) is handler
    assert not session.busy and session.messages[-1].interrupted
    assert live_runs() == ()
    assert run_sync(scripted("next"), "hi").text == "next"


def test_k3_an_interrupt_stops_a_hook_that_has_the_thread_of_run_sync() -> None:
    handler, session = signal.getsignal(signal.SIGINT), Session()
    went_on: list[str] = []

    def hanging(context: HookContext) -> None:
        _signal()
        went_on.append("the hook was waited for")

    with pytest.raises(KeyboardInterrupt):
        run_sync(scripted("hello", hooks={"user_prompt_submit": hanging}), "hi", session=session)
    assert went_on == []
    assert signal.getsignal(signal.SIGINT) is handler
    assert not session.busy and live_runs() == ()
    assert run_sync(scripted("next"), "hi").text == "next"


def test_k3_an_interrupt_of_a_script_ends_its_stream() -> None:
    handler, session, runtime = signal.getsignal(signal.SIGINT), Session(), Runtime(_interrupted_by(_signal))

    async def consume() -> None:
        async with runtime.run_stream(session, "hi") as stream:
            await drained(stream)

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(consume())
    assert signal.getsignal(signal.SIGINT) is handler
    assert_nothing_left(runtime, session)


def test_p12_the_process_ends_although_a_tool_still_runs() -> None:
    script = """
import asyncio, threading
from nbagent import Agent, Runtime, Session
from nbagent.models import ScriptedModel, ToolCall
entered = threading.Event()
def waits():
    entered.set()
    threading.Event().wait(600)
async def main():
    agent = Agent("helper", model=ScriptedModel([ToolCall("waits")]), tools=[waits])
    async with Runtime(agent).run_stream(Session(), "hi"):
        await asyncio.to_thread(entered.wait, 5)
asyncio.run(main())
print("ended")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=20, check=False)
    assert (done.stdout, done.returncode) == ("ended\n", 0), done.stderr

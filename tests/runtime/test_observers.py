"""P9: observers have their own queues."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import anyio
import pytest

from nbagent.errors import ConfigError
from nbagent.events import Event, StreamStopped
from nbagent.runtime import Runtime
from nbagent.runtime.observers import LOSSY_CAPACITY
from nbagent.session import Session
from tests.runtime.support import assert_nothing_left, assert_whole, events_of, scripted

pytestmark = pytest.mark.anyio


class Recorder:
    """Keeps what it is told; may wait for a gate, or fail."""

    def __init__(self, *, lossless: bool = True, gate: anyio.Event | None = None, fails: bool = False) -> None:
        self.lossless = lossless
        self.gate = gate
        self.fails = fails
        self.events: list[Event] = []

    async def on_event(self, event: Event) -> None:
        if self.gate is not None:
            await self.gate.wait()
        self.events.append(event)
        if self.fails:
            raise RuntimeError("observer broken")


async def test_p9_every_lossless_observer_gets_every_event_before_the_end() -> None:
    of_runtime, of_run = Recorder(), Recorder()
    runtime, session = Runtime(scripted("word " * 500), observers=[of_runtime]), Session()
    await runtime.run(session, "hi", observers=[of_run])
    assert_whole(of_runtime.events)
    assert of_run.events == of_runtime.events


@pytest.mark.parametrize("given", [[print], print, Recorder()])
async def test_what_is_no_observer_is_refused_before_anything_begins(given: Any) -> None:
    with pytest.raises(ConfigError, match=r"is no (observer|list): "):
        Runtime(scripted("x"), observers=given)
    runtime, session = Runtime(scripted("x")), Session()
    with pytest.raises(ConfigError, match=r"is no (observer|list): "):
        runtime.run_stream(session, "hi", observers=given)
    assert_nothing_left(runtime, session)


async def test_what_is_no_store_and_no_prompt_is_refused() -> None:
    path: Any = "sessions.db"
    with pytest.raises(ConfigError, match="SQLiteStore"):
        Runtime(scripted("x"), session_store=path)
    nothing: Any = None
    with pytest.raises(ConfigError, match="the prompt is NoneType"):
        Runtime(scripted("x")).run_stream(Session(), nothing)


async def test_p9_a_failing_observer_stalls_nothing(caplog: pytest.LogCaptureFixture) -> None:
    failing, sound = Recorder(fails=True), Recorder()
    with caplog.at_level(logging.ERROR, "nbagent"):
        events = await events_of(Runtime(scripted("hello"), observers=[failing, sound]))
    assert_whole(events)
    assert failing.events == sound.events == events
    assert "observer broken" in caplog.text


async def test_p9_a_hanging_observer_stalls_neither_stream_nor_consumer_and_the_end_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nbagent.runtime.cleanup.DRAIN", 0.05)
    hanging = Recorder(gate=anyio.Event())
    runtime, session = Runtime(scripted("hello"), observers=[hanging]), Session()
    before = asyncio.all_tasks()
    with anyio.fail_after(5):
        assert_whole(await events_of(runtime, session))
    assert_nothing_left(runtime, session)
    await anyio.wait_all_tasks_blocked()
    assert asyncio.all_tasks() == before, "it is cancelled in the end"


async def test_p9_other_observers_lose_their_oldest_under_load(caplog: pytest.LogCaptureFixture) -> None:
    gate = anyio.Event()
    slow = Recorder(lossless=False, gate=gate)
    runtime = Runtime(scripted("word " * (LOSSY_CAPACITY + 500)), observers=[slow])
    async with runtime.run_stream(Session(), "hi") as stream:
        events = [event async for event in stream]
        gate.set()
        await stream.join()
    assert_whole(events)
    assert isinstance(slow.events[-1], StreamStopped)
    assert len(slow.events) <= LOSSY_CAPACITY + 1
    assert "events lost" in caplog.text


class KeepingStore(Recorder):
    """A store in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.saved: list[int] = []

    async def load(self, session_id: str) -> Session | None:
        return None

    def begin_turn(self, session: Session) -> None: ...

    def end_turn(self, session: Session) -> None: ...

    async def save(self, session: Session) -> None:
        self.saved.append(len(session.messages))


async def test_the_store_sees_every_event_and_keeps_the_session_after_each_turn() -> None:
    store = KeepingStore()
    runtime, session = Runtime(scripted("one", "two"), store), Session()
    await runtime.run(session, "1")
    await runtime.run(session, "2")
    assert store.saved == [2, 4]
    assert [event.type for event in store.events].count("stream_stopped") == 2

"""What is refused before it has begun, or cut between two agents, leaves nothing behind."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import pytest

from nbagent.agent import Agent
from nbagent.errors import NestingTooDeep, SessionBusy
from nbagent.events import Event, StreamStopped, SubSessionStarted
from nbagent.models import ToolCall
from nbagent.ports import Asker, Tool
from nbagent.runtime import Runtime
from nbagent.runtime.nesting import MAX_DEPTH
from nbagent.session import Session
from tests.runtime.support import assert_nothing_left, assert_whole, calling, drained, inside, scripted

pytestmark = pytest.mark.anyio


class TakenElsewhere:
    """A store whose sessions another process speaks in."""

    lossless = True

    def __init__(self) -> None:
        self.told: list[str] = []

    def begin_turn(self, session: Session) -> None:
        self.told.append("begin")
        raise SessionBusy("another process has a turn of it under way")

    def end_turn(self, session: Session) -> None:
        self.told.append("end")

    async def on_event(self, event: Event) -> None:
        self.told.append(event.type)

    async def load(self, session_id: str) -> Session | None:
        return None

    async def save(self, session: Session) -> None:
        self.told.append("save")


async def test_a_turn_that_the_store_refuses_leaves_nothing_behind() -> None:
    store, session = TakenElsewhere(), Session()
    runtime = Runtime(scripted("never said"), store)
    for _ in range(2):
        with pytest.raises(SessionBusy, match="another process"):
            await runtime.run(session, "hi")
        assert_nothing_left(runtime, session)
    assert store.told == ["begin"] * 2
    assert session.turns == [] and session.messages == []
    assert (await Runtime(scripted("hello")).run(session, "hi")).text == "hello"


async def test_a_stream_nested_too_deep_is_refused_and_its_parents_go_on() -> None:
    depths: list[int] = []

    async def nest(depth: int) -> str:
        depths.append(depth)
        agent = scripted(ToolCall("nest", {"depth": depth + 1}), f"back from {depth + 1}", tools=[nest])
        try:
            return (await Runtime(agent).run(Session(), "deeper")).text
        except NestingTooDeep as error:
            return f"refused: {error}"

    runtime, session = Runtime(calling(nest, {"depth": 0})), Session()
    async with runtime.run_stream(session, "hi") as stream:
        events = await drained(stream)
    assert_whole(events)
    assert depths == list(range(MAX_DEPTH + 1))
    assert sum(isinstance(event, SubSessionStarted) for event in events) == 1
    assert session.messages[2].content == "back from 1"
    assert_nothing_left(runtime, session)


class Slow:
    """A toolset that takes its time to be given back."""

    name = "slow"

    def __init__(self) -> None:
        self.leaving = anyio.Event()
        self.left = False

    def open(self, asker: Asker) -> Slow:
        return self

    async def __aenter__(self) -> Sequence[Tool]:
        return []

    async def __aexit__(self, *exc: object) -> None:
        self.leaving.set()
        try:
            await anyio.sleep_forever()
        finally:
            self.left = True

    async def aclose(self) -> None: ...


async def test_a_run_cut_between_two_agents_stops_and_frees_the_turn() -> None:
    """A handoff gives the first agent's toolsets back while the stream is live."""
    slow = Slow()
    second = Agent("second", model=scripted("never said").model)
    first = scripted(ToolCall("handoff", {"agent": "second"}), toolsets=[slow], handoffs=[second])
    runtime, session = Runtime(first), Session()
    async with runtime.run_stream(session, "hi") as stream:
        await inside(slow.leaving.wait)
        assert stream.stopped is None
        stream.cancel()
        events = await drained(stream)
        with anyio.fail_after(2):
            await stream.join()
    assert_whole(events)
    assert isinstance(events[-1], StreamStopped) and events[-1].reason == "cancelled"
    assert slow.left
    assert_nothing_left(runtime, session)

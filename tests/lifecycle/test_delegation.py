"""The family, where agents give work to agents: in parallel, in the background, and to one that fails."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from nbagent.agent import Agent
from nbagent.events import (
    AgentChoice,
    ElicitationRequest,
    Event,
    StreamStarted,
    StreamStopped,
    SubSessionCompleted,
    SubSessionStarted,
    ToolCallResponse,
)
from nbagent.models import ScriptedModel, ToolCall
from nbagent.ports import ModelChunk, ModelRequest, TextDelta
from nbagent.runtime import Runtime
from nbagent.runtime.asking import ask
from nbagent.session import Session
from tests.runtime.support import NAME_SCHEMA, assert_nothing_left, assert_paired, drained, scripted

pytestmark = pytest.mark.anyio


def transfer(agent: str, task: str = "do it") -> ToolCall:
    """The call that gives a task to a sub-agent."""
    return ToolCall("transfer_task", {"agent": agent, "task": task})


def assert_each_whole(events: list[Event]) -> None:
    """Each stream among them begins once, stops once, and has no gap."""
    for stream_id in {event.stream_id for event in events}:
        its = [event for event in events if event.stream_id == stream_id]
        assert isinstance(its[0], StreamStarted) and isinstance(its[-1], StreamStopped)
        assert [event.seq for event in its] == list(range(1, len(its) + 1))
    kinds = Counter(type(event) for event in events)
    assert kinds[StreamStarted] == kinds[StreamStopped]
    assert kinds[SubSessionStarted] == kinds[SubSessionCompleted] == kinds[StreamStarted] - 1


class MeetingModel:
    """Speaks only when all of the party have come, so that they are seen to be there at once."""

    def __init__(self, name: str, party: asyncio.Barrier, words: int = 100) -> None:
        self.name = name
        self._party = party
        self._words = words

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelChunk]:
        async with self._party:
            pass
        for n in range(self._words):
            yield TextDelta(f"{self.name}{n} ")


async def test_three_parallel_transfers_in_one_response() -> None:
    party = asyncio.Barrier(3)
    names = ["left", "middle", "right"]
    sub_agents = [Agent(name, model=MeetingModel(name, party)) for name in names]
    calls = [transfer(name) for name in names]
    runtime, session = Runtime(scripted(calls, "all done", sub_agents=sub_agents)), Session()
    async with runtime.run_stream(session, "hi") as stream:
        events = await drained(stream)
    assert_each_whole(events)
    assert isinstance(events[-1], StreamStopped) and events[-1].reason == "completed"
    results = [message.content for message in session.messages if message.role == "tool"]
    assert [result.split() for result in results] == [[f"{name}{n}" for n in range(100)] for name in names]
    begun = [event.tool_call_id for event in events if isinstance(event, SubSessionStarted)]
    assert sorted(map(str, begun)) == sorted(call.id for call in calls)
    assert_nothing_left(runtime, session)


async def test_three_parallel_transfers_end_with_their_parent() -> None:
    """Their consumer is absent, so that all three wait for room in one buffer when the parent is stopped."""
    party = asyncio.Barrier(3)
    sub_agents = [Agent(name, model=MeetingModel(name, party, 200)) for name in ("left", "middle", "right")]
    calls = [transfer(agent.name) for agent in sub_agents]
    runtime, session = Runtime(scripted(calls, "never said", sub_agents=sub_agents)), Session()
    async with runtime.run_stream(session, "hi") as stream:
        with anyio.fail_after(5):
            while not (stream._run.channel.full and len(runtime.bridge.live) == 4):
                await anyio.lowlevel.checkpoint()
        stream.cancel()
        assert runtime.bridge.live == ()
        events = await drained(stream)
    assert_each_whole(events)
    assert [event.reason for event in events if isinstance(event, SubSessionCompleted)] == ["cancelled"] * 3
    assert_nothing_left(runtime, session)


class FailingModel:
    """Says one word and fails."""

    name = "failing"

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelChunk]:
        yield TextDelta("half a thought")
        raise ValueError("no weights")


@pytest.mark.parametrize("failing", [FailingModel(), ScriptedModel([])])
async def test_child_error_keeps_starts_equal_to_stops(failing: Any) -> None:
    sub_agents = [Agent("broken", model=failing), scripted("fine", name="sound")]
    calls = [transfer("broken"), transfer("sound")]
    runtime, session = Runtime(scripted(calls, "so be it", sub_agents=sub_agents)), Session()
    async with runtime.run_stream(session, "hi") as stream:
        events = await drained(stream)
    assert_each_whole(events)
    ends = [event.reason for event in events if isinstance(event, StreamStopped)]
    assert sorted(ends) == ["completed", "completed", "error"] and ends[-1] == "completed"
    responses = {event.tool_call_id: event for event in events if isinstance(event, ToolCallResponse)}
    assert responses[calls[0].id].is_error and responses[calls[1].id].response == "fine"
    assert ("half a thought" in responses[calls[0].id].response) == isinstance(failing, FailingModel)
    assert session.messages[-1].content == "so be it"
    assert_nothing_left(runtime, session)


async def test_child_deltas_never_in_the_parents_history() -> None:
    inner = scripted("from the innermost", name="innermost")
    middle = scripted(["middle first ", transfer("innermost")], "from the middle", name="middle", sub_agents=[inner])
    runtime = Runtime(scripted(["outer first ", transfer("middle")], "outer last", sub_agents=[middle]))
    session = Session()
    async with runtime.run_stream(session, "hi") as stream:
        events = await drained(stream)
    assert_each_whole(events)
    said = [message.content for message in session.messages if message.role == "assistant"]
    assert said == ["outer first ", "outer last"]
    assert [message.content for message in session.messages if message.role == "tool"] == ["from the middle"]
    heard: dict[str, str] = {}
    for event in events:
        if isinstance(event, AgentChoice):
            assert (event.session_id == session.id) == (event.agent_name == "helper")
            heard[event.agent_name] = heard.get(event.agent_name, "") + event.content
    assert heard == {
        "helper": "outer first outer last",
        "middle": "middle first from the middle",
        "innermost": "from the innermost",
    }
    assert_nothing_left(runtime, session)


class Noting:
    """An observer that keeps what it sees."""

    lossless = True

    def __init__(self) -> None:
        self.events: list[Event] = []

    async def on_event(self, event: Event) -> None:
        self.events.append(event)


async def test_background_answers_not_swapped() -> None:
    """Two agents in the background and their parent ask at once; the parent ends, and the answers cross."""

    async def who(me: str) -> str:
        answer = await ask(f"Who is {me}?", NAME_SCHEMA)
        return f"{me}: {answer.action} {answer.content}"

    names = ["left", "right"]
    sub_agents = [scripted(ToolCall("who", {"me": name}), "done", name=name, tools=[who]) for name in names]
    calls = [ToolCall("run_background_agent", {"agent": name, "task": "ask"}) for name in names]
    turns = [[*calls, ToolCall("who", {"me": "parent"})], "never said"]
    agent = scripted(*turns, tools=[who], sub_agents=sub_agents, background_agents=True)
    noting = Noting()
    runtime, session = Runtime(agent, observers=[noting]), Session()
    async with runtime.run_stream(session, "hi") as stream:
        with anyio.fail_after(5):
            while len(runtime.bridge.pending) < 3:
                await anyio.lowlevel.checkpoint()
        stream.cancel()
        own = [event for event in await drained(stream) if isinstance(event, ElicitationRequest)]
        assert [event.message for event in own] == ["Who is parent?"], "each consumer hears its own stream's questions"
    background = runtime.bridge.live
    assert len(background) == 2 and all(one.stopped is None for one in background), "they outlive their parent"
    pending = runtime.bridge.pending
    assert {question.stream_id for question in pending} == {one.id for one in background}
    for question in reversed(pending):
        assert isinstance(question.request, ElicitationRequest)
        runtime.answer(question.id, "accept", {"name": question.request.message})
    with anyio.fail_after(5):
        for one in background:
            await one.join()
    answered = {event.response for event in noting.events if isinstance(event, ToolCallResponse) and not event.is_error}
    expected = {f"{name}: accept {{'name': 'Who is {name}?'}}" for name in names}
    assert expected <= answered
    for one in background:
        assert one.stopped is not None and one.stopped.reason == "completed"
        assert_paired(one.session)
    await runtime.aclose()
    assert_nothing_left(runtime, session)

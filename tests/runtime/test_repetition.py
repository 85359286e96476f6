"""Loop detection: the same tool call with the same arguments, five times in a row, asks whether to go on."""

from __future__ import annotations

from typing import Any

import pytest

from nbagent.agent import Agent
from nbagent.errors import RunError
from nbagent.events import Error, MaxIterationsReached, StreamStopped, ToolCallStarted
from nbagent.models import ScriptedModel, ToolCall
from nbagent.runtime import Runtime
from nbagent.session import Session
from tests.runtime.support import assert_nothing_left, assert_whole, until

pytestmark = pytest.mark.anyio


def look(at: str) -> str:
    """Look."""
    return f"saw {at}"


def circling(*turns: Any) -> Agent:
    return Agent("helper", model=ScriptedModel([*turns, "done"]), tools=[look])


def same(times: int) -> list[ToolCall]:
    return [ToolCall("look", {"at": "x"}) for _ in range(times)]


async def test_the_fifth_same_call_in_a_row_asks_and_goes_on_when_told_to() -> None:
    runtime = Runtime(circling(*same(7)))
    session = Session()
    async with runtime.run_stream(session, "go") as stream:
        events: list[Any] = []
        async for event in stream:
            events.append(event)
            if isinstance(event, MaxIterationsReached):
                assert sum(isinstance(known, ToolCallStarted) for known in events) == 4, "asked before it is made"
                assert event.id is not None and "look" in event.message and event.max_iterations == 5
                runtime.answer(event.id, "accept")
    assert_whole(events)
    assert events[-1].reason == "completed"
    assert sum(isinstance(event, ToolCallStarted) for event in events) == 7
    assert sum(isinstance(event, MaxIterationsReached) for event in events) == 1, "it counts anew from there"
    assert_nothing_left(runtime, session)


@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_a_loop_that_is_not_to_go_on_ends_with_its_code(action: str) -> None:
    runtime = Runtime(circling(*same(9)))
    session = Session()
    async with runtime.run_stream(session, "go") as stream:
        asked = await until(stream, MaxIterationsReached)
        assert isinstance(asked, MaxIterationsReached) and asked.id is not None
        runtime.answer(asked.id, action)
        rest = [event async for event in stream]
    assert [event.code for event in rest if isinstance(event, Error)] == ["loop_detected"]
    assert isinstance(rest[-1], StreamStopped) and rest[-1].reason == "error"
    assert session.messages[-1].role == "tool" and "not made" in session.messages[-1].content
    assert_nothing_left(runtime, session)


async def test_p10_where_nobody_can_answer_the_limit_is_final() -> None:
    with pytest.raises(RunError) as failed:
        await Runtime(circling(*same(9))).run(Session(), "go")
    assert failed.value.code == "loop_detected"


async def test_five_same_calls_in_one_message_ask_too() -> None:
    runtime = Runtime(circling(same(5)))
    async with runtime.run_stream(Session(), "go") as stream:
        assert await until(stream, MaxIterationsReached)


@pytest.mark.parametrize(
    "turns",
    [
        [*same(4), ToolCall("look", {"at": "y"}), *same(4)],
        [ToolCall("look", {"at": str(n)}) for n in range(9)],
        [*same(4), "…", *same(4)],
    ],
    ids=["another between", "all different", "an answer between"],
)
async def test_calls_that_differ_ask_nothing(turns: list[Any]) -> None:
    runtime = Runtime(circling(*turns))
    session = Session()
    asked = 0
    for _ in range(2 if "…" in turns else 1):
        async with runtime.run_stream(session, "go") as stream:
            asked += sum([isinstance(event, MaxIterationsReached) async for event in stream])
    assert asked == 0


async def test_a_tool_that_is_made_to_be_repeated_asks_nothing() -> None:
    agent = circling(*same(8))
    vars(agent.tools[0])["repeatable"] = True
    async with Runtime(agent).run_stream(Session(), "go") as stream:
        assert not [event async for event in stream if isinstance(event, MaxIterationsReached)]

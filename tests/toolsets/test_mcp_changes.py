"""Lists of tools that change while a run is under way: the next call of the model sees what there is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import pytest

from nbagent.agent import Agent
from nbagent.config.lending import ConfiguredToolset
from nbagent.events import Error, Event, StreamStopped, ToolCallResponse, ToolsetInfo, Warning
from nbagent.models import ScriptedModel, ToolCall
from nbagent.ports import ModelChunk, ModelRequest, Toolset
from nbagent.runtime import Runtime
from nbagent.session import Session
from nbagent.toolsets import MCPToolset, tool
from tests import servers

pytestmark = pytest.mark.anyio


class Listening(ScriptedModel):
    """Keeps the names of the tools that each call of it offers."""

    def __init__(self, *turns: Any) -> None:
        super().__init__(turns)
        self.offered: list[set[str]] = []

    def stream(self, request: ModelRequest) -> AsyncIterator[ModelChunk]:
        self.offered.append({one.name for one in request.tools})
        return super().stream(request)


@pytest.fixture
async def changing() -> AsyncGenerator[MCPToolset]:
    made = MCPToolset(*servers.first_era(), name="first")
    yield made
    await made.aclose()


async def events_of(agent: Agent) -> list[Event]:
    async with asyncio.timeout(30), Runtime(agent).run_stream(Session(), "hi", approve="all") as stream:
        return [event async for event in stream]


async def played(toolset: Toolset, *turns: Any, **options: Any) -> tuple[Listening, list[Event]]:
    model = Listening(*turns, "done")
    agent = Agent("helper", model=model, toolsets=[toolset], **options)
    return model, await events_of(agent)


def responses(events: list[Event]) -> list[str]:
    return [event.response for event in events if isinstance(event, ToolCallResponse)]


async def test_a_tool_that_comes_is_there_at_the_next_model_call_and_can_be_called(changing: MCPToolset) -> None:
    model, events = await played(changing, ToolCall("change", {"add": ["late"]}), ToolCall("late"))
    assert ["late" in names for names in model.offered] == [False, True, True]
    assert responses(events) == ["changed", "late was added"]
    told = [event.tools for event in events if isinstance(event, ToolsetInfo)]
    assert len(told) == 2 and set(told[1]) - set(told[0]) == {"late"}


async def test_a_tool_that_goes_is_offered_no_more_and_a_call_of_it_says_why(changing: MCPToolset) -> None:
    model, events = await played(changing, ToolCall("change", {"drop": ["add"]}), ToolCall("add", {"a": 1, "b": 2}))
    assert ["add" in names for names in model.offered] == [True, False, False]
    assert responses(events)[1].startswith("There is no tool 'add' any more: first took it back. There are: ask, ")


async def test_one_that_is_gone_and_comes_again_can_be_called_again(changing: MCPToolset) -> None:
    turns = [ToolCall("change", change) for change in ({"add": ["late"]}, {"drop": ["late"]})]
    model, _ = await played(changing, *turns)
    assert ["late" in names for names in model.offered] == [False, True, False]


async def test_a_tool_that_comes_under_a_name_that_is_taken_is_refused_by_name(changing: MCPToolset) -> None:
    @tool
    def late() -> str:
        """The user's own."""
        return "mine"

    changes = [ToolCall("change", {"add": ["late"]}), ToolCall("change", {"add": ["other"]})]
    model, events = await played(changing, *changes, ToolCall("late"), tools=[late])
    assert responses(events) == ["changed", "changed", "mine"]
    assert "other" in model.offered[2]
    (warning,) = [event.message for event in events if isinstance(event, Warning)]
    assert warning.startswith("first now offers a second tool named 'late', which is left out; rename one")


async def test_names_that_collide_from_the_beginning_end_the_run_by_name(changing: MCPToolset) -> None:
    second = MCPToolset(*servers.second_era(), name="second")
    agent = Agent("helper", model=ScriptedModel(["not reached"]), toolsets=[changing, second])
    try:
        events = await events_of(agent)
    finally:
        await second.aclose()
    (error,) = [event for event in events if isinstance(event, Error)]
    assert "two tools are named 'add', of first and second" in error.message and "prefix" in error.message
    assert isinstance(events[-1], StreamStopped) and events[-1].reason == "error"


async def test_only_the_tools_that_a_file_names_come(changing: MCPToolset) -> None:
    chosen = ConfiguredToolset("first", "mcp", lambda: changing, ["change", "late"])
    model, _ = await played(chosen, ToolCall("change", {"add": ["late", "other"]}))
    assert model.offered == [{"change"}, {"change", "late"}]


async def test_a_list_that_nothing_is_said_of_is_not_asked_for_again(changing: MCPToolset) -> None:
    model, events = await played(changing, ToolCall("change", {"add": ["late"], "silent": True}))
    assert model.offered[0] == model.offered[1]
    assert sum(isinstance(event, ToolsetInfo) for event in events) == 1


async def test_a_server_that_dies_before_it_lists_again_leaves_the_tools_as_they_were(changing: MCPToolset) -> None:
    model, events = await played(changing, [ToolCall("change", {"add": ["late"]}), ToolCall("die")])
    assert isinstance(events[-1], StreamStopped) and events[-1].reason == "completed"
    assert "add" in model.offered[1]


async def test_a_second_era_server_tells_of_changes_too() -> None:
    toolset = MCPToolset(*servers.second_era(), name="second")
    try:
        model, events = await played(toolset, ToolCall("grow"), ToolCall("grown"))
    finally:
        await toolset.aclose()
    assert ["grown" in names for names in model.offered] == [False, True, True]
    assert responses(events) == ["growing", "grown up"]


async def test_the_reference_servers_tools_that_come_after_its_start_are_there(
    everything_server: tuple[str, list[str]],
) -> None:
    toolset = MCPToolset(*everything_server, name="everything")
    try:
        model, _ = await played(toolset, ToolCall("echo", {"message": "hi"}))
    finally:
        await toolset.aclose()
    assert {"echo", "trigger-elicitation-request"} <= model.offered[-1]

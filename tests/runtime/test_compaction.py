"""Compaction: what a model reads stays within its context, and nothing of the session is lost or parted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from nbagent import hooks
from nbagent.agent import Agent
from nbagent.errors import ModelError, RunError
from nbagent.events import SessionCompaction, StreamStopped, Warning
from nbagent.models import ScriptedModel, ToolCall
from nbagent.ports import ModelChunk, ModelRequest, TextDelta
from nbagent.runtime import Runtime
from nbagent.runtime.compaction import HEAD, view
from nbagent.session import Message, Session, Summary
from tests.runtime.support import assert_nothing_left, assert_paired, assert_whole, events_of

pytestmark = pytest.mark.anyio


def long(words: int) -> str:
    return "word " * words


class Refusing:
    """A model whose provider refuses more than `limit` characters, and which does not say so beforehand."""

    name = "refusing"

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.requests: list[ModelRequest] = []

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelChunk]:
        self.requests.append(request)
        if sum(len(message.content) for message in request.messages) > self.limit:
            raise ModelError("too long", "context_exceeded")
        yield TextDelta("short" if request.purpose == "summary" else "answer")


def spoken(turns: int, words: int = 40) -> Session:
    """A session of so many turns, each with a tool call."""
    session = Session()
    for turn in range(turns):
        call = ToolCall("look", {"turn": turn}, f"call{turn}")
        session.messages += [
            Message("user", f"question {turn} {long(words)}"),
            Message("assistant", "looking", tool_calls=(call,)),
            Message("tool", long(words), tool_call_id=call.id),
            Message("assistant", f"answer {turn}"),
        ]
    return session


def assert_view_is_paired(session: Session) -> None:
    assert_paired(Session(messages=view(session)[0]))


async def test_the_history_is_summed_up_before_the_limit() -> None:
    said: list[ModelRequest] = []

    class Model(ScriptedModel):
        async def stream(self, request: ModelRequest) -> AsyncIterator[ModelChunk]:
            said.append(request)
            async for chunk in super().stream(request):
                yield chunk

    runtime = Runtime(Agent("helper", model=Model([long(30)] * 8, context_limit=150)))
    session = Session()
    compactions: list[Any] = []
    for turn in range(8):
        events = await events_of(runtime, session, f"question {turn}")
        assert_whole(events)
        assert isinstance(events[-1], StreamStopped) and events[-1].reason == "completed"
        compactions += [event for event in events if isinstance(event, SessionCompaction)]
    assert compactions and all(event.messages_after < event.messages_before for event in compactions)
    assert len(session.messages) == 16, "the session itself keeps every message"
    assert [request.purpose for request in said].count("summary") == len(compactions) == len(session.summaries)
    assert said[-1].messages[0].content.startswith(HEAD)
    assert said[-1].messages[-1].content == "question 7"
    assert_nothing_left(runtime, session)


async def test_a_provider_that_refuses_the_context_is_asked_again_with_a_summary() -> None:
    model = Refusing(3000)
    runtime = Runtime(Agent("helper", model=model))
    session = spoken(12)
    events = await events_of(runtime, session, "and now?")
    assert isinstance(events[-1], StreamStopped) and events[-1].reason == "completed"
    assert any(isinstance(event, SessionCompaction) for event in events)
    assert model.requests[-1].messages[-1].content == "and now?"
    assert_view_is_paired(session)


async def test_a_summary_whose_own_request_is_too_long_is_made_of_less() -> None:
    model = Refusing(1200)
    session = spoken(8)
    await events_of(Runtime(Agent("helper", model=model, context_limit=1_000_000)), session, "and now?")
    tried = [len(request.messages) for request in model.requests if request.purpose == "summary"]
    assert len(tried) > 1 and tried[0] > tried[1]


@pytest.mark.parametrize("limit", [100, 200, 400, 800])
async def test_tool_pairs_are_never_split(limit: int) -> None:
    """Also in one long turn of many calls, wherever the cut falls."""

    def look(turn: int) -> str:
        return long(turn % 7 * 5)

    turns = [ToolCall("look", {"turn": turn}) for turn in range(20)]
    requests: list[ModelRequest] = []

    class Model(ScriptedModel):
        async def stream(self, request: ModelRequest) -> AsyncIterator[ModelChunk]:
            requests.append(request)
            async for chunk in super().stream(request):
                yield chunk

    agent = Agent("helper", model=Model([*turns, "done"]), tools=[look], context_limit=limit)
    session = Session()
    events = await events_of(Runtime(agent), session, "look around")
    assert isinstance(events[-1], StreamStopped) and events[-1].reason == "completed"
    for request in requests:
        assert_paired(Session(messages=list(request.messages)))
    assert_paired(session)
    assert sum(message.role == "tool" for message in session.messages) == 20


async def test_a_context_that_cannot_be_made_smaller_ends_the_stream_with_its_code() -> None:
    runtime = Runtime(Agent("helper", model=Refusing(10)))
    with pytest.raises(RunError) as failed:
        await runtime.run(Session(), long(10))
    assert failed.value.code == "context_exceeded"
    assert_nothing_left(runtime)


async def test_a_summary_that_fails_leaves_all_as_it_was() -> None:
    class NoSummary(ScriptedModel):
        async def stream(self, request: ModelRequest) -> AsyncIterator[ModelChunk]:
            if request.purpose == "summary":
                raise ModelError("no summary today")
            yield TextDelta("answer")

    session = spoken(4)
    before = list(session.messages)
    events = await events_of(Runtime(Agent("helper", model=NoSummary([]), context_limit=100)), session, "more")
    assert isinstance(events[-1], StreamStopped) and events[-1].reason == "completed"
    assert any(isinstance(event, Warning) and "no summary today" in event.message for event in events)
    assert session.messages[: len(before)] == before and session.summaries == []


async def test_a_pre_compact_hook_may_forbid_it_or_add_to_it() -> None:
    points: list[str] = []

    def forbid(context: hooks.HookContext) -> hooks.HookResult:
        points.append(context.source)
        return hooks.HookResult(block=True, reason="not now")

    agent = Agent("helper", model=ScriptedModel(["a"] * 9), context_limit=100, hooks={"pre_compact": forbid})
    session = spoken(2)
    events = await events_of(Runtime(agent), session, "more")
    assert points == ["limit"] and session.summaries == []
    assert any(isinstance(event, Warning) and "not now" in event.message for event in events)

    instructions: list[str] = []

    class Model(ScriptedModel):
        async def stream(self, request: ModelRequest) -> AsyncIterator[ModelChunk]:
            if request.purpose == "summary":
                instructions.append(request.instructions)
            async for chunk in super().stream(request):
                yield chunk

    adding = {"pre_compact": lambda _: hooks.HookResult(context="Keep the file names.")}
    agent = Agent("helper", model=Model(["a"] * 9), context_limit=100, hooks=adding)
    await events_of(Runtime(agent), spoken(2), "more")
    assert len(instructions) == 1 and "Keep the file names." in instructions[0]


async def test_p8_rewinding_to_before_a_summary_takes_it_back() -> None:
    runtime = Runtime(Agent("helper", model=ScriptedModel([long(30)] * 8, context_limit=150)))
    session = Session()
    for turn in range(6):
        await events_of(runtime, session, f"question {turn}", cell_id=f"cell{turn}", execution=f"run{turn}")
    assert session.summaries
    session.rewind_cell("cell0", "again")
    assert session.summaries == [] and session.messages == []


def test_what_is_read_is_the_last_summary_and_what_came_after_it() -> None:
    session = spoken(3)
    session.summaries = [Summary(4, "one"), Summary(8, "one and two")]
    messages, summarised = view(session)
    assert messages[0].content == f"{HEAD}one and two" and messages[1:] == session.messages[8:]
    assert summarised == session.messages[:8]

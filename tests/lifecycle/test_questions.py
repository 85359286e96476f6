"""The family, where somebody waits for an answer: each question is settled once, by its own answer or by the end."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import anyio
import pytest

from nbagent.agent import Agent
from nbagent.errors import AnswerRefused
from nbagent.events import ElicitationRequest, ElicitationResolved, Event, ToolCallConfirmation, ToolCallResponse
from nbagent.models import ToolCall
from nbagent.ports import ElicitationResult
from nbagent.runtime import Runtime, Stream
from nbagent.runtime.asking import ask, ask_sync
from nbagent.session import Session
from nbagent.toolsets import MCPToolset, tool
from tests import servers
from tests.runtime.support import (
    NAME_SCHEMA,
    assert_nothing_left,
    assert_whole,
    calling,
    drained,
    inside,
    scripted,
    until,
)

pytestmark = pytest.mark.anyio


async def who() -> str:
    answer = await ask("Who are you?", NAME_SCHEMA)
    return f"{answer.action} {answer.content}"


async def _cancelled(stream: Stream) -> None:
    stream.cancel()


async def _closed(stream: Stream) -> None:
    await stream.runtime.aclose()  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("end", [_cancelled, _closed])
async def test_close_against_in_flight_asks(end: Any) -> None:
    outcomes, left = list[ElicitationResult](), list[str]()

    async def asks() -> None:
        try:
            outcomes.append(await ask("From a tool that is cancelled?", NAME_SCHEMA))
        finally:
            left.append("a tool")

    def asks_on_a_thread() -> None:
        outcomes.append(ask_sync("From a thread?", NAME_SCHEMA))
        outcomes.append(ask_sync("And after the end?", NAME_SCHEMA))

    calls = [ToolCall("asks"), ToolCall("asks_on_a_thread"), ToolCall("asks")]
    runtime, session = Runtime(scripted(calls, "done", tools=[asks, asks_on_a_thread])), Session()
    async with runtime.run_stream(session, "hi") as stream:
        elsewhere = asyncio.create_task(ask("From a server's own task?", NAME_SCHEMA))
        asked = [await until(stream, ElicitationRequest) for _ in range(4)]
        await end(stream)
        assert runtime.bridge.pending == ()
        events = await drained(stream)
        outcomes.append(await elsewhere)
    with anyio.fail_after(2):
        while len(outcomes) < 3:
            await anyio.lowlevel.checkpoint()
    assert [outcome.action for outcome in outcomes] == ["cancel"] * 3
    assert left == ["a tool"] * 2
    resolved = [event.id for event in events if isinstance(event, ElicitationResolved)]
    assert sorted(resolved) == sorted(event.id for event in asked if isinstance(event, ElicitationRequest))
    for event in asked:
        assert isinstance(event, ElicitationRequest)
        with pytest.raises(AnswerRefused):
            runtime.answer(event.id, "accept", {"name": "too late"})
    assert_nothing_left(runtime, session)


@tool(approve=True)
def delete(path: str) -> str:
    """Delete a file."""
    return f"deleted {path}"


async def test_approve_all_flipped_between_two_asks() -> None:
    turns = [[ToolCall("delete", {"path": "a"}), ToolCall("delete", {"path": "b"})], ToolCall("delete", {"path": "c"})]
    runtime, session = Runtime(scripted(*turns, "done", tools=[delete])), Session()
    async with runtime.run_stream(session, "hi") as stream:
        first = await until(stream, ToolCallConfirmation)
        second = await until(stream, ToolCallConfirmation)
        assert isinstance(first, ToolCallConfirmation) and isinstance(second, ToolCallConfirmation)
        runtime.answer(second.id, "accept", {"scope": "session"})
        events = await drained(stream)
    assert not [event for event in events if isinstance(event, ToolCallConfirmation)], "the third call asks no more"
    resolved = [(event.id, event.action) for event in events if isinstance(event, ElicitationResolved)]
    assert sorted(resolved) == sorted([(first.id, "accept"), (second.id, "accept")])
    results = [message.content for message in session.messages if message.role == "tool"]
    assert results == ["deleted a", "deleted b", "deleted c"]
    assert_nothing_left(runtime, session)


async def test_two_asks_with_one_wire_id() -> None:
    """Two servers number their requests alike, each from ``ask-1``; both questions are open, and neither is swapped."""
    toolsets = [MCPToolset(*servers.first_era(), name=name, prefix=name) for name in ("left", "right")]
    calls = [ToolCall(f"{name}_ask", {"message": name}) for name in ("left", "right")]
    runtime, session = Runtime(scripted(calls, "done", toolsets=toolsets)), Session()
    try:
        async with runtime.run_stream(session, "hi", approve="all") as stream:
            asked = [await until(stream, ElicitationRequest) for _ in range(2)]
            assert len({question.id for question in runtime.bridge.pending}) == 2
            for event in reversed(asked):
                assert isinstance(event, ElicitationRequest) and event.source == event.message
                runtime.answer(event.id, "accept", {"name": f"for {event.message}"})
            events = await drained(stream)
    finally:
        await runtime.aclose()
    responses = [json.loads(event.response) for event in events if isinstance(event, ToolCallResponse)]
    assert sorted(answer["content"]["name"] for answer in responses) == ["for left", "for right"]
    results = [json.loads(message.content) for message in session.messages if message.role == "tool"]
    assert [answer["content"]["name"] for answer in results] == ["for left", "for right"]
    assert_nothing_left(runtime, session)


async def test_resolve_inside_the_request_callback() -> None:
    """Whoever is told of the question answers it there and then: ``answers=``, an observer, the consumer."""
    told, refused = list[str](), list[str]()

    def resolves(request: ElicitationRequest, name: str) -> None:
        told.append(name)
        try:
            runtime.answer(request.id, "accept", {"name": name})
        except AnswerRefused:
            refused.append(name)

    class Observing:
        lossless = True

        async def on_event(self, event: Event) -> None:
            if isinstance(event, ElicitationRequest):
                resolves(event, "observer")

    def answers(request: ElicitationRequest) -> tuple[str, dict[str, Any]]:
        resolves(request, "callback")
        return "accept", {"name": "what the callback returned"}

    runtime, session = Runtime(calling(who)), Session()
    async with runtime.run_stream(session, "hi", answers=answers, observers=[Observing()]) as stream:
        events: list[Event] = []
        with anyio.fail_after(5):
            async for event in stream:
                events.append(event)
                if isinstance(event, ElicitationRequest):
                    resolves(event, "consumer")
    assert_whole(events)
    (resolved,) = [event for event in events if isinstance(event, ElicitationResolved)]
    (response,) = [event for event in events if isinstance(event, ToolCallResponse)]
    assert sorted(told) == ["callback", "consumer", "observer"]
    winner = told[0]
    assert refused == told[1:], "whoever hears of it first can answer it, and nobody after"
    assert resolved.action == "accept" and response.response == f"accept {{'name': '{winner}'}}"
    assert_nothing_left(runtime, session)


async def test_resolve_against_cancel_300_times() -> None:
    runtime = Runtime(calling(who))
    for _ in range(300):
        session = Session()
        async with runtime.run_stream(session, "hi") as stream:
            request = await until(stream, ElicitationRequest)
            assert isinstance(request, ElicitationRequest)
            accepted: list[bool] = []

            def answer(question: str = request.id, accepted: list[bool] = accepted) -> None:
                try:
                    runtime.answer(question, "accept", {"name": "Ada"})
                    accepted.append(True)
                except AnswerRefused:
                    accepted.append(False)

            thread = threading.Thread(target=answer)
            thread.start()
            stream.cancel()
            events = await drained(stream)
            await anyio.to_thread.run_sync(thread.join)
            resolved = [event for event in events if isinstance(event, ElicitationResolved)]
            assert [event.action for event in resolved] == ["accept" if accepted[0] else "cancel"]
        assert_nothing_left(runtime, session)


async def test_an_answer_reaches_the_stream_that_asked_while_others_ask_too() -> None:
    """Three streams of one runtime ask at once, in a nest and beside it; the answers come in another order."""

    async def name_of(thing: str) -> str:
        answer = await ask(thing, NAME_SCHEMA)
        assert answer.content is not None
        return f"{thing} is {answer.content['name']}"

    things = ["left", "middle", "right"]
    agent = Agent("helper", model=scripted("unused").model, tools=[name_of])
    runtime = Runtime(agent)
    answered = anyio.Event()
    texts: dict[str, list[str]] = {}

    async def speak(thing: str) -> None:
        turns = scripted(ToolCall("name_of", {"thing": thing}), "done").model
        async with runtime.run_stream(Session(), thing, model=turns) as stream:
            texts[thing] = [e.response for e in await drained(stream) if isinstance(e, ToolCallResponse)]

    async with anyio.create_task_group() as group:
        for thing in things:
            group.start_soon(speak, thing)
        with anyio.fail_after(5):
            while len(runtime.bridge.pending) < len(things):
                await anyio.lowlevel.checkpoint()
        for question in reversed(runtime.bridge.pending):
            assert isinstance(question.request, ElicitationRequest)
            runtime.answer(question.id, "accept", {"name": question.request.message.upper()})
        answered.set()
    await inside(answered.wait)
    assert texts == {thing: [f"{thing} is {thing.upper()}"] for thing in things}
    assert_nothing_left(runtime)

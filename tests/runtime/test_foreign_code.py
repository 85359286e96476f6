"""Code of others that breaks every rule: a model, hook, tool, toolset or observer ends nothing but itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from nbagent.agent import Agent
from nbagent.errors import ConfigError, Interrupted
from nbagent.events import AgentChoice, Error, Event, HookFinished, StreamStopped, ToolCallResponse, ToolCallStarted
from nbagent.hooks import POINTS, HookContext, HookResult
from nbagent.models import ToolCall
from nbagent.ports import (
    Asker,
    ModelRequest,
    ReasoningDelta,
    TextDelta,
    Tool,
    ToolCallDelta,
    ToolContext,
    ToolResult,
    ToolSpec,
)
from nbagent.runtime import Runtime
from nbagent.session import Session, Usage
from tests.runtime.support import assert_nothing_left, assert_whole, calling, events_of, scripted, until

pytestmark = pytest.mark.anyio


class Unspeakable(Exception):
    """An error whose own text fails."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


class Yielding:
    """A model that yields whatever it was given, and raises what is an exception."""

    name = "odd"

    def __init__(self, *chunks: Any) -> None:
        self.chunks = chunks

    async def stream(self, request: ModelRequest) -> AsyncIterator[Any]:
        for chunk in self.chunks:
            if isinstance(chunk, BaseException):
                raise chunk
            yield chunk


async def _ends(agent: Agent, **options: Any) -> list[Event]:
    runtime, session = Runtime(agent), Session()
    events = await events_of(runtime, session, **options)
    assert_whole(events)
    assert_nothing_left(runtime, session)
    return events


def _reason(events: list[Event]) -> str:
    assert isinstance(events[-1], StreamStopped)
    return events[-1].reason


def _responses(events: list[Event]) -> list[ToolCallResponse]:
    return [event for event in events if isinstance(event, ToolCallResponse)]


# ---------------------------------------------------------------- models


@pytest.mark.parametrize(
    ("chunk", "words"),
    [
        (TextDelta(None), "no piece of an answer"),  # pyright: ignore[reportArgumentType]
        (ReasoningDelta(7), "no piece of an answer"),  # pyright: ignore[reportArgumentType]
        (ToolCallDelta("a", "f", None), "no piece of an answer"),  # pyright: ignore[reportArgumentType]
        (ToolCallDelta([], "f", ""), "no piece of an answer"),  # pyright: ignore[reportArgumentType]
        ("bare text", "no piece of an answer"),
        (None, "no piece of an answer"),
        (Usage(None), "TypeError"),  # pyright: ignore[reportArgumentType]
        (SystemExit(3), "SystemExit: 3"),
        (asyncio.CancelledError(), "CancelledError"),
        (Unspeakable(), "Unspeakable"),
    ],
)
async def test_p2_a_model_that_breaks_the_contract_is_a_model_error_and_the_stream_stops(
    chunk: Any, words: str
) -> None:
    events = await _ends(Agent("helper", model=Yielding(TextDelta("heard "), chunk)))
    (error,) = [event for event in events if isinstance(event, Error)]
    assert error.code == "model_error" and words in error.message
    assert _reason(events) == "error"


async def test_a_model_that_raises_before_it_streams_is_a_model_error() -> None:
    class Raising:
        name = "raising"

        def stream(self, request: ModelRequest) -> AsyncIterator[Any]:
            raise ValueError("no key")

    events = await _ends(Agent("helper", model=Raising()))
    assert [event.code for event in events if isinstance(event, Error)] == ["model_error"]


async def test_p4_a_models_iterator_is_closed_also_where_its_run_is_cancelled() -> None:
    class Iterating:
        name = "iterating"
        closed = 0

        def stream(self, request: ModelRequest) -> Any:
            return self

        def __aiter__(self) -> Any:
            return self

        async def __anext__(self) -> TextDelta:
            return TextDelta("word ")

        async def aclose(self) -> None:
            self.closed += 1

    model = Iterating()
    async with Runtime(Agent("helper", model=model)).run_stream(Session(), "hi") as stream:
        await until(stream, AgentChoice)
    assert model.closed == 1


class Counting:
    """A model that numbers its calls from 0 in every message, and gives some no identifier at all."""

    name = "counting"

    async def stream(self, request: ModelRequest) -> AsyncIterator[Any]:
        played = sum(message.role == "assistant" for message in request.messages)
        if played == 3:
            yield TextDelta("done")
            return
        yield ToolCallDelta("call_0", "", "")
        yield ToolCallDelta("call_0", "number", '{"n":')
        yield ToolCallDelta("call_0", "", f"{played}}}")
        yield ToolCallDelta("", "number", '{"n": 9}')


async def test_p8_calls_that_repeat_an_identifier_get_their_own() -> None:
    def number(n: int) -> int:
        return n

    runtime, session = Runtime(Agent("helper", model=Counting(), tools=[number])), Session()
    events = await events_of(runtime, session)
    assert_nothing_left(runtime, session)
    ids = [call.id for message in session.messages for call in message.tool_calls]
    assert len(set(ids)) == len(ids) == 6 and "" not in ids
    assert [event.tool_call_id for event in events if isinstance(event, ToolCallStarted)] == ids
    assert [m.content for m in session.messages if m.role == "tool"] == ["0", "9", "1", "9", "2", "9"]


@pytest.mark.parametrize("arguments", ['{"n": NaN}', '{"n": -Infinity}', '{"n": ' + "[" * 200_000])
async def test_arguments_that_are_no_json_are_a_failed_call(arguments: str) -> None:
    def number(n: Any) -> str:
        raise AssertionError("not reached")

    events = await _ends(scripted(ToolCall("number", arguments), "done", tools=[number]))
    (response,) = _responses(events)
    assert response.state == "failed" and "not a JSON object" in response.response
    assert _reason(events) == "completed"


# ---------------------------------------------------------------- hooks


@pytest.mark.parametrize("raised", [SystemExit(1), asyncio.CancelledError(), Unspeakable()])
@pytest.mark.parametrize("point", sorted(set(POINTS)))
async def test_a_hook_that_raises_anything_ends_neither_run_nor_loop(point: str, raised: BaseException) -> None:
    async def hook(context: HookContext) -> None:
        raise raised

    def work() -> str:
        return "worked"

    events = await _ends(calling(work, hooks={point: hook}))
    assert _reason(events) == "completed"
    if point != "session_end":
        assert [event.error for event in events if isinstance(event, HookFinished)] != [""]
    assert _responses(events)[0].state == ("refused" if point == "pre_tool_use" else "ok")


async def test_a_hook_whose_words_are_no_text_is_reported_and_passed_over() -> None:
    def hook(context: HookContext) -> HookResult:
        return HookResult(context=7)  # pyright: ignore[reportArgumentType]

    events = await _ends(scripted("hello", hooks={"user_prompt_submit": hook}))
    assert "context is no text" in next(event.error for event in events if isinstance(event, HookFinished))
    assert _reason(events) == "completed"


def test_a_hook_that_is_neither_function_nor_several_is_refused() -> None:
    with pytest.raises(ConfigError, match="neither"):
        scripted("hello", hooks={"session_end": 5})


async def test_k3_an_interrupt_of_a_session_end_hook_leaves_the_drain_whole() -> None:
    seen: list[Event] = []

    class Keeping:
        lossless = True

        async def on_event(self, event: Event) -> None:
            seen.append(event)

    def hook(context: HookContext) -> None:
        raise KeyboardInterrupt

    saved: list[int] = []

    class Saving(Keeping):
        async def load(self, session_id: str) -> Session | None:
            return None

        def begin_turn(self, session: Session) -> None: ...

        def end_turn(self, session: Session) -> None: ...

        async def save(self, session: Session) -> None:
            saved.append(len(session.messages))

    runtime, session = Runtime(scripted("hello", hooks={"session_end": hook}), Saving()), Session()
    await runtime.run(session, "hi")
    assert saved == [2] and isinstance(seen[-1], StreamStopped)
    assert_nothing_left(runtime, session)


# ---------------------------------------------------------------- tools and toolsets


class Returning:
    """A tool that returns what a tool must not."""

    spec = ToolSpec("odd", "", {"type": "object"})
    toolset = ""
    asks_approval = False

    def __init__(self, value: Any) -> None:
        self.value = value

    async def call(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        return self.value


@pytest.mark.parametrize("value", ["text", None, ToolResult(None)])  # pyright: ignore[reportArgumentType]
async def test_a_tool_that_returns_no_result_fails_its_call_alone(value: Any) -> None:
    events = await _ends(scripted(ToolCall("odd"), "done", tools=[Returning(value)]))
    (response,) = _responses(events)
    assert response.state == "failed" and "ToolResult" in response.response
    assert _reason(events) == "completed"


async def test_an_error_that_cannot_be_told_fails_its_call_alone() -> None:
    def fails() -> None:
        raise Unspeakable

    events = await _ends(calling(fails))
    assert _responses(events)[0].response == "Unspeakable"
    assert _reason(events) == "completed"


async def test_arguments_changed_in_place_change_neither_event_nor_history() -> None:
    def hook(context: HookContext) -> None:
        assert isinstance(context.arguments, dict)
        context.arguments["items"].append("from the hook")

    def count(items: list[Any]) -> int:
        return len(items)

    runtime, session = Runtime(calling(count, {"items": [1]}, hooks={"pre_tool_use": hook})), Session()
    events = await events_of(runtime, session)
    assert _responses(events)[0].response == "2"
    assert [event.arguments for event in events if isinstance(event, ToolCallStarted)] == [{"items": [1]}]
    assert session.messages[1].tool_calls[0].arguments == {"items": [1]}


@pytest.mark.parametrize("raised", [SystemExit(1), asyncio.CancelledError()])
async def test_a_toolset_that_raises_anything_is_unavailable(raised: BaseException) -> None:
    class Exiting:
        name = "exiting"

        def open(self, asker: Asker) -> Any:
            return self

        async def __aenter__(self) -> list[Tool]:
            raise raised

        async def __aexit__(self, *exc: object) -> None: ...

        async def aclose(self) -> None: ...

    events = await _ends(scripted("never said", toolsets=[Exiting()]))
    assert [event.code for event in events if isinstance(event, Error)] == ["tools_unavailable"]


# ---------------------------------------------------------------- observers


async def test_p9_an_observer_that_raises_anything_gets_the_next_event_all_the_same() -> None:
    class Raising:
        lossless = True

        def __init__(self) -> None:
            self.events: list[Event] = []

        async def on_event(self, event: Event) -> None:
            self.events.append(event)
            raise (SystemExit, asyncio.CancelledError, Unspeakable)[event.seq % 3]

    raising = Raising()
    runtime, session = Runtime(scripted("hello"), observers=[raising]), Session()
    events = await events_of(runtime, session)
    assert raising.events == events
    assert_nothing_left(runtime, session)


async def test_p1_what_is_no_observer_acquires_nothing() -> None:
    class Unspeaking:
        lossless = True

        async def on_event(self, event: Event) -> None: ...

        def __repr__(self) -> str:
            raise RuntimeError("no words")

    before = asyncio.all_tasks()
    runtime, session = Runtime(scripted("hello")), Session()
    with pytest.raises(ConfigError, match="object is no observer"):
        await runtime.run(session, "hi", observers=[Unspeaking(), object()])
    assert_nothing_left(runtime, session)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before, "no observer's task is left"
    assert (await runtime.run(session, "hi", observers=[Unspeaking()])).text == "hello"


async def test_k3_an_interrupted_model_ends_the_run_as_interrupted() -> None:
    assert _reason(await _ends(Agent("helper", model=Yielding(Interrupted())))) == "interrupted"

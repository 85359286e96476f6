"""Small agents and consumers that the runtime's tests share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anyio

from nbagent.agent import Agent
from nbagent.events import Event, StreamStarted, StreamStopped
from nbagent.models import ScriptedModel, ToolCall
from nbagent.ports import ModelChunk, ModelRequest, TextDelta
from nbagent.runtime import Runtime, Stream, live_runs
from nbagent.session import Session

NAME_SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


def scripted(*turns: Any, name: str = "helper", **options: Any) -> Agent:
    """An agent that plays `turns`."""
    return Agent(name, model=ScriptedModel(turns), **options)


def calling(function: Callable[..., Any], arguments: dict[str, Any] | None = None, **options: Any) -> Agent:
    """An agent that calls `function` once and then says "done"."""
    call = ToolCall(function.__name__, arguments or {})
    return scripted(call, "done", tools=[function], **options)


class StalledModel:
    """Says one word, tells that it is inside, and never goes on."""

    name = "stalled"

    def __init__(self) -> None:
        self.inside = anyio.Event()
        self.closed = False

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelChunk]:
        try:
            yield TextDelta("half a ")
            self.inside.set()
            await anyio.sleep_forever()
        finally:
            self.closed = True


async def drained(stream: Stream) -> list[Event]:
    """Every event of the stream."""
    with anyio.fail_after(5):
        return [event async for event in stream]


async def events_of(
    runtime: Runtime, session: Session | None = None, prompt: str = "hi", **options: Any
) -> list[Event]:
    """Every event of one run."""
    async with runtime.run_stream(session or Session(), prompt, **options) as stream:
        return await drained(stream)


async def until(stream: Stream, kind: type[Event]) -> Event:
    """Drain the stream up to its first event of `kind`."""
    with anyio.fail_after(5):
        async for event in stream:
            if isinstance(event, kind):
                return event
    raise AssertionError(f"the stream ended without {kind.type}")


async def inside(wait: Callable[[], Awaitable[Any]]) -> None:
    """Wait, boundedly, for a tool or model to say that it is inside."""
    with anyio.fail_after(5):
        await wait()


def assert_whole(events: list[Event]) -> None:
    """One start, one stop, at the two ends, and no gap in `seq`."""
    kinds = [type(event) for event in events]
    assert kinds.count(StreamStarted) == 1 and kinds[0] is StreamStarted
    assert kinds.count(StreamStopped) == 1 and kinds[-1] is StreamStopped
    assert [event.seq for event in events] == list(range(1, len(events) + 1))


def assert_nothing_left(runtime: Runtime, *sessions: Session) -> None:
    """No live stream, no pending question, no turn under way."""
    assert runtime.bridge.current is None
    assert runtime.bridge.live == ()
    assert runtime.bridge.pending == ()
    assert live_runs() == ()
    for session in sessions:
        assert not session.busy
        assert_paired(session)


def assert_paired(session: Session) -> None:
    """Each message that calls tools is followed by exactly its results, in order."""
    expected: list[str] = []
    for message in session.messages:
        if message.role == "tool":
            assert expected and message.tool_call_id == expected.pop(0)
        else:
            assert not expected, "a call has no result"
            expected = [call.id for call in message.tool_calls]
    assert not expected, "a call has no result"

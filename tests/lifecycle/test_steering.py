"""The family, where the user speaks to a stream: what is taken is read or handed back, and nothing is stranded."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import pytest

from nbagent.agent import Agent
from nbagent.errors import StreamEnded
from nbagent.events import Event, UserMessage
from nbagent.hooks import HookContext
from nbagent.models import ScriptedModel, ToolCall
from nbagent.runtime import Runtime
from nbagent.session import Message, Session
from tests.runtime.support import assert_nothing_left, assert_whole, drained, inside, scripted

pytestmark = pytest.mark.anyio


async def test_steer_and_follow_up_messages_on_an_idle_session_are_not_stranded() -> None:
    runtime, session = Runtime(scripted("one", "two")), Session()
    async with runtime.run_stream(session, "hi") as stream:
        await drained(stream)
        for speak in (stream.steer, stream.follow_up):
            with pytest.raises(StreamEnded, match="begin a new turn"):
                speak("anybody there?")
        assert stream.undelivered == ()
    assert "anybody" not in str(session.messages)
    assert (await runtime.run(session, "anybody there?")).text == "two"
    assert_nothing_left(runtime, session)


async def test_what_is_said_before_the_first_word_and_at_the_last_is_read() -> None:
    heard: list[list[str]] = []

    def last(messages: Sequence[Message]) -> str:
        heard.append([message.content for message in messages if message.role == "user"])
        if len(heard) == 2:
            stream.steer("at the last moment")
        return f"answer {len(heard)}"

    runtime, session = Runtime(Agent("helper", model=ScriptedModel([last] * 4))), Session()
    stream = runtime.run_stream(session, "hi")
    stream.steer("before it began")
    stream.follow_up("afterwards")
    async with stream:
        events = await drained(stream)
    assert_whole(events)
    said = ["hi", "before it began", "afterwards", "at the last moment"]
    assert heard == [said[:2], said[:3], said]
    assert stream.undelivered == ()
    assert_nothing_left(runtime, session)


@pytest.mark.parametrize("speak", ["steer", "follow_up"])
async def test_messages_that_a_hook_ponders_when_the_end_comes_are_handed_back(speak: str) -> None:
    pondering = anyio.Event()

    async def ponders(context: HookContext) -> None:
        if context.prompt != "hi":
            pondering.set()
            await anyio.sleep_forever()

    async def look() -> str:
        return "nothing yet"

    agent = scripted(ToolCall("look"), "done", tools=[look], hooks={"user_prompt_submit": ponders})
    runtime, session = Runtime(agent), Session()
    stream = runtime.run_stream(session, "hi")
    for words in ("first", "second"):
        getattr(stream, speak)(words)
    async with stream:
        await inside(pondering.wait)
        stream.cancel()
        events: list[Event] = await drained(stream)
    assert stream.undelivered == ("first", "second")
    assert [event.content for event in events if isinstance(event, UserMessage)] == ["hi", "first"]
    assert "first" not in str(session.messages)
    assert_nothing_left(runtime, session)

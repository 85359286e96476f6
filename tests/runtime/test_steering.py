"""Steering and follow-ups: what the user says while the agent is at work is read, or said to be unread."""

from __future__ import annotations

import threading
from typing import Any

import anyio
import pytest

from nbagent import hooks
from nbagent.agent import Agent
from nbagent.errors import ConfigError, StreamEnded
from nbagent.events import Event, HookBlocked, UserMessage, Warning
from nbagent.models import ScriptedModel, ToolCall
from nbagent.runtime import Runtime, Stream
from nbagent.session import Message, Session
from tests.runtime.support import StalledModel, assert_nothing_left, assert_whole, drained, inside, until

pytestmark = pytest.mark.anyio


class Gate:
    """A tool that tells that it runs, and waits to be let go."""

    def __init__(self) -> None:
        self.inside = anyio.Event()
        self.release = anyio.Event()

    async def work(self) -> str:
        """Work."""
        self.inside.set()
        await self.release.wait()
        return "worked"


def users(messages: list[Message]) -> list[str]:
    return [message.content for message in messages if message.role == "user"]


def said(events: list[Event]) -> list[str]:
    return [event.content for event in events if isinstance(event, UserMessage)]


async def begun(gate: Gate, session: Session, *turns: Any, **options: Any) -> tuple[Runtime, Stream]:
    """A stream whose tool runs."""
    agent = Agent("helper", model=ScriptedModel([ToolCall("work"), *turns]), tools=[gate.work], **options)
    runtime = Runtime(agent)
    return runtime, runtime.run_stream(session, "begin")


async def test_a_steering_message_joins_before_the_next_model_call() -> None:
    gate, session = Gate(), Session()
    runtime, stream = await begun(gate, session, lambda messages: f"heard {messages[-1].content}")
    async with stream:
        await inside(gate.inside.wait)
        stream.steer("use metric units")
        assert users(session.messages) == ["begin"], "not in the middle of the tool's call"
        gate.release.set()
        events = await drained(stream)
    assert_whole(events)
    assert said(events) == ["begin", "use metric units"]
    assert session.messages[-1].content == "heard use metric units"
    assert [message.role for message in session.messages] == ["user", "assistant", "tool", "user", "assistant"]
    assert_nothing_left(runtime, session)


async def test_one_that_comes_during_the_last_answer_is_answered_too() -> None:
    session = Session()
    streams: list[Stream] = []

    async def last(messages: Any) -> str:
        streams[0].steer("one more thing")
        return "the answer"

    runtime = Runtime(Agent("helper", model=ScriptedModel([last, "and that"])))
    async with runtime.run_stream(session, "begin") as stream:
        streams.append(stream)
        await drained(stream)
    assert [message.content for message in session.messages] == ["begin", "the answer", "one more thing", "and that"]
    assert stream.undelivered == ()


async def test_a_follow_up_runs_when_the_agent_has_finished() -> None:
    gate, session = Gate(), Session()
    runtime, stream = await begun(gate, session, "done", "second", "third")
    async with stream:
        await inside(gate.inside.wait)
        stream.follow_up("and then?")
        stream.follow_up("and then??")
        gate.release.set()
        events = await drained(stream)
    assert_whole(events)
    contents = [message.content for message in session.messages if message.role != "tool"]
    assert contents == ["begin", "", "done", "and then?", "second", "and then??", "third"]
    assert_nothing_left(runtime, session)


async def test_messages_from_many_threads_all_arrive() -> None:
    gate, session = Gate(), Session()
    runtime, stream = await begun(gate, session, *[str(n) for n in range(30)])
    async with stream:
        await inside(gate.inside.wait)
        threads = [threading.Thread(target=stream.steer, args=(f"s{n}",)) for n in range(10)]
        threads += [threading.Thread(target=stream.follow_up, args=(f"f{n}",)) for n in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        gate.release.set()
        await drained(stream)
    expected = {"begin", *(f"{kind}{n}" for kind in "sf" for n in range(10))}
    assert set(users(session.messages)) == expected and len(users(session.messages)) == 21
    assert_nothing_left(runtime, session)


async def test_a_message_for_a_stream_that_has_ended_is_refused() -> None:
    session = Session()
    runtime = Runtime(Agent("helper", model=ScriptedModel(["a"])))
    async with runtime.run_stream(session, "begin") as stream:
        await drained(stream)
        for say in (stream.steer, stream.follow_up):
            with pytest.raises(StreamEnded, match="new turn"):
                say("too late")
    assert users(session.messages) == ["begin"]


async def test_what_is_unread_at_an_early_end_is_said_to_be() -> None:
    model, session = StalledModel(), Session()
    runtime = Runtime(Agent("helper", model=model))
    async with runtime.run_stream(session, "begin") as stream:
        await inside(model.inside.wait)
        stream.steer("faster")
        stream.follow_up("and then?")
        stream.cancel()
        events = await drained(stream)
    assert stream.undelivered == ("faster", "and then?")
    warnings = [event.message for event in events if isinstance(event, Warning)]
    assert len(warnings) == 1 and "faster" in warnings[0] and "and then?" in warnings[0]
    assert_whole(events)
    assert_nothing_left(runtime, session)


async def test_the_prompt_hook_sees_what_is_said_later_too() -> None:
    def guard(context: hooks.HookContext) -> hooks.HookResult | None:
        if "secret" in context.prompt:
            return hooks.HookResult(block=True, reason="no secrets")
        return hooks.HookResult(updated_input=context.prompt.upper())

    gate, session = Gate(), Session()
    runtime, stream = await begun(gate, session, "done", "again", hooks={"user_prompt_submit": guard})
    async with stream:
        await inside(gate.inside.wait)
        stream.steer("a secret")
        stream.follow_up("more")
        gate.release.set()
        events = await drained(stream)
    assert users(session.messages) == ["BEGIN", "MORE"]
    assert any(isinstance(event, HookBlocked) and event.reason == "no secrets" for event in events)
    assert_nothing_left(runtime, session)


async def test_a_stop_hook_may_have_the_agent_go_on() -> None:
    answers: list[str] = []

    def not_yet(context: hooks.HookContext) -> hooks.HookResult | None:
        answers.append(context.response)
        return hooks.HookResult(block=True, reason="Run the tests first.") if len(answers) == 1 else None

    session = Session()
    agent = Agent("helper", model=ScriptedModel(["done", "tests pass"]), hooks={"stop": not_yet})
    await Runtime(agent).run(session, "fix it")
    assert answers == ["done", "tests pass"]
    assert users(session.messages) == ["fix it", "Run the tests first."]


async def test_an_empty_message_is_refused() -> None:
    stream = Runtime(Agent("helper", model=ScriptedModel(["a"]))).run_stream(Session(), "begin")
    with pytest.raises(ConfigError, match="empty"):
        stream.steer("  ")


async def test_one_that_comes_before_the_stream_has_begun_is_read() -> None:
    session = Session()
    runtime = Runtime(Agent("helper", model=ScriptedModel(["a", "b"])))
    stream = runtime.run_stream(session, "begin")
    stream.follow_up("and then?")
    async with stream:
        assert await until(stream, UserMessage)
        await drained(stream)
    assert users(session.messages) == ["begin", "and then?"]

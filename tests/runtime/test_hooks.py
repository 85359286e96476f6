"""Hooks in a run: when each is called, what it may want, and that one which hangs holds nothing up."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anyio
import psutil
import pytest

import nbagent
from nbagent import boundary, schema
from nbagent.agent import Agent, Team
from nbagent.errors import ModelError, ToolError
from nbagent.events import (
    ElicitationRequest,
    Event,
    HookBlocked,
    HookFinished,
    HookStarted,
    StreamStopped,
    ToolCallConfirmation,
    ToolCallResponse,
    Warning,
)
from nbagent.hooks import POINTS, CommandHook, HookContext, HookResult, matching
from nbagent.models import ToolCall
from nbagent.runtime import Runtime
from nbagent.session import Message, Session
from nbagent.toolsets import FunctionTool
from tests.runtime.support import (
    NAME_SCHEMA,
    assert_nothing_left,
    assert_paired,
    assert_whole,
    calling,
    drained,
    events_of,
    inside,
    scripted,
    until,
)

pytestmark = pytest.mark.anyio
schema.warm()  # so that no test measures its imports


def echo(text: str = "hello") -> str:
    """Say it back."""
    return text


def fails(text: str = "") -> str:
    """Fail."""
    raise ToolError("no luck")


async def asks() -> str:
    """Ask for a name."""
    answer = await nbagent.ask("Who?", NAME_SCHEMA)
    return f"{answer.action} {answer.content}"


GUARDED = FunctionTool(echo, name="guarded", approve=True)


def of(events: list[Event], kind: type[Any]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def stopped_by(events: list[Event]) -> str:
    last = events[-1]
    assert isinstance(last, StreamStopped)
    return last.reason


def stopped(events: list[Event]) -> tuple[str, str]:
    assert_whole(events)
    last = events[-1]
    assert isinstance(last, StreamStopped)
    return last.reason, last.message


# ---------------------------------------------------------------- when they are called


async def test_each_point_is_told_its_own() -> None:
    told: list[HookContext] = []
    hooks = dict.fromkeys(POINTS, told.append)
    agent = scripted(ToolCall("echo", {"text": "x"}, "call_1"), "done", tools=[echo], hooks=hooks)
    runtime, session = Runtime(agent), Session()
    await events_of(runtime, session, prompt="go")
    points = [(context.point, context.response, context.source, context.reason) for context in told]
    assert points == [
        ("session_start", "", "startup", ""),
        ("user_prompt_submit", "", "", ""),
        ("before_llm_call", "", "", ""),
        ("after_llm_call", "", "", ""),
        ("pre_tool_use", "", "", ""),
        ("post_tool_use", "x", "", ""),
        ("before_llm_call", "", "", ""),
        ("after_llm_call", "done", "", ""),
        ("stop", "done", "", ""),
        ("session_end", "", "", "completed"),
    ]
    assert {context.prompt for context in told} == {"go"}
    assert all(context.session is session and context.agent_name == "helper" for context in told)
    (before,) = [context for context in told if context.point == "pre_tool_use"]
    assert (before.tool_name, before.tool_call_id, before.arguments) == ("echo", "call_1", {"text": "x"})
    told.clear()
    await events_of(runtime, session)
    assert told[0].source == "resume"


async def test_the_teams_hooks_are_called_before_the_agents() -> None:
    order: list[str] = []
    first, second = (lambda c: order.append("team")), (lambda c: order.append("agent"))
    agent = scripted("hello", hooks={"stop": second})
    await events_of(Runtime(Team(agent, hooks={"stop": first})))
    assert order == ["team", "agent"]


async def test_a_matcher_chooses_by_the_tools_name() -> None:
    called: list[str] = []
    note: Callable[[HookContext], None] = lambda c: called.append(f"{c.point} {c.tool_name}")  # noqa: E731
    hooks = {"pre_tool_use": matching("ec.o", note), "post_tool_use": [matching("fai", note), matching("*", note)]}
    agent = scripted([ToolCall("echo"), ToolCall("fails")], "done", tools=[echo, fails], hooks=hooks)
    events = await events_of(Runtime(agent))
    assert sorted(called) == ["post_tool_use echo", "post_tool_use fails", "pre_tool_use echo"]
    assert len(of(events, HookStarted)) == 3


async def test_post_tool_use_hears_of_a_failure_and_of_no_refusal() -> None:
    told: list[tuple[str, str, bool]] = []
    hooks = {
        "pre_tool_use": matching("guarded", lambda c: HookResult(block=True)),
        "post_tool_use": lambda c: told.append((c.tool_name, c.response, c.is_error)),
    }
    calls = [ToolCall("echo"), ToolCall("fails"), ToolCall("guarded"), ToolCall("unknown")]
    events = await events_of(Runtime(scripted(calls, "done", tools=[echo, fails, GUARDED], hooks=hooks)))
    assert sorted(told) == [("echo", "hello", False), ("fails", "no luck", True)]
    states = {event.name: event.state for event in of(events, ToolCallResponse)}
    assert states == {"echo": "ok", "fails": "failed", "guarded": "refused", "unknown": "failed"}


async def test_post_tool_use_adds_to_a_failure_and_withholds_it() -> None:
    for result, text in (
        (HookResult(context="Try again."), "no luck\n\nTry again."),
        (HookResult(block=True, reason="secret"), "The result was withheld: secret"),
    ):
        events = await events_of(Runtime(calling(fails, hooks={"post_tool_use": lambda c, result=result: result})))
        (response,) = of(events, ToolCallResponse)
        assert (response.response, response.state) == (text, "failed")


async def test_user_prompt_submit_does_not_fire_in_nested_streams() -> None:
    prompts: list[tuple[str, str]] = []
    note: Callable[[HookContext], None] = lambda c: prompts.append((c.agent_name, c.prompt))  # noqa: E731
    child = scripted("found", name="child", hooks={"user_prompt_submit": note})
    parent = scripted(ToolCall("transfer_task", {"agent": "child", "task": "seek"}), "done", sub_agents=[child])
    await events_of(Runtime(Team(parent, hooks={"user_prompt_submit": note})), prompt="go")
    assert prompts == [("helper", "go")]


# ---------------------------------------------------------------- what they may want


@pytest.mark.parametrize("point", sorted({*POINTS} - {"on_error", "session_end", "pre_compact", "on_user_input"}))
async def test_a_hook_stops_the_whole_run_from_every_point(point: str) -> None:
    after: list[str] = []

    def hook(context: HookContext) -> HookResult:
        return HookResult(stop=True, reason="enough")

    def speaks(messages: Sequence[Message]) -> str:
        after.append("model")
        return "done"

    agent = scripted(
        [ToolCall("guarded"), ToolCall("guarded")], speaks, speaks, tools=[GUARDED],
        hooks={point: [hook, lambda c: after.append("another")]},
    )  # fmt: skip
    runtime, session = Runtime(agent), Session()
    approve = "ask" if point == "permission_request" else "all"
    events = await events_of(runtime, session, approve=approve)
    assert stopped(events) == ("hook_blocked", "enough")
    assert {(event.point, event.reason) for event in of(events, HookBlocked)} == {(point, "enough")}
    assert after == (["model"] if point == "stop" else [])
    assert_nothing_left(runtime, session)


async def test_a_hook_of_a_question_stops_the_whole_run() -> None:
    runtime, session = Runtime(calling(asks, hooks={"on_user_input": lambda c: HookResult(stop=True)})), Session()
    events = await events_of(runtime, session)
    assert stopped(events) == ("hook_blocked", "blocked by the hook <lambda>")
    assert of(events, ToolCallResponse)[0].state == "cancelled"
    assert_nothing_left(runtime, session)


@pytest.mark.parametrize("point", ["on_error", "session_end"])
async def test_a_run_that_ends_already_keeps_its_reason(point: str) -> None:
    hooks = {point: lambda c: HookResult(stop=True, block=True, reason="enough")}
    events = await events_of(Runtime(scripted(ZeroDivisionError("x"), hooks=hooks)))
    assert stopped(events)[0] == "error"
    assert of(events, HookBlocked) == []


async def test_a_childs_stop_is_no_stop_of_its_parent() -> None:
    child = scripted("never", name="child", hooks={"session_start": lambda c: HookResult(stop=True, reason="no")})
    parent = scripted(ToolCall("transfer_task", {"agent": "child", "task": "seek"}), "done", sub_agents=[child])
    runtime, session = Runtime(parent), Session()
    async with runtime.run_stream(session, "go") as stream:
        events = await drained(stream)
    assert [event.reason for event in of(events, StreamStopped)] == ["hook_blocked", "completed"]
    assert_nothing_left(runtime, session)


async def test_a_message_is_a_warning_and_suppress_keeps_quiet() -> None:
    hooks = {"stop": lambda c: HookResult(message="look out", suppress=True)}
    events = await events_of(Runtime(scripted("hello", hooks=hooks)))
    assert [(event.message, event.hook) for event in of(events, Warning)] == [("look out", "<lambda>")]
    assert len(of(events, HookStarted)) == 1
    assert of(events, HookFinished) == []


async def test_the_call_is_told_as_the_model_made_it() -> None:
    from nbagent.events import ToolCallStarted

    session = Session()
    hooks = {"pre_tool_use": lambda c: HookResult(updated_input={"text": "changed"})}
    events = await events_of(Runtime(calling(echo, {"text": "asked"}, hooks=hooks)), session)
    assert of(events, ToolCallStarted)[0].arguments == {"text": "asked"}
    assert of(events, ToolCallResponse)[0].response == "changed"
    assert session.messages[1].tool_calls[0].arguments == {"text": "asked"}


@pytest.mark.parametrize("updated", ["text", 5, ["a"]])
async def test_arguments_that_are_no_object_fail_the_call(updated: Any) -> None:
    events = await events_of(
        Runtime(calling(echo, hooks={"pre_tool_use": lambda c: HookResult(updated_input=updated)}))
    )
    assert "must be an object" in of(events, ToolCallResponse)[0].response


# ---------------------------------------------------------------- on_user_input


async def test_on_user_input_is_told_of_each_question_that_waits_for_a_person() -> None:
    told: list[Event | None] = []
    both = anyio.Event()

    def note(context: HookContext) -> None:
        told.append(context.question)
        if len(told) == 2:
            both.set()

    agent = scripted(
        [ToolCall("asks"), ToolCall("guarded")], "done", tools=[asks, GUARDED], hooks={"on_user_input": note}
    )
    runtime = Runtime(agent)
    async with runtime.run_stream(Session(), "hi") as stream:
        questions = {type(event): event for event in [await until(stream, ElicitationRequest)]}
        questions[ToolCallConfirmation] = await until(stream, ToolCallConfirmation)
        await inside(both.wait)
        for event in questions.values():
            runtime.answer(event.id, "decline")  # pyright: ignore[reportAttributeAccessIssue]
        await drained(stream)
    assert {type(event): event for event in told} == questions


@pytest.mark.parametrize("options", [{"answers": {"name": "Ada"}}, {"unattended": "nobody is here"}])
async def test_on_user_input_is_for_questions_that_wait(options: dict[str, Any]) -> None:
    told: list[HookContext] = []
    events = await events_of(Runtime(calling(asks, hooks={"on_user_input": told.append})), **options)
    assert of(events, ToolCallResponse)[0].state == "ok"
    assert told == []


async def test_on_user_input_delays_no_answer_and_ends_with_the_run() -> None:
    begun, ends = anyio.Event(), anyio.Event()

    async def hang(context: HookContext) -> None:
        begun.set()
        try:
            await anyio.sleep_forever()
        finally:
            ends.set()

    runtime, session = Runtime(calling(asks, hooks={"on_user_input": hang})), Session()
    async with runtime.run_stream(session, "hi") as stream:
        question = await until(stream, ElicitationRequest)
        await inside(begun.wait)
        runtime.answer(question.id, "accept", {"name": "Ada"})  # pyright: ignore[reportAttributeAccessIssue]
        events = await drained(stream)
    assert of(events, ToolCallResponse)[0].response == "accept {'name': 'Ada'}"
    assert stopped_by(events) == "completed"
    assert ends.is_set()
    assert_nothing_left(runtime, session)


async def test_an_on_user_input_hook_that_asks_is_not_told_of_its_own_question() -> None:
    calls = 0

    async def hook(context: HookContext) -> None:
        nonlocal calls
        calls += 1
        await nbagent.ask("And you?")

    runtime, session = Runtime(calling(asks, hooks={"on_user_input": hook})), Session()
    async with runtime.run_stream(session, "hi") as stream:
        for _ in range(2):
            question = await until(stream, ElicitationRequest)
            runtime.answer(question.id, "decline")  # pyright: ignore[reportAttributeAccessIssue]
        await drained(stream)
    assert calls == 1
    assert_nothing_left(runtime, session)


async def test_k3_an_interrupt_of_an_on_user_input_hook_ends_the_run_as_interrupted() -> None:
    def hook(context: HookContext) -> None:
        assert boundary.active()
        raise KeyboardInterrupt

    runtime, session = Runtime(calling(asks, hooks={"on_user_input": hook})), Session()
    assert stopped(await events_of(runtime, session))[0] == "interrupted"
    assert_nothing_left(runtime, session)


# ---------------------------------------------------------------- hooks that hang


HANGING = sorted({*POINTS} - {"on_error", "session_end", "pre_compact"})


def _hangs_at(point: str, hook: Any) -> Agent:
    calls = [ToolCall("asks")] if point == "on_user_input" else [ToolCall("guarded")]
    return scripted(calls, "done", tools=[asks, GUARDED], hooks={point: hook})


@pytest.mark.parametrize("reason", ["cancelled", "interrupted"])
@pytest.mark.parametrize("point", HANGING)
async def test_a_hook_that_hangs_is_cancelled_with_its_run(point: str, reason: Any) -> None:
    begun, ends = anyio.Event(), anyio.Event()

    async def hang(context: HookContext) -> None:
        begun.set()
        try:
            await anyio.sleep_forever()
        finally:
            ends.set()

    runtime, session = Runtime(_hangs_at(point, hang)), Session()
    approve = "ask" if point == "permission_request" else "all"
    async with runtime.run_stream(session, "hi", approve=approve) as stream:
        await inside(begun.wait)
        stream.cancel(reason)
        assert stopped(await drained(stream))[0] == reason
    assert ends.is_set()
    assert_nothing_left(runtime, session)


@pytest.mark.parametrize("point", ["pre_tool_use", "permission_request", "on_user_input", "before_llm_call"])
async def test_a_hook_that_hangs_holds_no_other_stream_and_no_answer_up(point: str) -> None:
    begun, go_on = anyio.Event(), anyio.Event()

    async def hang(context: HookContext) -> None:
        if context.prompt == "first" or context.question is not None:
            begun.set()
            await go_on.wait()

    def speak(messages: Sequence[Message]) -> Any:
        return "done" if messages[-1].role == "tool" else [ToolCall("asks"), ToolCall("guarded")]

    runtime = Runtime(scripted(*[speak] * 4, tools=[asks, GUARDED], hooks={point: hang}))
    async with runtime.run_stream(Session(), "first") as first:
        await inside(begun.wait)
        async with runtime.run_stream(Session(), "second") as second:
            for kind in (ElicitationRequest, ToolCallConfirmation):
                question = await until(second, kind)
                runtime.answer(question.id, "decline")  # pyright: ignore[reportAttributeAccessIssue]
            assert stopped_by(await drained(second)) == "completed"
        assert first.stopped is None
        go_on.set()


async def test_a_second_question_of_the_same_run_is_answered_while_a_hook_hangs() -> None:
    begun = anyio.Event()

    async def hang(context: HookContext) -> None:
        begun.set()
        await anyio.sleep_forever()

    agent = scripted(
        [ToolCall("guarded"), ToolCall("asks")], "done", tools=[asks, GUARDED], hooks={"permission_request": hang}
    )
    runtime, session = Runtime(agent), Session()
    async with runtime.run_stream(session, "hi") as stream:
        await inside(begun.wait)
        question = await until(stream, ElicitationRequest)
        runtime.answer(question.id, "accept", {"name": "Ada"})  # pyright: ignore[reportAttributeAccessIssue]
        response = await until(stream, ToolCallResponse)
        assert isinstance(response, ToolCallResponse) and response.response == "accept {'name': 'Ada'}"
    assert_paired(session)
    assert_nothing_left(runtime, session)


# ---------------------------------------------------------------- commands


def guard(code: str, **options: Any) -> CommandHook:
    return CommandHook([sys.executable, "-I", "-S", "-c", code], **options)


def says(said: dict[str, Any]) -> CommandHook:
    return guard(f"print({json.dumps(json.dumps(said))})")


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children()}


@pytest.mark.parametrize(
    ("hook", "state", "words"),
    [
        (CommandHook("exit 0"), "ok", "hello"),
        (CommandHook("echo 'no echoes' >&2; exit 2"), "refused", "The call was blocked: no echoes"),
        (CommandHook("exit 1"), "refused", "the hook exit failed, so the call was not made"),
        (CommandHook(["./no-such-guard.py"]), "refused", "the hook no-such-guard.py failed, so the call was not made"),
        (CommandHook("sleep 60", timeout=0.1), "refused", "the hook sleep failed, so the call was not made"),
        (CommandHook("echo '{'"), "refused", "the hook echo failed, so the call was not made"),
        (says({"decision": "deny"}), "refused", "failed, so the call was not made"),
        (says({"decision": "block", "reason": "no"}), "refused", "The call was blocked: no"),
        (says({"hook_specific_output": {"permission_decision": "deny"}}), "refused", "The call was blocked"),
        (says({"hook_specific_output": {"updated_input": {"text": "other"}}}), "ok", "other"),
        (says({"hookSpecificOutput": {"additionalContext": "It is Sunday."}}), "ok", "hello\n\nIt is Sunday."),
        (CommandHook("echo 'It is Sunday.'"), "ok", "hello\n\nIt is Sunday."),
    ],
)
async def test_a_command_guards_a_call(hook: CommandHook, state: str, words: str) -> None:
    runtime, session = Runtime(calling(echo, hooks={"pre_tool_use": matching("echo", hook)})), Session()
    events = await events_of(runtime, session)
    (response,) = of(events, ToolCallResponse)
    assert response.state == state and words in response.response
    assert stopped(events)[0] == "completed"


@pytest.mark.parametrize("command", [CommandHook("exit 1"), CommandHook(["./nothing"]), says({"continue": 0})])
@pytest.mark.parametrize("point", ["session_start", "user_prompt_submit", "post_tool_use", "stop", "before_llm_call"])
async def test_a_command_that_fails_elsewhere_is_a_warning(point: str, command: CommandHook) -> None:
    events = await events_of(Runtime(calling(echo, hooks={point: command})))
    assert stopped(events)[0] == "completed"
    assert f"The hook {command.__name__} of {point} failed: CommandFailed: it" in of(events, Warning)[0].message


async def test_a_command_stops_the_run_from_within_a_call() -> None:
    stop = says({"continue": False, "stop_reason": "over budget"})
    runtime, session = Runtime(calling(echo, hooks={"post_tool_use": stop})), Session()
    assert stopped(await events_of(runtime, session)) == ("hook_blocked", "over budget")
    assert_nothing_left(runtime, session)


@pytest.mark.parametrize("reason", ["cancelled", "interrupted", "superseded"])
@pytest.mark.parametrize("point", ["user_prompt_submit", "pre_tool_use", "permission_request", "on_user_input"])
async def test_a_command_that_hangs_ends_with_its_run_and_leaves_nothing(
    tmp_path: Path, point: str, reason: Any
) -> None:
    before, pipe = children(), tmp_path / "pipe"
    os.mkfifo(pipe)
    hook = CommandHook(f"echo begun > {pipe}; sleep 60")
    runtime, session = Runtime(_hangs_at(point, hook)), Session()
    async with runtime.run_stream(session, "hi") as stream:
        assert await asyncio.wait_for(asyncio.to_thread(pipe.read_text), 5) == "begun\n"
        assert children() > before
        stream.cancel(reason)
        assert stopped(await drained(stream))[0] == reason
        await stream.join()
        assert children() == before
    assert_nothing_left(runtime, session)


async def test_a_session_end_command_that_hangs_is_ended_in_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    from nbagent.runtime import cleanup

    monkeypatch.setattr(cleanup, "GRACE", 0.3)
    monkeypatch.setattr(cleanup, "HOOK_GRACE", 0.1)
    before = children()
    runtime, session = Runtime(scripted("hello", hooks={"session_end": CommandHook("sleep 60")})), Session()
    with anyio.fail_after(5):
        await events_of(runtime, session)
    assert children() == before
    assert_nothing_left(runtime, session)


async def test_a_command_is_told_the_question_and_the_failure(tmp_path: Path) -> None:
    asked, failed = tmp_path / "asked", tmp_path / "failed"
    hooks = {
        "on_user_input": CommandHook(f"cat > {asked}"),
        "on_error": CommandHook(f"cat > {failed}"),
    }

    def fail(messages: Sequence[Message]) -> str:
        raise ModelError("boom", "rate_limited")

    runtime = Runtime(scripted(ToolCall("asks"), fail, tools=[asks], hooks=hooks))
    async with runtime.run_stream(Session(), "hi") as stream:
        question = await until(stream, ElicitationRequest)
        await until(stream, HookFinished)
        runtime.answer(question.id, "decline")  # pyright: ignore[reportAttributeAccessIssue]
        await drained(stream)
    assert json.loads(asked.read_text())["question"] == question.to_dict()
    told = json.loads(failed.read_text())
    assert (told["error"], told["code"]) == ("ModelError: boom", "rate_limited")


async def test_run_sync_in_a_running_loop_runs_commands() -> None:
    agent = calling(echo, hooks={"pre_tool_use": CommandHook("echo from a command")})
    assert "from a command" in nbagent.run_sync(agent, "hi").messages[2].content

"""P11 in a run: rules, scopes, edited arguments, and an approval that settles whatever it covers."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import anyio
import pytest

from nbagent import schema
from nbagent.agent import Agent, Team
from nbagent.errors import AnswerRefused, ConfigError, InvalidAnswer
from nbagent.events import ElicitationResolved, Event, HookBlocked, ToolCallConfirmation, ToolCallResponse, Warning
from nbagent.hooks import HookContext, HookResult
from nbagent.models import ScriptedModel, ToolCall
from nbagent.permissions import Permissions
from nbagent.ports import ToolContext, ToolResult, ToolSpec
from nbagent.runtime import Runtime, Stream
from nbagent.session import Session
from nbagent.toolsets import FunctionTool
from tests.runtime.support import assert_nothing_left, drained, events_of, scripted, until

pytestmark = pytest.mark.anyio

schema.warm()  # so that no test measures its imports
RAN: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_ran() -> None:  # pyright: ignore[reportUnusedFunction]
    RAN.clear()


def run_shell(cmd: str) -> str:
    """Run a command."""
    RAN.append(cmd)
    return f"ran {cmd}"


SHELL = FunctionTool(run_shell, name="shell", approve=True)
LOOK = FunctionTool(run_shell, name="look")


def shelling(*commands: str, tool: str = "shell", **options: Any) -> Agent:
    """Asks for all the commands in one message."""
    return scripted([ToolCall(tool, {"cmd": cmd}) for cmd in commands], "done", tools=[SHELL, LOOK], **options)


def responses(events: list[Event]) -> list[ToolCallResponse]:
    return [event for event in events if isinstance(event, ToolCallResponse)]


def asked(events: list[Event]) -> list[ToolCallConfirmation]:
    return [event for event in events if isinstance(event, ToolCallConfirmation)]


async def confirmation(stream: Stream) -> ToolCallConfirmation:
    event = await until(stream, ToolCallConfirmation)
    assert isinstance(event, ToolCallConfirmation)
    return event


# ---------------------------------------------------------------- rules


@pytest.mark.parametrize("where", ["agent", "team"])
@pytest.mark.parametrize(
    ("rules", "state", "words"),
    [
        (Permissions(deny=["shell:cmd=rm*"]), "refused", "a rule denies it (shell:cmd=rm*)"),
        (Permissions(allow=["shell:cmd=rm*"]), "ok", "ran rm x"),
    ],
)
async def test_p11_rules_of_agent_or_team_decide_unasked(
    where: str, rules: Permissions, state: str, words: str
) -> None:
    agent = shelling("rm x", permissions=rules if where == "agent" else None)
    team = Team(agent, permissions=rules if where == "team" else None)
    events = await events_of(Runtime(team), approve="ask" if state == "ok" else "all")
    (response,) = responses(events)
    assert (response.state, asked(events)) == (state, [])
    assert words in response.response
    ran = ["rm x"] if state == "ok" else []
    assert ran == RAN


async def test_p11_a_harmless_tool_is_asked_about_where_a_rule_says_so() -> None:
    runtime = Runtime(shelling("ls", tool="look", permissions=Permissions(ask=["look"])))
    async with runtime.run_stream(Session(), "hi") as stream:
        runtime.answer((await confirmation(stream)).id, "decline", {"reason": "not now"})
        assert responses(await drained(stream))[0].response == "The user did not approve the call: not now"


def test_p11_permissions_are_permissions() -> None:
    with pytest.raises(ConfigError, match=r"give nbagent\.permissions\.Permissions"):
        shelling("ls", permissions={"deny": ["shell"]})
    with pytest.raises(ConfigError, match=r"give nbagent\.permissions\.Permissions"):
        Team(shelling("ls"), permissions=["shell"])  # pyright: ignore[reportArgumentType]


# ---------------------------------------------------------------- scopes


async def test_p11_once_is_for_one_call() -> None:
    runtime, session = Runtime(shelling("ls a", "ls b")), Session()
    async with runtime.run_stream(session, "hi") as stream:
        first, second = await confirmation(stream), await confirmation(stream)
        runtime.answer(first.id, "accept", {"scope": "once"})
        assert await until(stream, ToolCallResponse)
        assert [question.id for question in runtime.bridge.pending] == [second.id]
        runtime.answer(second.id, "accept")
        await drained(stream)
    assert sorted(RAN) == ["ls a", "ls b"]
    assert (session.approved, runtime.approved) == (set(), {})


@pytest.mark.parametrize(
    ("content", "settled"),
    [
        ({"scope": "session"}, ["ls a", "ls b", "rm c"]),
        ({"scope": "all"}, ["ls a", "ls b", "rm c"]),
        ({"scope": "always"}, ["ls a", "ls b"]),
        ({"scope": "always", "pattern": "shell:cmd=* a"}, ["ls a"]),
        ({"scope": "always", "pattern": "sh*"}, ["ls a", "ls b", "rm c"]),
    ],
)
async def test_approve_all_flipped_between_two_asks(content: dict[str, Any], settled: list[str]) -> None:
    runtime, session = Runtime(shelling("ls a", "ls b", "rm c")), Session()
    async with runtime.run_stream(session, "hi") as stream:
        asks = {ask.arguments["cmd"]: ask for ask in [await confirmation(stream) for _ in range(3)]}
        runtime.answer(asks["ls a"].id, "accept", content)
        rest = [ask for command, ask in asks.items() if command not in settled]
        events = [await until(stream, ToolCallResponse) for _ in settled]
        assert [question.id for question in runtime.bridge.pending] == [ask.id for ask in rest]
        for ask in rest:
            runtime.answer(ask.id, "decline")
        events = await drained(stream)
    assert sorted(RAN) == settled
    assert events
    assert_nothing_left(runtime, session)


async def test_approve_all_settles_each_question_exactly_once() -> None:
    runtime = Runtime(shelling("a", "b"))
    async with runtime.run_stream(Session(), "hi") as stream:
        first, second = await confirmation(stream), await confirmation(stream)
        runtime.answer(first.id, "accept", {"scope": "all"})
        events = await drained(stream)
        with pytest.raises(AnswerRefused):
            runtime.answer(second.id, "decline")
    resolved = [(event.id, event.action) for event in events if isinstance(event, ElicitationResolved)]
    assert sorted(resolved) == sorted([(first.id, "accept"), (second.id, "accept")])
    assert [response.state for response in responses(events)] == ["ok", "ok"]


async def test_p11_a_call_that_comes_to_ask_meanwhile_is_not_asked() -> None:
    """The hook of the second call holds it back until the first was approved for the session."""
    held = anyio.Event()

    async def hold(context: HookContext) -> None:
        if context.arguments == {"cmd": "b"}:
            await held.wait()

    runtime = Runtime(shelling("a", "b", hooks={"permission_request": hold}))
    async with runtime.run_stream(Session(), "hi") as stream:
        runtime.answer((await confirmation(stream)).id, "accept", {"scope": "session"})
        await until(stream, ToolCallResponse)
        held.set()
        events = await drained(stream)
    assert asked(events) == []
    assert RAN == ["a", "b"]


async def test_p11_all_is_for_the_session_and_every_tool() -> None:
    agent = scripted(
        ToolCall("shell", {"cmd": "a"}), "one", ToolCall("other", {"cmd": "b"}), "two",
        tools=[SHELL, FunctionTool(run_shell, name="other", approve=True)],
    )  # fmt: skip
    runtime, session = Runtime(agent), Session()
    async with runtime.run_stream(session, "hi") as stream:
        runtime.answer((await confirmation(stream)).id, "accept", {"scope": "all"})
        await drained(stream)
    assert asked(await events_of(runtime, session)) == []
    assert RAN == ["a", "b"]
    assert session.approved == {"*"}


async def test_p11_always_is_for_every_session_of_the_agent_and_for_no_other_agent() -> None:
    names = ("first", "second")
    agents = [
        Agent(name, model=ScriptedModel([ToolCall("shell", {"cmd": f"ls {i}"}), "done"] * 2), tools=[SHELL])
        for i, name in enumerate(names)
    ]
    runtime = Runtime(Team(*agents))
    async with runtime.run_stream(Session(), "hi") as stream:
        event = await confirmation(stream)
        assert event.pattern == "shell:cmd=ls *"
        runtime.answer(event.id, "accept", {"scope": "always"})
        await drained(stream)
    assert runtime.approved == {"first": {"shell:cmd=ls *"}}
    assert asked(await events_of(runtime)) == []
    other = Session(agent="second")
    assert responses(await events_of(runtime, other, unattended="nobody is here"))[0].state == "refused"
    assert responses(await events_of(Runtime(Team(*agents[1:])), unattended="nobody"))[0].state == "refused"


async def test_p11_a_deny_rule_holds_against_every_approval() -> None:
    runtime, session = Runtime(shelling("ls", "rm", permissions=Permissions(deny=["shell:cmd=rm*"]))), Session()
    session.approved.add("*")
    runtime.approved["helper"] = {"*"}
    events = await events_of(runtime, session, approve="all")
    assert [response.state for response in responses(events)].count("refused") == 1
    assert RAN == ["ls"]


async def test_p11_a_childs_approvals_stay_the_childs() -> None:
    child = shelling("ls", name="child")
    parent = scripted(
        [ToolCall("transfer_task", {"agent": "child", "task": "list"})], ToolCall("shell", {"cmd": "pwd"}), "done",
        tools=[SHELL], sub_agents=[child],
    )  # fmt: skip
    runtime, session = Runtime(parent), Session()
    async with runtime.run_stream(session, "hi") as stream:
        first = await confirmation(stream)
        assert first.agent_name == "child"
        runtime.answer(first.id, "accept", {"scope": "session"})
        second = await confirmation(stream)
        assert second.agent_name == "helper"
        runtime.answer(second.id, "decline")
        await drained(stream)
    assert session.approved == set()
    assert RAN == ["ls"]


async def test_p11_a_tool_whose_name_is_a_pattern_is_approved_alone() -> None:
    class Wild:
        spec = ToolSpec("*", "", {"type": "object"})
        toolset = "server"
        asks_approval = True

        async def call(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
            return ToolResult("fine")

    agent = scripted(ToolCall("*"), "one", ToolCall("shell", {"cmd": "ls"}), "two", tools=[Wild(), SHELL])
    runtime, session = Runtime(agent), Session()
    async with runtime.run_stream(session, "hi") as stream:
        runtime.answer((await confirmation(stream)).id, "accept", {"scope": "session"})
        await drained(stream)
    assert responses(await events_of(runtime, session, unattended="nobody"))[0].state == "refused"
    assert RAN == []


# ---------------------------------------------------------------- answers that cannot be taken


@pytest.mark.parametrize(
    ("action", "content", "field"),
    [
        ("accept", {"scope": "forever"}, "scope"),
        ("accept", {"scope": ["once"]}, "scope"),
        ("accept", {"scope": "always", "pattern": "shell:ls"}, "pattern"),
        ("accept", {"scope": "always", "pattern": ["shell"]}, "pattern"),
        ("accept", {"arguments": ["ls"]}, "arguments"),
        ("accept", {"arguments": {}}, "arguments"),
        ("accept", {"arguments": {"cmd": 5}}, "arguments"),
        ("accept", {"arguments": {"cmd": "rm x"}}, "arguments"),
        ("decline", {"reason": 5}, "reason"),
    ],
)
async def test_p6_an_answer_that_cannot_be_taken_leaves_the_question_open(
    action: str, content: dict[str, Any], field: str
) -> None:
    runtime, session = Runtime(shelling("ls", permissions=Permissions(deny=["shell:cmd=rm*"]))), Session()
    async with runtime.run_stream(session, "hi") as stream:
        event = await confirmation(stream)
        with pytest.raises(InvalidAnswer) as invalid:
            runtime.answer(event.id, action, content)
        assert list(invalid.value.errors) == [field]
        assert [question.id for question in runtime.bridge.pending] == [event.id]
        runtime.answer(event.id, "accept")
        await drained(stream)
    assert RAN == ["ls"]
    assert (session.approved, runtime.approved) == (set(), {})


async def test_p11_always_without_a_pattern_needs_a_suggestion() -> None:
    runtime = Runtime(shelling("a\nb"))
    async with runtime.run_stream(Session(), "hi") as stream:
        event = await confirmation(stream)
        assert event.pattern == ""
        with pytest.raises(InvalidAnswer, match="cannot be read"):
            runtime.answer(event.id, "accept", {"scope": "always"})


# ---------------------------------------------------------------- edited arguments


async def test_p11_edited_arguments_run_and_the_model_reads_of_it() -> None:
    runtime, session = Runtime(shelling("rm -rf /")), Session()
    async with runtime.run_stream(session, "hi") as stream:
        event = await confirmation(stream)
        edited = {"arguments": {"cmd": "rm -rf ./build"}}
        runtime.answer(event.id, "accept", edited)
        edited["arguments"]["cmd"] = "changed after the answer"
        (response,) = responses(await drained(stream))
    assert RAN == ["rm -rf ./build"]
    told = json.dumps({"cmd": "rm -rf ./build"})
    note = f"[the user edited this call before it ran; it ran with the arguments {told}]"
    assert response.response == f"ran rm -rf ./build\n\n{note}"
    assert session.messages[2].content == response.response


async def test_p11_arguments_sent_back_as_they_were_are_no_edit() -> None:
    runtime = Runtime(shelling("ls"))
    async with runtime.run_stream(Session(), "hi") as stream:
        event = await confirmation(stream)
        runtime.answer(event.id, "accept", {"arguments": dict(event.arguments)})
        assert responses(await drained(stream))[0].response == "ran ls"


async def test_p11_an_edit_with_a_wider_scope_is_for_its_own_call_alone() -> None:
    runtime = Runtime(shelling("a", "b"))
    async with runtime.run_stream(Session(), "hi") as stream:
        first = await confirmation(stream)
        second = await confirmation(stream)
        runtime.answer(first.id, "accept", {"scope": "session", "arguments": {"cmd": "edited"}})
        await drained(stream)
    assert sorted(RAN) == sorted(["edited", second.arguments["cmd"]])


async def test_p11_what_is_called_is_what_was_shown() -> None:
    """Neither a hook that keeps the arguments nor a consumer that has the event can change them afterwards."""
    kept: list[Any] = []
    agent = shelling("ls", hooks={"pre_tool_use": lambda c: kept.append(c.arguments), "permission_request": _meddles})
    runtime = Runtime(agent)
    async with runtime.run_stream(Session(), "hi") as stream:
        event = await confirmation(stream)
        kept[0]["cmd"] = "rm -rf ~"
        event.arguments["cmd"] = "rm -rf /"  # pyright: ignore[reportIndexIssue]
        runtime.answer(event.id, "accept")
        await drained(stream)
    assert RAN == ["ls"]


def _meddles(context: HookContext) -> HookResult:
    assert isinstance(context.arguments, dict)
    context.arguments["cmd"] = "rm"
    return HookResult(updated_input={"cmd": "rm"})


# ---------------------------------------------------------------- hooks that decide


@pytest.mark.parametrize(
    ("point", "result", "expected"),
    [
        ("pre_tool_use", HookResult(permission="allow"), "ran ls"),
        ("pre_tool_use", HookResult(permission="deny", reason="no"), "The call was blocked: no"),
        ("permission_request", HookResult(permission="allow"), "ran ls"),
        ("permission_request", HookResult(permission="deny", reason="no"), "The call was blocked: no"),
        ("permission_request", HookResult(block=True, reason="no"), "The call was blocked: no"),
        ("permission_request", HookResult(permission="ask"), "The user did not approve the call: declined: nobody"),
        ("permission_request", HookResult(), "The user did not approve the call: declined: nobody"),
    ],
)
async def test_p11_a_hook_decides_in_the_users_place(point: str, result: HookResult, expected: str) -> None:
    events = await events_of(Runtime(shelling("ls", hooks={point: lambda context: result})), unattended="nobody")
    assert responses(events)[0].response == expected
    assert bool(asked(events)) is ("nobody" in expected)
    assert bool([event for event in events if isinstance(event, HookBlocked)]) is ("blocked" in expected)


@pytest.mark.parametrize("approved", [{"look"}, set[str]()])
async def test_p11_a_hook_asks_about_a_harmless_tool_and_an_approved_one(approved: set[str]) -> None:
    hooks = {"pre_tool_use": lambda context: HookResult(permission="ask")}
    events = await events_of(
        Runtime(shelling("ls", tool="look", hooks=hooks)), Session(approved=approved), unattended="x"
    )
    assert len(asked(events)) == 1 and RAN == []


async def test_p11_the_strictest_of_several_hooks_holds() -> None:
    wants: Iterator[Literal["ask", "allow"]] = iter(("ask", "allow"))
    hook = lambda context: HookResult(permission=next(wants))  # noqa: E731
    events = await events_of(Runtime(shelling("ls", hooks={"pre_tool_use": [hook, hook]})), unattended="nobody")
    assert len(asked(events)) == 1


async def test_p11_the_user_is_asked_about_the_arguments_as_a_hook_changed_them() -> None:
    hooks = {"pre_tool_use": lambda context: HookResult(updated_input={"cmd": "ls -l"})}
    runtime = Runtime(shelling("ls", hooks=hooks, permissions=Permissions(deny=["shell:cmd=ls"])))
    async with runtime.run_stream(Session(), "hi") as stream:
        event = await confirmation(stream)
        assert (dict(event.arguments), event.pattern) == ({"cmd": "ls -l"}, "shell:cmd=ls *")
        runtime.answer(event.id, "accept")
        await drained(stream)
    assert RAN == ["ls -l"]


async def test_p11_permission_request_changes_no_arguments_and_says_so() -> None:
    runtime = Runtime(shelling("ls", hooks={"permission_request": _meddles}))
    async with runtime.run_stream(Session(), "hi") as stream:
        warning = await until(stream, Warning)
        assert isinstance(warning, Warning) and "only pre_tool_use can" in warning.message
        event = await confirmation(stream)
        assert dict(event.arguments) == {"cmd": "ls"}
        runtime.answer(event.id, "accept")
        await drained(stream)
    assert RAN == ["ls"]


@pytest.mark.parametrize(
    ("approve", "rules"),
    [("all", None), ("none", None), ("ask", Permissions(allow=["shell"])), ("ask", Permissions(deny=["*"]))],
)
async def test_p11_permission_request_is_for_what_the_user_is_asked(approve: str, rules: Permissions | None) -> None:
    called: list[HookContext] = []
    agent = shelling("ls", hooks={"permission_request": called.append}, permissions=rules)
    await events_of(Runtime(agent), approve=approve)
    assert called == []


# ---------------------------------------------------------------- from other threads


async def test_p6_answers_from_threads_settle_each_question_once() -> None:
    """Twenty asks; as many threads answer at once, every other for all of them."""
    runtime, session = Runtime(shelling(*map(str, range(20)))), Session()
    refused: list[AnswerRefused] = []
    start = threading.Barrier(20)

    def answer(event: ToolCallConfirmation, scope: str) -> None:
        start.wait(5)
        try:
            runtime.answer(event.id, "accept", {"scope": scope})
        except AnswerRefused as error:
            refused.append(error)

    async with runtime.run_stream(session, "hi") as stream:
        asks = [await confirmation(stream) for _ in range(20)]
        threads = [threading.Thread(target=answer, args=(ask, ("once", "all")[i % 2])) for i, ask in enumerate(asks)]
        for thread in threads:
            thread.start()
        for thread in threads:
            await asyncio.to_thread(thread.join, 5)
        events = await drained(stream)
    resolved = [event.id for event in events if isinstance(event, ElicitationResolved)]
    assert sorted(resolved) == sorted(ask.id for ask in asks)
    assert len(RAN) == 20
    assert_nothing_left(runtime, session)

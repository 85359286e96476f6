"""P7: an agent gives tasks to others, hands a conversation over, works by skills; nested streams keep to themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anyio
import pytest

import nbagent
from nbagent import schema
from nbagent.agent import Agent, Team
from nbagent.errors import ConfigError, Interrupted, ToolError
from nbagent.events import (
    AgentChoice,
    AgentSwitching,
    ElicitationRequest,
    Event,
    StreamStarted,
    StreamStopped,
    SubSessionCompleted,
    SubSessionStarted,
    ToolCallResponse,
    UserMessage,
)
from nbagent.hooks import HookContext, HookResult
from nbagent.models import ScriptedModel, ToolCall
from nbagent.ports import ModelRequest, Tool
from nbagent.runtime import Runtime
from nbagent.runtime.delegation.arguments import checked
from nbagent.runtime.delegation.generated import GeneratedTool
from nbagent.runtime.delegation.offering import offered
from nbagent.schema import validate
from nbagent.session import Message, Session, Usage
from nbagent.skills import Skill
from tests.runtime.support import (
    NAME_SCHEMA,
    StalledModel,
    assert_nothing_left,
    assert_whole,
    drained,
    events_of,
    inside,
    scripted,
)

pytestmark = pytest.mark.anyio
schema.warm()  # so that no test measures its imports


def transfer(agent: str, task: str = "work", **more: Any) -> ToolCall:
    return ToolCall("transfer_task", {"agent": agent, "task": task, **more})


def last(messages: Sequence[Message]) -> str:
    """A scripted turn that says what the last message was."""
    return messages[-1].content


def lead(*turns: Any, **options: Any) -> Agent:
    return scripted(*turns, name="lead", **options)


def by_stream(events: list[Event]) -> dict[str, list[Event]]:
    streams: dict[str, list[Event]] = {}
    for event in events:
        streams.setdefault(event.stream_id, []).append(event)
    return streams


def responses(events: list[Event], name: str = "transfer_task") -> list[ToolCallResponse]:
    return [event for event in events if isinstance(event, ToolCallResponse) and event.name == name]


class Listening:
    """A model that keeps what it was asked, and plays a script."""

    name = "listening"

    def __init__(self, *turns: Any) -> None:
        self.requests: list[ModelRequest] = []
        self._model = ScriptedModel(turns)

    def stream(self, request: ModelRequest) -> Any:
        self.requests.append(request)
        return self._model.stream(request)

    def tools(self, request: int = 0) -> list[str]:
        return [spec.name for spec in self.requests[request].tools]


# ---------------------------------------------------------------- transfer_task


async def test_p7_a_transfer_plays_a_child_and_gives_its_last_text_as_the_result() -> None:
    worker = scripted("Forty-two.", name="worker", description="Counts.")
    runtime = Runtime(lead(["Let me ask. ", transfer("worker", "count", expected_output="a number")], last,
                           sub_agents=[worker]))  # fmt: skip
    session = Session()
    events = await events_of(runtime, session)
    parent, child = by_stream(events).values()
    assert_whole(parent)
    assert_whole(child)
    assert [m.content for m in session.messages] == ["hi", "Let me ask. ", "Forty-two.", "Forty-two."]
    assert isinstance(child[0], StreamStarted) and child[0].parent_id == parent[0].stream_id
    assert child[0].session_id != session.id, "a child speaks in a session of its own"
    assert [e.content for e in child if isinstance(e, UserMessage)] == ["count\n\nExpected output: a number"]
    (started,) = [e for e in parent if isinstance(e, SubSessionStarted)]
    (completed,) = [e for e in parent if isinstance(e, SubSessionCompleted)]
    (response,) = responses(events)
    assert started.child_agent == "worker" and started.tool_call_id == response.tool_call_id
    assert started.child_stream_id == completed.child_stream_id == child[0].stream_id
    assert completed.reason == "completed" and not response.is_error
    assert_nothing_left(runtime, session)


async def test_p7_the_tool_lists_its_agents_and_needs_no_approval() -> None:
    model = Listening("done")
    agents = [scripted("x", name="one", description="Does one."), scripted("x", name="two")]
    await events_of(Runtime(Agent("lead", model=model, sub_agents=agents)), approve="none")
    (spec,) = model.requests[0].tools
    assert spec.name == "transfer_task"
    assert "- one: Does one.\n- two" in spec.description
    assert spec.parameters["properties"]["agent"]["enum"] == ["one", "two"]
    assert spec.parameters["additionalProperties"] is False
    assert spec.parameters["required"] == ["agent", "task"]
    runtime = Runtime(lead(transfer("one"), last, sub_agents=[scripted("made", name="one")]))
    assert (await runtime.run(Session(), "hi", approve="none")).text == "made"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"agent": "nobody", "task": "x"}, "agent: "),
        ({"agent": "worker"}, "task: "),
        ({"agent": "worker", "task": ""}, "task: "),
        ({"agent": "worker", "task": "x", "hurry": True}, "hurry"),
    ],
)
async def test_p7_wrong_arguments_are_one_clear_error(arguments: dict[str, Any], words: str) -> None:
    runtime = Runtime(lead(ToolCall("transfer_task", arguments), "done", sub_agents=[scripted("x", name="worker")]))
    events = await events_of(runtime)
    (response,) = responses(events)
    assert response.is_error and response.response.startswith("Invalid arguments: ") and words in response.response
    assert len(by_stream(events)) == 1


async def test_p7_the_result_counts_the_nested_streams_and_the_session_its_own() -> None:
    worker = scripted("a b c", name="worker")
    runtime = Runtime(lead(transfer("worker", "one two"), "d e", sub_agents=[worker]))
    session = Session()
    result = await runtime.run(session, "hi")
    own = session.usage
    assert own == Usage(input_tokens=1 + 1 + 3, output_tokens=1 + 2, requests=2)
    assert result.usage == own + Usage(input_tokens=2, output_tokens=3, requests=1)


# ---------------------------------------------------------------- how a child ends


async def test_child_error_keeps_starts_equal_stops_and_tells_what_it_had_said() -> None:
    def broken(messages: Sequence[Message]) -> str:
        raise ValueError("no more ink")

    worker = scripted(["Half the way. ", ToolCall("missing")], broken, name="worker")
    runtime = Runtime(lead(transfer("worker"), last, sub_agents=[worker]))
    session = Session()
    events = await events_of(runtime, session)
    kinds = [type(event) for event in events]
    assert kinds.count(StreamStarted) == kinds.count(StreamStopped) == 2
    assert kinds.count(SubSessionStarted) == kinds.count(SubSessionCompleted) == 1
    (response,) = responses(events)
    assert response.is_error
    assert response.response.startswith("worker did not finish the task: it ended in error: ")
    assert "no more ink" in response.response and "Half the way." in response.response
    assert isinstance(events[-1], StreamStopped) and events[-1].reason == "completed", "the parent goes on"
    assert_nothing_left(runtime, session)


async def test_p7_a_childs_limit_and_a_hook_that_stops_it_are_told_too() -> None:
    def block(context: HookContext) -> HookResult:
        return HookResult(block=True, reason="not today")

    limited = scripted(["One step. ", ToolCall("missing")], "never", name="limited", max_iterations=1)
    blocked = scripted("never", name="blocked", hooks={"before_llm_call": block})
    runtime = Runtime(lead([transfer("limited"), transfer("blocked")], "done", sub_agents=[limited, blocked]))
    events = await events_of(runtime, unattended="nobody is there")
    one, two = sorted(responses(events), key=lambda response: response.response)
    assert one.is_error and "blocked did not finish the task: a hook stopped it: not today." in one.response
    assert two.is_error and "it reached the limit of its model calls" in two.response and "One step." in two.response


async def test_p7_the_parents_cancel_ends_its_children_depth_first_and_nothing_is_left() -> None:
    model = StalledModel()
    middle = scripted(transfer("deep"), "never", name="middle", sub_agents=[Agent("deep", model=model)])
    runtime = Runtime(lead(transfer("middle"), "never", sub_agents=[middle]))
    session = Session()
    async with runtime.run_stream(session, "hi") as stream:
        await inside(model.inside.wait)
        ids = [live.id for live in runtime.bridge.live]
        stream.cancel()
        assert runtime.bridge.live == ()
        events = await drained(stream)
    assert [e.stream_id for e in events if isinstance(e, StreamStopped)] == ids[::-1]
    assert {e.reason for e in events if isinstance(e, StreamStopped)} == {"cancelled"}
    for its in by_stream(events).values():
        assert_whole(its)
    assert_nothing_left(runtime, session)


async def test_p7_an_interrupt_in_a_childs_tool_ends_the_whole() -> None:
    async def work() -> str:
        raise Interrupted

    worker = scripted(ToolCall("work"), "never", name="worker", tools=[nbagent.tool(work)])
    runtime = Runtime(lead(transfer("worker"), "never", sub_agents=[worker]))
    session = Session()
    events = await events_of(runtime, session)
    assert [e.reason for e in events if isinstance(e, StreamStopped)] == ["interrupted", "interrupted"]
    assert_nothing_left(runtime, session)


async def test_p5_a_childs_question_is_its_own_and_the_answer_reaches_it() -> None:
    async def who() -> str:
        answer = await nbagent.ask("Who?", NAME_SCHEMA)
        return str(answer.content)

    workers = [scripted(ToolCall("who"), last, name=name, tools=[nbagent.tool(who)]) for name in ("one", "two")]
    runtime = Runtime(lead([transfer("one"), transfer("two")], "done", sub_agents=workers))
    session = Session()
    asked: list[ElicitationRequest] = []
    async with runtime.run_stream(session, "hi") as stream:
        with anyio.fail_after(5):
            async for event in stream:
                if isinstance(event, ElicitationRequest):
                    asked.append(event)
                    if len(asked) == 2:
                        for question in reversed(asked):
                            runtime.answer(question.id, "accept", {"name": f"for {question.agent_name}"})
    assert {event.stream_id for event in asked}.isdisjoint({stream.id})
    assert [m.content for m in session.messages if m.role == "tool"] == ["{'name': 'for one'}", "{'name': 'for two'}"]


async def test_p8_a_childs_approvals_stay_the_childs() -> None:
    @nbagent.tool(approve=True)
    def danger() -> str:
        return "did it"

    worker = scripted(ToolCall("danger"), last, name="worker", tools=[danger])
    runtime = Runtime(lead(transfer("worker"), transfer("worker"), last, sub_agents=[worker]))
    session = Session()
    asked = 0
    async with runtime.run_stream(session, "hi") as stream:
        with anyio.fail_after(5):
            async for event in stream:
                if event.type == "tool_call_confirmation":
                    asked += 1
                    runtime.answer(getattr(event, "id", ""), "accept", {"scope": "session"})
    assert asked == 2
    assert session.approved == set()


async def test_user_prompt_submit_does_not_fire_in_a_nested_stream() -> None:
    heard: list[str] = []
    hooks = {"user_prompt_submit": lambda context: heard.append(context.prompt)}  # type: ignore[misc]
    worker = scripted("done", name="worker", hooks=hooks)
    await events_of(Runtime(lead(transfer("worker", "the task"), "done", sub_agents=[worker], hooks=hooks)))
    assert heard == ["hi"]


# ---------------------------------------------------------------- circles and depth


async def test_p7_a_circle_is_refused_and_the_chain_is_named() -> None:
    middle = scripted(transfer("lead"), last, name="middle")
    top = lead(transfer("middle"), last, sub_agents=[middle])
    middle.sub_agents = (top,)
    runtime = Runtime(Team(top))
    session = Session()
    events = await events_of(runtime, session)
    inner, _ = responses(events)
    assert inner.is_error and "lead → middle → lead would go in circles" in inner.response
    assert len(by_stream(events)) == 2
    assert_nothing_left(runtime, session)


async def test_p7_an_agent_that_lists_itself_is_refused_itself() -> None:
    top = lead(transfer("lead"), last)
    top.sub_agents = (top,)
    (response,) = responses(await events_of(Runtime(top)))
    assert response.is_error and "lead → lead" in response.response


async def test_p7_depth_is_capped() -> None:
    agent = scripted("the bottom", name="a12")
    for number in range(11, -1, -1):
        agent = scripted(transfer(f"a{number + 1}"), last, name=f"a{number}", sub_agents=[agent])
    runtime = Runtime(agent)
    session = Session()
    events = await events_of(runtime, session)
    assert len(by_stream(events)) == 11, "the outermost and the ten that may be nested"
    errors = [response for response in responses(events) if "too deep" in response.response]
    assert len(errors) == 11 and errors[0].is_error, "each hands on what the innermost was told"
    assert_nothing_left(runtime, session)


# ---------------------------------------------------------------- handoff


def hand_to(agent: str) -> ToolCall:
    return ToolCall("handoff", {"agent": agent})


async def test_p7_a_handoff_goes_on_as_the_other_agent_with_its_own_tools() -> None:
    model = Listening("unused", "I am the expert.", "Still me.")
    expert = Agent("expert", model=model, sub_agents=[scripted("x", name="helper")], instructions="Be exact.")
    runtime = Runtime(lead(hand_to("expert"), handoffs=[expert]))
    session = Session()
    events = await events_of(runtime, session)
    assert len(by_stream(events)) == 1
    (switching,) = [e for e in events if isinstance(e, AgentSwitching)]
    assert (switching.agent_name, switching.to_agent) == ("lead", "expert")
    assert session.agent == "expert"
    assert [m.agent_name for m in session.messages if m.role == "assistant"] == ["lead", "expert"]
    assert "handed over to you, expert, by lead" in session.messages[2].content
    assert model.tools() == ["transfer_task"]
    assert model.requests[0].instructions == "Be exact."
    result = await runtime.run(session, "and now?")
    assert result.text == "Still me."
    session.rewind(session.turns[0])
    assert session.agent == "", "doing the first turn again asks the first agent again"


async def test_p7_a_stream_made_before_a_handoff_speaks_as_the_new_agent() -> None:
    runtime = Runtime(scripted(hand_to("other"), "?", handoffs=[scripted("?", "mine", "mine too", name="other")]))
    session = Session()
    first, second = runtime.run_stream(session, "1"), runtime.run_stream(session, "2")
    async with first:
        await drained(first)
    async with second:
        await drained(second)
    assert (second.agent_name, session.messages[-1].agent_name) == ("other", "other")


async def test_p7_of_two_handoffs_the_first_wins() -> None:
    one, two = scripted("unused", "One here.", name="one"), scripted("never", name="two")
    runtime = Runtime(lead([hand_to("one"), hand_to("two")], handoffs=[one, two]))
    events = await events_of(runtime)
    first, second = responses(events, "handoff")
    assert not first.is_error
    assert second.is_error and "goes over to one already" in second.response
    assert [e.content for e in events if isinstance(e, AgentChoice)] == ["One ", "here."]


async def test_p7_no_handoff_to_oneself() -> None:
    top = lead(hand_to("lead"), "still lead")
    top.handoffs = (top,)
    (response,) = responses(await events_of(Runtime(top)), "handoff")
    assert response.is_error and "You are lead" in response.response


@pytest.mark.parametrize("how", ["transfer", "skill"])
async def test_p7_a_nested_stream_is_pinned_to_its_agent(how: str) -> None:
    model = Listening("done", "done")
    other = scripted("never", name="other")
    worker = Agent("worker", model=model, handoffs=[other], tools=[])
    if how == "transfer":
        agent = lead(transfer("worker"), "done", sub_agents=[worker])
    else:
        model = Listening(ToolCall("run_skill", {"name": "sums", "task": "x"}), "done")
        agent = Agent("worker", model=model, handoffs=[other], skills=[Skill("sums", "Sums.", "Add.")])
    await events_of(Runtime(agent))
    nested = model.requests[0] if how == "transfer" else model.requests[1]
    assert [spec.name for spec in nested.tools] == []


async def test_a_team_has_those_that_its_agents_hand_over_to() -> None:
    far = scripted("x", name="far")
    near = scripted("x", name="near", sub_agents=[far])
    assert list(Team(lead("x", handoffs=[near])).agents) == ["lead", "near", "far"]
    with pytest.raises(ConfigError, match="handoffs: 'near' is not an Agent"):
        lead("x", handoffs=["near"])
    with pytest.raises(ConfigError, match=r"handoffs=Agent\('near'.*\) is not a list; write \[ \] around it"):
        lead("x", handoffs=near)
    with pytest.raises(ConfigError, match=r"agent 'b': tools=.* is not a list"):
        Agent("b", tools=len)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigError, match="background_agents=True runs its sub_agents, and it has none"):
        lead("x", background_agents=True)


# ---------------------------------------------------------------- skills


def skill(name: str, task: str = "work") -> ToolCall:
    return ToolCall("run_skill", {"name": name, "task": task})


SUMS = Skill("sums", "Adds numbers.", "Add them one by one.")
PROSE = Skill("prose", "Writes.", "Write short sentences.")


async def test_p7_a_skill_is_a_child_of_the_same_agent_with_the_skills_instructions() -> None:
    model = Listening(skill("sums", "1 + 2"), last)
    child = ScriptedModel(["Three."])
    model_of = {"hi": model, "1 + 2": child}

    class ByPrompt:
        name = "by prompt"

        def stream(self, request: ModelRequest) -> Any:
            asked.append(request)
            return model_of[request.messages[0].content].stream(request)

    asked: list[ModelRequest] = []
    agent = Agent("lead", model=ByPrompt(), instructions="Be kind.", skills=[SUMS, PROSE])
    session = Session()
    events = await events_of(Runtime(agent), session)
    assert session.messages[-1].content == "Three."
    parent, inner = asked[0], asked[1]
    assert [(s.name, s.parameters["properties"]["name"]["enum"]) for s in parent.tools] == [
        ("run_skill", ["sums", "prose"])
    ]
    assert "- sums: Adds numbers." in parent.tools[0].description
    assert parent.instructions == "Be kind."
    assert inner.instructions.startswith("Be kind.\n\n") and inner.instructions.endswith("Add them one by one.")
    assert [s.parameters["properties"]["name"]["enum"] for s in inner.tools] == [["prose"]], "not itself again"
    assert len(by_stream(events)) == 2


async def test_p7_a_model_in_place_of_the_agents_own_does_the_skill_too() -> None:
    agent = Agent("lead", model=ScriptedModel([]), skills=[SUMS])
    result = await Runtime(agent).run(Session(), "hi", model=ScriptedModel([skill("sums"), last]))
    assert "There is no tool" in result.text, "the script's first turn, in the child, where the skill is not offered"


async def test_p7_a_skill_is_excluded_from_itself_at_any_depth() -> None:
    worker = scripted(skill("sums"), last, name="worker", skills=[SUMS, PROSE])
    agent = scripted(
        lambda messages: skill("sums") if messages[0].content == "hi" else transfer("worker"),
        last, name="lead", sub_agents=[worker], skills=[SUMS],
    )  # fmt: skip
    session = Session()
    events = await events_of(Runtime(agent), session)
    assert len(by_stream(events)) == 3
    assert session.messages[-1].content == (
        "The skill sums is at work on this already (lead → lead (skill sums) → worker). Follow its instructions."
    )


# ---------------------------------------------------------------- the tools


async def test_a_generated_tool_is_a_tool() -> None:
    stream = Runtime(lead("x", sub_agents=[scripted("x", name="w")], background_agents=True)).run_stream(Session(), "x")
    seen = offered(stream._run)
    assert all(isinstance(tool, Tool) and isinstance(tool, GeneratedTool) for tool in seen)
    assert [tool.spec.name for tool in seen] == [
        "transfer_task", "run_background_agent", "list_background_agents", "view_background_agent",
        "stop_background_agent", "wait_background_agents",
    ]  # fmt: skip
    assert not any(tool.asks_approval for tool in seen)


GOOD: dict[str, dict[str, Any]] = {
    "transfer_task": {"agent": "w", "task": "x", "expected_output": ""},
    "run_background_agent": {"agent": "w", "task": "x"},
    "list_background_agents": {},
    "view_background_agent": {"id": "b1"},
    "stop_background_agent": {"id": "b1"},
    "wait_background_agents": {"ids": ["b1"], "timeout": 1.5},
    "handoff": {"agent": "w"},
    "run_skill": {"name": "sums", "task": "x"},
}
WRONG: tuple[Any, ...] = (None, True, 1, -1, 3601, 0, 0.5, float("nan"), "", "w", [], [""], ["b1"], ["b1", 2], {}, "\n")


async def test_arguments_are_judged_as_by_their_json_schemas() -> None:
    worker = scripted("x", name="w")
    agent = lead("x", sub_agents=[worker], background_agents=True, handoffs=[worker], skills=[SUMS])
    specs = {tool.spec.name: tool.spec for tool in offered(Runtime(agent).run_stream(Session(), "x")._run)}
    assert specs.keys() == GOOD.keys()
    for name, good in GOOD.items():
        assert checked(good, specs[name].parameters) == good
        tried = [{**good, key: value} for key in (*good, "other") for value in WRONG]
        tried += [{key: value for key, value in good.items() if key != left} for left in good]
        for arguments in tried:
            try:
                checked(arguments, specs[name].parameters)
                fits = True
            except ToolError:
                fits = False
            wrong = validate(arguments, specs[name].parameters)
            assert fits == (not wrong), (name, arguments, wrong)

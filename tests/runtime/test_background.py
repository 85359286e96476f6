"""P7: background agents outlive what started them, are looked after by their session, and answers never swap."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Sequence
from typing import Any

import anyio
import pytest

import nbagent
from nbagent import schema
from nbagent.agent import Agent
from nbagent.events import Event, StreamStopped, SubSessionStarted, ToolCallResponse
from nbagent.models import ToolCall
from nbagent.runtime import Runtime, Stream, live_runs
from nbagent.runtime.delegation import background, background_tools
from nbagent.session import Message, Session
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


def begin(agent: str = "worker", task: str = "work") -> ToolCall:
    return ToolCall("run_background_agent", {"agent": agent, "task": task})


def last(messages: Sequence[Message]) -> str:
    return messages[-1].content


def lead(*turns: Any, agents: Sequence[Agent]) -> Agent:
    return scripted(*turns, name="lead", sub_agents=agents, background_agents=True)


def responses(events: list[Event], name: str) -> list[str]:
    return [event.response for event in events if isinstance(event, ToolCallResponse) and event.name == name]


async def ended(runtime: Runtime, session: Session) -> None:
    """Wait until the session's background agents have ended."""
    with anyio.fail_after(5):
        for agent in runtime.background.of(session.id):
            await agent.ended()


class Gate:
    """A tool that says when it is inside and waits to be let through."""

    def __init__(self) -> None:
        self.inside = anyio.Event()
        self.open = anyio.Event()

    def agent(self, name: str = "worker") -> Agent:
        async def wait() -> str:
            self.inside.set()
            await self.open.wait()
            return "through"

        return scripted(["Waiting. ", ToolCall("wait")], "All done.", name=name, tools=[nbagent.tool(wait)])


# ---------------------------------------------------------------- its life


async def test_p7_a_background_agent_returns_at_once_and_outlives_its_parent() -> None:
    gate = Gate()
    runtime = Runtime(lead(begin(), "started", agents=[gate.agent()]))
    session = Session()
    events = await events_of(runtime, session)
    assert_whole(events)
    assert events[-1].stream_id == events[0].stream_id, "the parent has ended, and tells of its own stream alone"
    (started,) = [event for event in events if isinstance(event, SubSessionStarted)]
    assert started.background and started.background_id == "b1"
    assert responses(events, "run_background_agent") == [
        "worker runs in the background as b1; wait_background_agents waits for it."
    ]
    await inside(gate.inside.wait)
    assert [stream.id for stream in runtime.bridge.live] == [started.child_stream_id]
    assert runtime.bridge.current is not None and runtime.bridge.current.stopped is None
    gate.open.set()
    await ended(runtime, session)
    (agent,) = runtime.background.of(session.id)
    assert (agent.reason, agent.text, agent.live) == ("completed", "Waiting. \n\nAll done.", False)
    assert_nothing_left(runtime, session)


@pytest.mark.parametrize("reason", ["cancelled", "interrupted", "superseded"])
async def test_p7_it_survives_the_cancel_and_the_interrupt_of_its_parent(reason: Any) -> None:
    gate, model = Gate(), StalledModel()
    agents = [gate.agent(), Agent("stalled", model=model)]
    turns = [[begin()], ToolCall("transfer_task", {"agent": "stalled", "task": "x"}), "never"]
    runtime = Runtime(lead(*turns, agents=agents))
    session = Session()
    async with runtime.run_stream(session, "hi") as stream:
        await inside(gate.inside.wait)
        await inside(model.inside.wait)
        stream.cancel(reason)
        await drained(stream)
    (agent,) = runtime.background.of(session.id)
    assert agent.live
    gate.open.set()
    await ended(runtime, session)
    assert agent.reason == "completed"
    assert_nothing_left(runtime, session)


async def test_p7_its_own_stop_ends_it_and_nothing_else() -> None:
    gate = Gate()
    runtime = Runtime(lead(begin(), "started", agents=[gate.agent()]))
    session = Session()
    await runtime.run(session, "hi")
    await inside(gate.inside.wait)
    (stream,) = runtime.bridge.live
    stream.cancel()
    await ended(runtime, session)
    (agent,) = runtime.background.of(session.id)
    assert agent.reason == "cancelled"
    assert_nothing_left(runtime, session)


async def test_p7_unloading_ends_it_and_leaves_no_task() -> None:
    model = StalledModel()
    runtime = Runtime(lead(begin(), "started", agents=[Agent("worker", model=model)]))
    session = Session()
    await runtime.run(session, "hi")
    await inside(model.inside.wait)
    await runtime.aclose()
    assert model.closed
    assert_nothing_left(runtime, session)
    assert [task for task in asyncio.all_tasks() if task.get_name().startswith("nbagent")] == []


def test_p7_the_end_of_the_loop_ends_it() -> None:
    model = StalledModel()
    runtime = Runtime(lead(begin(), "started", agents=[Agent("worker", model=model)]))
    session = Session()

    async def main() -> None:
        await runtime.run(session, "hi")
        await inside(model.inside.wait)

    asyncio.run(main())
    (agent,) = runtime.background.of(session.id)
    assert (agent.reason, agent.live) == ("cancelled", False)
    assert live_runs() == ()


async def test_p4_without_a_front_end_it_is_drained_and_never_waits_for_room() -> None:
    talker = scripted("word " * 1000, name="worker")
    runtime = Runtime(lead(begin(), "started", agents=[talker]))
    session = Session()
    await runtime.run(session, "hi")
    await ended(runtime, session)
    (agent,) = runtime.background.of(session.id)
    assert agent.reason == "completed" and len(agent.text) == 5000


# ---------------------------------------------------------------- who consumes it


async def test_p7_a_front_end_takes_it_over_in_no_call_of_the_parents() -> None:
    taken: list[Event] = []
    calls: list[Any] = []
    tasks: list[asyncio.Task[None]] = []

    async def consume(stream: Stream) -> None:
        async with stream:
            async for event in stream:
                taken.append(event)

    def take(stream: Stream) -> None:
        calls.append(nbagent.ports.current_call.get())
        tasks.append(asyncio.get_running_loop().create_task(consume(stream)))

    runtime = Runtime(lead(begin(), "started", agents=[scripted("word " * 500, name="worker")]))
    runtime.on_background = take
    session = Session()
    await runtime.run(session, "hi")
    await ended(runtime, session)
    with anyio.fail_after(5):
        await tasks[0]
    assert_whole(taken)
    assert calls == [None]
    assert_nothing_left(runtime, session)


async def test_p7_a_front_end_that_fails_costs_the_agent_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def take(stream: Stream) -> None:
        raise RuntimeError("no screen")

    runtime = Runtime(lead(begin(), "started", agents=[scripted("word " * 500, name="worker")]))
    runtime.on_background = take
    session = Session()
    await runtime.run(session, "hi")
    await ended(runtime, session)
    (agent,) = runtime.background.of(session.id)
    assert agent.reason == "completed"
    assert "no front end shows the background stream" in caplog.text


async def test_p7_a_front_end_that_leaves_stops_it() -> None:
    model = StalledModel()
    tasks: list[asyncio.Task[None]] = []

    async def leave(stream: Stream) -> None:
        async with stream:
            await model.inside.wait()

    runtime = Runtime(lead(begin(), "started", agents=[Agent("worker", model=model)]))
    runtime.on_background = lambda stream: tasks.append(asyncio.get_running_loop().create_task(leave(stream)))
    session = Session()
    await runtime.run(session, "hi")
    await ended(runtime, session)
    assert runtime.background.of(session.id)[0].reason == "cancelled"
    with anyio.fail_after(5):
        await tasks[0]


# ---------------------------------------------------------------- questions


ORDERS = list(itertools.permutations(["lead", "one", "two"]))


def asking_team() -> tuple[Runtime, dict[str, str]]:
    """Two background agents and their parent that all ask, and what each was answered."""
    heard: dict[str, str] = {}

    def who(name: str) -> Any:
        async def ask() -> str:
            answer = await nbagent.ask(f"Who, {name}?", NAME_SCHEMA)
            heard[name] = f"{answer.action} {(answer.content or {}).get('name')}"
            return heard[name]

        return nbagent.tool(ask)

    agents = [scripted(ToolCall("ask"), last, name=name, tools=[who(name)]) for name in ("one", "two")]
    top = scripted([begin("one"), begin("two")], ToolCall("ask"), last, name="lead", sub_agents=agents,
                   background_agents=True, tools=[who("lead")])  # fmt: skip
    return Runtime(top), heard


async def questions(runtime: Runtime) -> dict[str, str]:
    """The three open questions, once all are asked: their ids by who asks."""
    with anyio.fail_after(5):
        while len(pending := runtime.bridge.pending) < 3:
            await anyio.lowlevel.checkpoint()
    return {question.request.agent_name: question.id for question in pending}


@pytest.mark.parametrize("threads", [False, True], ids=["on the loop", "from threads"])
@pytest.mark.parametrize("order", ORDERS, ids=["-".join(order) for order in ORDERS])
async def test_background_answers_not_swapped(order: tuple[str, ...], threads: bool) -> None:
    runtime, heard = asking_team()
    session = Session()
    async with runtime.run_stream(session, "hi") as stream:
        ids = await questions(runtime)
        for name in order:
            answer = (ids[name], "accept", {"name": f"for {name}"})
            if threads:
                thread = threading.Thread(target=runtime.answer, args=answer)
                thread.start()
                await anyio.to_thread.run_sync(thread.join)
            else:
                runtime.answer(*answer)
        await drained(stream)
    await ended(runtime, session)
    assert heard == {name: f"accept for {name}" for name in ("lead", "one", "two")}
    assert_nothing_left(runtime, session)


async def test_p7_the_parents_end_leaves_the_questions_of_its_background_agents_open() -> None:
    runtime, heard = asking_team()
    session = Session()
    async with runtime.run_stream(session, "hi") as stream:
        ids = await questions(runtime)
        stream.cancel()
        await drained(stream)
    assert {question.request.agent_name for question in runtime.bridge.pending} == {"one", "two"}
    runtime.answer(ids["two"], "accept", {"name": "late"})
    runtime.answer(ids["one"], "decline")
    await ended(runtime, session)
    assert heard == {"one": "decline None", "two": "accept late"}
    assert_nothing_left(runtime, session)


async def test_p10_under_run_its_questions_are_declined_at_once() -> None:
    runtime, heard = asking_team()
    session = Session()
    await runtime.run(session, "hi")
    await ended(runtime, session)
    assert set(heard.values()) == {"decline None"}


# ---------------------------------------------------------------- looking after it


async def test_p7_list_view_stop_and_wait_in_later_turns() -> None:
    slow, quick = Gate(), Gate()
    quick.open.set()
    calls = [
        [begin("slow", "the slow task"), begin("quick", "the quick task")], "started",
        ToolCall("wait_background_agents", {"ids": ["b2"]}), ToolCall("list_background_agents"),
        ToolCall("view_background_agent", {"id": "b1"}), ToolCall("stop_background_agent", {"id": "b1"}),
        ToolCall("stop_background_agent", {"id": "b2"}), "seen",
    ]  # fmt: skip
    runtime = Runtime(lead(*calls, agents=[slow.agent("slow"), quick.agent("quick")]))
    session = Session()
    await events_of(runtime, session)
    await inside(slow.inside.wait)
    events = await events_of(runtime, session)
    assert responses(events, "wait_background_agents") == ["b2 · quick · completed · 0 s\nWaiting. \n\nAll done."]
    assert responses(events, "list_background_agents") == [
        "b1 · slow · running · 0 s · the slow task\nb2 · quick · completed · 0 s · the quick task"
    ]
    assert responses(events, "view_background_agent") == ["b1 · slow · running · 0 s\nWaiting. "]
    stopped, refused = responses(events, "stop_background_agent")
    assert stopped == "b1 was stopped. b1 · slow · it was stopped · 0 s\nWaiting. "
    assert refused == "b2 has ended already: completed."
    await ended(runtime, session)
    assert_nothing_left(runtime, session)


async def test_p7_a_wait_is_for_all_is_bounded_and_when_cancelled_leaves_them_running() -> None:
    gates = [Gate(), Gate()]
    agents = [gate.agent(f"w{number}") for number, gate in enumerate(gates)]
    wait = ToolCall("wait_background_agents", {"timeout": 0.05})
    for_long = ToolCall("wait_background_agents", {"ids": ["b1", "b2"]})
    runtime = Runtime(lead([begin("w0"), begin("w1")], wait, for_long, "never", agents=agents))
    session = Session()
    async with runtime.run_stream(session, "hi") as stream:
        events: list[Event] = []
        with anyio.fail_after(5):
            async for event in stream:
                events.append(event)
                if event.type == "tool_call" and getattr(event, "arguments", {}).get("ids"):
                    break
        gates[0].open.set()
        with anyio.fail_after(5):
            await runtime.background.of(session.id)[0].ended()
        assert stream.stopped is None, "one has ended, and it waits for all"
        stream.cancel()
    assert responses(events, "wait_background_agents")[0].startswith("After 0.05 s still running: b1, b2.\n\n")
    assert [agent.live for agent in runtime.background.of(session.id)] == [False, True]
    gates[1].open.set()
    await ended(runtime, session)
    assert_nothing_left(runtime, session)


async def test_p7_a_session_sees_its_own_alone() -> None:
    gate = Gate()
    turns = [lambda messages: begin() if messages[0].content == "mine" else ToolCall("list_background_agents"), last]
    view = ToolCall("view_background_agent", {"id": "b1"})
    runtime = Runtime(lead(*turns, view, last, agents=[gate.agent()]))
    mine, other = Session(), Session()
    await runtime.run(mine, "mine")
    assert (await runtime.run(other, "other")).text == "No background agent was started in this conversation."
    assert (await runtime.run(other, "again")).text == "There is no background agent 'b1'. There are: none."
    gate.open.set()
    await ended(runtime, mine)


async def test_p7_at_most_so_many_at_once_and_so_many_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (background.MOST, background.KEPT) == (20, 100)
    monkeypatch.setattr(background, "MOST", 2)
    monkeypatch.setattr(background, "KEPT", 3)
    gate = Gate()
    quick = scripted("quick", name="quick")
    wait = ToolCall("wait_background_agents")
    turns = [[begin("slow"), begin("slow"), begin("quick")], last, *[[begin("quick")], wait] * 4, "done"]
    runtime = Runtime(lead(*turns, agents=[gate.agent("slow"), quick]))
    session = Session()
    events = await events_of(runtime, session)
    assert responses(events, "run_background_agent")[2].startswith("2 background agents run already")
    gate.open.set()
    await ended(runtime, session)
    await events_of(runtime, session)
    await ended(runtime, session)
    assert [agent.agent for agent in runtime.background.of(session.id)] == ["quick"] * 3
    assert_nothing_left(runtime, session)


async def test_p7_it_is_in_the_chain_of_what_it_starts() -> None:
    back = scripted(ToolCall("transfer_task", {"agent": "lead", "task": "x"}), last, name="worker")
    top = lead(begin(), "started", agents=[back])
    back.sub_agents = (top,)
    runtime = Runtime(top)
    session = Session()
    await runtime.run(session, "hi")
    await ended(runtime, session)
    assert "lead → worker → lead" in runtime.background.of(session.id)[0].text


async def test_p7_that_it_waits_for_the_user_is_told_and_a_failure_too() -> None:
    async def ask() -> str:
        await nbagent.ask("Who?", NAME_SCHEMA)
        return "asked"

    asking = scripted(ToolCall("ask"), "done", name="asking", tools=[nbagent.tool(ask)])
    failing = scripted(name="failing")
    turns = [[begin("asking"), begin("failing")], "started", ToolCall("list_background_agents"), last]
    runtime = Runtime(lead(*turns, agents=[asking, failing]))
    session = Session()
    await events_of(runtime, session)
    with anyio.fail_after(5):
        await runtime.background.of(session.id)[1].ended()
        while not runtime.bridge.pending:
            await anyio.lowlevel.checkpoint()
    events = await events_of(runtime, session)
    (told,) = responses(events, "list_background_agents")
    assert "b1 · asking · waits for the user's answer" in told
    assert "b2 · failing · it ended in error: the script of" in told
    await runtime.aclose()


async def test_long_text_is_read_from_its_end() -> None:
    talker = scripted("word " * 3000, name="worker")
    runtime = Runtime(lead(begin(), ToolCall("wait_background_agents"), last, agents=[talker]))
    text = (await runtime.run(Session(), "hi")).text
    assert len(text) < background_tools.SHOWN + 200
    assert "[7,000 characters before]" in text


async def test_p7_its_child_streams_speak_through_it() -> None:
    deep = scripted("from the deep", name="deep")
    worker = scripted(ToolCall("transfer_task", {"agent": "deep", "task": "x"}), last, name="worker", sub_agents=[deep])
    runtime = Runtime(lead(begin(), "started", agents=[worker]))
    events: list[Event] = []
    done = anyio.Event()

    async def consume(stream: Stream) -> None:
        async with stream:
            async for event in stream:
                events.append(event)
        done.set()

    tasks: list[asyncio.Task[None]] = []
    runtime.on_background = lambda stream: tasks.append(asyncio.get_running_loop().create_task(consume(stream)))
    await runtime.run(Session(), "hi")
    await inside(done.wait)
    assert [event.agent_name for event in events if isinstance(event, StreamStopped)] == ["deep", "worker"]


def test_p7_run_sync_ends_the_background_agents_of_its_own_runtime() -> None:
    gate = Gate()
    agent = lead(begin(), "started", agents=[gate.agent()])
    assert nbagent.run_sync(agent, "hi").text == "started"
    assert live_runs() == ()


async def test_p7_whoever_ends_the_runtimes_own_watch_over_it_ends_it_too() -> None:
    model = StalledModel()
    runtime = Runtime(lead(begin(), "started", agents=[Agent("worker", model=model)]))
    held: list[Stream] = []
    runtime.on_background = held.append
    session = Session()
    await runtime.run(session, "hi")
    await inside(model.inside.wait)
    (watch,) = [task for task in asyncio.all_tasks() if task.get_name() == "nbagent background agent b1"]
    watch.cancel()
    await ended(runtime, session)
    assert held[0].stopped is not None and held[0].stopped.reason == "cancelled"
    with anyio.fail_after(5):
        await held[0].join()
    assert_nothing_left(runtime, session)

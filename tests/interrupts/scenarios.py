"""The runs that are struck: each a few thousand instructions long, the same ones each time, and without real time.

A scenario declares an agent and how its front end reacts to the events that it reads. What waits for somebody waits
for an event of the run's, so that every run comes to its end by itself; where nobody answers, the front end interrupts.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from nbagent.agent import Agent
from nbagent.errors import AnswerRefused
from nbagent.events import ElicitationRequest, Event, ToolCallConfirmation, ToolCallStarted
from nbagent.models import ScriptedModel, ToolCall
from nbagent.ports import ModelChunk, ModelRequest, TextDelta
from nbagent.runtime import Runtime, Stream
from tests.interrupts import usercode
from tests.interrupts.ground import MemoryPort

Reaction = Callable[[Stream, Any], None]


@dataclass(slots=True)
class Front:
    """The front end of one run: what it does at an event, on the loop's thread."""

    port: MemoryPort
    reactions: dict[type[Event], Reaction] = field(default_factory=dict[type[Event], Reaction])
    pressed: list[int] = field(default_factory=list[int])

    def on(self, kind: type[Event], reaction: Reaction) -> None:
        """React to events of that kind."""
        self.reactions[kind] = reaction

    def see(self, stream: Stream, event: Event) -> None:
        """The next event."""
        if reaction := self.reactions.get(type(event)):
            reaction(stream, event)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A run by name.

    Parameters
    ----------
    make
        Declares it: an agent, and options for `Runtime.run_stream`.
    awaiting
        The handler of SIGINT that is found does not raise, as ipykernel's in an awaiting cell: then nbagent owns the
        signal for the whole cell, and not for the run alone.
    """

    name: str
    make: Callable[[Front], tuple[Agent, dict[str, Any]]]
    awaiting: bool = False


def _scripted(*turns: Any, **options: Any) -> Agent:
    return Agent("helper", model=ScriptedModel(turns), **options)


def _calling(*tools: Any, **options: Any) -> Agent:
    named = {getattr(tool, "__name__", ""): tool for tool in tools}
    return _scripted([*(ToolCall(name, {}) for name in named)], "done", tools=list(tools), **options)


# ---------------------------------------------------------------- the front end's part


def _answer(stream: Stream, event: Any) -> None:
    with contextlib.suppress(AnswerRefused):  # the run was interrupted meanwhile
        stream.runtime.answer(event.id, "accept", {"name": "Ada"} if isinstance(event, ElicitationRequest) else None)


def _answer_in_a_task(stream: Stream, event: ElicitationRequest) -> None:
    async def answer() -> None:
        await asyncio.sleep(0)
        _answer(stream, event)

    asyncio.get_running_loop().create_task(answer())


def _answer_on_a_thread(stream: Stream, event: ElicitationRequest) -> None:
    thread = threading.Thread(target=_answer, args=(stream, event))
    thread.start()
    thread.join()


def _press(stream: Stream, event: Event) -> None:
    asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGINT)


def _let_go(stream: Stream, event: Event) -> None:
    usercode.hold.set()


# ---------------------------------------------------------------- the runs


def _text(front: Front) -> tuple[Agent, dict[str, Any]]:
    return _scripted("Hello, you there."), {}


def _computed(front: Front) -> tuple[Agent, dict[str, Any]]:
    return _scripted(usercode.turn), {}


def _failing(front: Front) -> tuple[Agent, dict[str, Any]]:
    return _scripted(), {}


def _async_tool(front: Front) -> tuple[Agent, dict[str, Any]]:
    return _calling(usercode.awaits), {}


def _thread_tool(front: Front) -> tuple[Agent, dict[str, Any]]:
    front.on(ToolCallStarted, _let_go)
    return _calling(usercode.on_thread), {}


def _main_thread_tool(front: Front) -> tuple[Agent, dict[str, Any]]:
    return _calling(usercode.on_main_thread), {}


def _two_tools(front: Front) -> tuple[Agent, dict[str, Any]]:
    return _calling(usercode.awaits, usercode.on_main_thread), {}


def _form(front: Front) -> tuple[Agent, dict[str, Any]]:
    front.on(ElicitationRequest, _answer_in_a_task)
    return _calling(usercode.asks), {}


def _two_forms(front: Front) -> tuple[Agent, dict[str, Any]]:
    front.on(ElicitationRequest, _answer)
    return _calling(usercode.asks_twice), {}


def _form_from_thread(front: Front) -> tuple[Agent, dict[str, Any]]:
    front.on(ElicitationRequest, _answer_on_a_thread)
    return _calling(usercode.asks_from_thread), {}


def _form_through_the_gate(front: Front) -> tuple[Agent, dict[str, Any]]:
    def react(stream: Stream, event: ElicitationRequest) -> None:
        def handle(reply_to: Any, identities: Any, message: dict[str, Any]) -> None:
            _answer(stream, event)

        front.port.handlers["comm_msg"] = handle
        front.port.send("comm_msg", {"comm_id": event.id})

    front.on(ElicitationRequest, react)
    return _calling(usercode.asks), {}


def _form_interrupted(front: Front) -> tuple[Agent, dict[str, Any]]:
    front.on(ElicitationRequest, _press)
    return _calling(usercode.asks), {}


def _answers(front: Front) -> tuple[Agent, dict[str, Any]]:
    return _calling(usercode.asks), {"answers": usercode.answers}


def _answers_later(front: Front) -> tuple[Agent, dict[str, Any]]:
    return _calling(usercode.asks), {"answers": usercode.answers_later}


def _approval(front: Front) -> tuple[Agent, dict[str, Any]]:
    front.on(ToolCallConfirmation, _answer)
    return _calling(usercode.risky), {}


def _hooks(front: Front) -> tuple[Agent, dict[str, Any]]:
    hooks = {
        "user_prompt_submit": [usercode.passes, usercode.passes_later],
        "pre_tool_use": usercode.passes,
        "post_tool_use": usercode.passes_later,
        "session_end": [usercode.passes, usercode.passes_later],
    }
    return _calling(usercode.awaits, hooks=hooks), {}


def _hook_blocks(front: Front) -> tuple[Agent, dict[str, Any]]:
    return _scripted("never", hooks={"user_prompt_submit": usercode.blocks}), {}


def _nested(front: Front) -> tuple[Agent, dict[str, Any]]:
    return _calling(usercode.nesting(Runtime(Agent("inner", model=ScriptedModel(["Inner words."]))))), {}


def _transfers(front: Front) -> tuple[Agent, dict[str, Any]]:
    tasks = [ToolCall("transfer_task", {"agent": "inner", "task": task}) for task in ("one", "two")]
    inner = Agent("inner", model=ScriptedModel([ToolCall("awaits", {}), "Inner words."]), tools=[usercode.awaits])
    return _scripted(tasks, "done", sub_agents=[inner]), {}


class _StallingModel:
    """Says a word, and no more until it is cancelled."""

    name = "stalling"

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelChunk]:
        yield TextDelta("half a ")
        asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGINT)
        await asyncio.Event().wait()


def _stalled(front: Front) -> tuple[Agent, dict[str, Any]]:
    return Agent("helper", model=_StallingModel()), {}


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("text", _text),
        Scenario("text, awaiting cell", _text, awaiting=True),
        Scenario("computed turn", _computed),
        Scenario("model fails", _failing),
        Scenario("model stalls", _stalled),
        Scenario("async tool", _async_tool),
        Scenario("tool on a thread", _thread_tool),
        Scenario("tool on the main thread", _main_thread_tool),
        Scenario("two tools", _two_tools),
        Scenario("form", _form),
        Scenario("form, awaiting cell", _form, awaiting=True),
        Scenario("two forms", _two_forms),
        Scenario("form from a thread", _form_from_thread),
        Scenario("form through the gate", _form_through_the_gate),
        Scenario("form, interrupted", _form_interrupted),
        Scenario("answers", _answers),
        Scenario("answers, async", _answers_later),
        Scenario("approval", _approval),
        Scenario("hooks", _hooks),
        Scenario("hook blocks", _hook_blocks),
        Scenario("nested stream", _nested, awaiting=True),
        Scenario("two transfers", _transfers),
    )
}

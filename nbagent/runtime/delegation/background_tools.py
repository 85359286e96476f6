"""The tools of background agents: run one, list them, view, stop or wait for them.

A background agent speaks in a session of its own and goes on whatever becomes of the run that started it; the agents
of that run's session look after it by the name that `run_background_agent` returned, also in later turns. Below:
`background` (which keeps them), `child`, `generated`. Above: `offering`.

It guarantees: `run_background_agent` returns at once, with the stream begun and handed to whoever consumes it, and
nothing can come between these two.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextvars import copy_context
from typing import Any

from nbagent.errors import NestingTooDeep, ToolError
from nbagent.ports import ToolContext, ToolResult, ToolSpec, current_call
from nbagent.runtime.delegation.background import BackgroundAgent
from nbagent.runtime.delegation.child import ENDED, refuse_circle, shortened
from nbagent.runtime.delegation.generated import TEXT, GeneratedTool, listed, one_of, parameters
from nbagent.runtime.life import Life
from nbagent.runtime.nested import NestedStream
from nbagent.runtime.options import Nested
from nbagent.session import Session

logger = logging.getLogger("nbagent")

SHOWN = 8_000
"""Characters of an agent's text that a model reads at once, the last ones."""
PATIENCE = 60
"""Seconds that `wait_background_agents` waits where nothing else is said."""
LONGEST = 3600
"""Seconds that it waits at most."""

_ID = {**TEXT, "description": "The name that run_background_agent returned."}


def background_tools(run: Life) -> list[GeneratedTool]:
    """The tools, for a run whose agent runs its sub-agents in the background."""
    return [_run(run), _list(run), _view(run), _stop(run), _wait(run)]


# ---------------------------------------------------------------- the beginning


def _run(run: Life) -> GeneratedTool:
    agents = {agent.name: agent for agent in run.agent.sub_agents}

    async def begin(arguments: dict[str, Any], context: ToolContext) -> ToolResult:
        agent = agents[arguments["agent"]]
        refuse_circle(run, agent.name)
        home = run.runtime
        home.background.check_room()
        nested = Nested("background", agent.name, context.tool_call_id, id=home.background.new_id())
        session = Session(parent_id=run.session.id)
        stream = home.nest(session, arguments["task"], agent, nested, run.options)
        try:
            begun = BackgroundAgent(nested.id, run.session.id, agent.name, arguments["task"], stream)
        except NestingTooDeep as error:
            raise ToolError(f"This goes too deep: {error}.") from None
        home.background.add(begun, drains=not _taken_over(run, stream))
        return ToolResult(f"{agent.name} runs in the background as {begun.id}; wait_background_agents waits for it.")

    description = (
        "Let another agent of your team do a task in the background: this returns at once with a name, and it goes on "
        "also when you have answered. It sees nothing of this conversation, so the task must say all that it needs to "
        f"know. The agents:\n{listed(run.agent.sub_agents)}"
    )
    schema = parameters(
        {
            "agent": {**one_of(run.agent.sub_agents), "description": "Who is to do it."},
            "task": {**TEXT, "description": "What is to be done, complete in itself."},
        }
    )
    return GeneratedTool(ToolSpec("run_background_agent", description, schema), begin)


def _taken_over(run: Life, stream: NestedStream) -> bool:
    """Whether a front end consumes the stream from now on."""
    take: Callable[[Any], None] | None = run.runtime.on_background
    if take is None:
        return False
    context = copy_context()
    context.run(current_call.set, None)  # what it displays is no part of this call, and not for the call's card
    try:
        context.run(take, stream)
    except Exception:  # a broken front end: the agent works all the same
        logger.exception("no front end shows the background stream %s", stream.id)
        return False
    return True


# ---------------------------------------------------------------- looking after it


def _list(run: Life) -> GeneratedTool:
    async def tell(arguments: dict[str, Any], context: ToolContext) -> ToolResult:
        lines = [f"{_told(run, agent)} · {shortened(agent.task, 200)}" for agent in _own(run)]
        return ToolResult("\n".join(lines) or "No background agent was started in this conversation.")

    description = "List the background agents of this conversation: name, agent, state, task."
    return GeneratedTool(ToolSpec("list_background_agents", description, parameters({})), tell, repeatable=True)


def _view(run: Life) -> GeneratedTool:
    async def tell(arguments: dict[str, Any], context: ToolContext) -> ToolResult:
        return ToolResult(_in_full(run, _find(run, arguments["id"])))

    description = "See how a background agent is getting on: its state, and what it has said."
    spec = ToolSpec("view_background_agent", description, parameters({"id": _ID}))
    return GeneratedTool(spec, tell, repeatable=True)


def _stop(run: Life) -> GeneratedTool:
    async def stop(arguments: dict[str, Any], context: ToolContext) -> ToolResult:
        agent = _find(run, arguments["id"])
        if not agent.live:
            raise ToolError(f"{agent.id} has ended already: {_state(run, agent)}.")
        agent.cancel()
        return ToolResult(f"{agent.id} was stopped. {_in_full(run, agent)}")

    spec = ToolSpec("stop_background_agent", "Stop a background agent.", parameters({"id": _ID}))
    return GeneratedTool(spec, stop)


def _wait(run: Life) -> GeneratedTool:
    async def wait(arguments: dict[str, Any], context: ToolContext) -> ToolResult:
        chosen = [_find(run, id) for id in dict.fromkeys(arguments["ids"])]
        chosen = chosen or [agent for agent in _own(run) if agent.live]
        if not chosen:
            return ToolResult("No background agent of this conversation is running.")
        await _all_ended(chosen, arguments["timeout"])
        left = [agent.id for agent in chosen if agent.live]
        note = f"After {arguments['timeout']:g} s still running: {', '.join(left)}.\n\n" if left else ""
        return ToolResult(note + "\n\n".join(_in_full(run, agent) for agent in chosen))

    description = (
        "Wait until all of these background agents have ended, or the time is over, and get what they said. They go on "
        "where the time is over."
    )
    schema = parameters(
        {
            "ids": {
                "type": "array",
                "items": TEXT,
                "default": [],
                "description": "Their names; empty: all of this conversation that are running.",
            },
            "timeout": {
                "type": "number",
                "minimum": 0,
                "maximum": LONGEST,
                "default": PATIENCE,
                "description": "Seconds to wait at most.",
            },
        },
        optional=["ids", "timeout"],
    )
    return GeneratedTool(ToolSpec("wait_background_agents", description, schema), wait, repeatable=True)


async def _all_ended(agents: Sequence[BackgroundAgent], seconds: float) -> None:
    """Wait for them together; who stops waiting leaves them running."""
    waiting = [asyncio.ensure_future(agent.ended()) for agent in agents]
    try:
        await asyncio.wait(waiting, timeout=seconds)
    finally:
        for one in waiting:
            one.cancel()


# ---------------------------------------------------------------- in words


def _own(run: Life) -> list[BackgroundAgent]:
    return run.runtime.background.of(run.session.id)


def _find(run: Life, id: str) -> BackgroundAgent:
    return run.runtime.background.find(run.session.id, id)


def _state(run: Life, agent: BackgroundAgent) -> str:
    if (reason := agent.reason) is None:
        asks = any(question.stream_id == agent.stream_id for question in run.runtime.bridge.pending)
        return "waits for the user's answer" if asks else "running"
    if reason == "completed":
        return "completed"
    return f"{ENDED[reason]}: {agent.message}" if agent.message else ENDED[reason]


def _told(run: Life, agent: BackgroundAgent) -> str:
    return f"{agent.id} · {agent.agent} · {_state(run, agent)} · {agent.elapsed:.0f} s"


def _in_full(run: Life, agent: BackgroundAgent) -> str:
    said = shortened(agent.text, SHOWN)
    return f"{_told(run, agent)}\n{said}" if said else f"{_told(run, agent)}\nIt has said nothing."

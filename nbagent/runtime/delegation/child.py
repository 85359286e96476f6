"""A nested stream from its start to its end, as the result of the tool call that started it.

Used by `transfer` and `skill`. The stream is entered and left inside the call's task: where that is cancelled, the
stream ends with it. It guarantees (P7): no agent and no skill works inside of itself, at any depth; how a stream ended
and what it had said is what the parent's model reads; its end never ends the parent, save an interrupt that struck
its tool, which means the whole.
"""

from __future__ import annotations

from nbagent.errors import Interrupted, NestingTooDeep, ToolError
from nbagent.events import StopReason
from nbagent.ports import ToolResult
from nbagent.runtime.life import Life
from nbagent.runtime.nested import NestedStream
from nbagent.runtime.options import Nested
from nbagent.session import Session

PARTIAL = 20_000
"""Characters of what an unfinished stream had said that its parent's model reads, the last ones."""

ENDED: dict[StopReason, str] = {
    "error": "it ended in error",
    "hook_blocked": "a hook stopped it",
    "max_iterations": "it reached the limit of its model calls",
    "cancelled": "it was stopped",
    "interrupted": "it was interrupted",
    "superseded": "it was stopped",
}
"""How a stream ended that did not complete, in words that a model reads."""


def chain(run: Life) -> list[Life]:
    """The runs that `run` is nested in, outermost first, and itself."""
    found: list[Life] = []
    one: Life | None = run
    while one is not None:
        found.append(one)
        one = one.parent
    return found[::-1]


def refuse_circle(run: Life, agent: str) -> None:
    """Whether `agent` may be given work by `run`.

    Raises
    ------
    ToolError
        It is at work on it already; the message names the chain.
    """
    if agent in (one.agent.name for one in chain(run)):
        raise ToolError(
            f"{agent} cannot take this: it waits for it already ({_told(run)} → {agent} would go in circles). Do it "
            "yourself, or give it to another agent."
        )


def skills_at_work(run: Life) -> set[str]:
    """The names of the skills that `run` and what it is nested in work by."""
    nested = (one.options.nested for one in chain(run))
    return {one.name for one in nested if one is not None and one.kind == "skill"}


def refuse_skill_circle(run: Life, skill: str) -> None:
    """Whether `run` may start to work by `skill`.

    Raises
    ------
    ToolError
        It works by it already; the message names the chain.
    """
    if skill in skills_at_work(run):
        raise ToolError(f"The skill {skill} is at work on this already ({_told(run)}). Follow its instructions.")


def _told(run: Life) -> str:
    return " → ".join(
        f"{one.agent.name} (skill {nested.name})"
        if (nested := one.options.nested) is not None and nested.kind == "skill"
        else one.agent.name
        for one in chain(run)
    )


async def play(run: Life, prompt: str, nested: Nested) -> ToolResult:
    """Start a stream inside `run` and wait for its end.

    Parameters
    ----------
    run, prompt
        Whose call it is, and what the stream is told.
    nested
        How it is nested; a skill is done by the run's own agent, else `nested.name` is one of its sub-agents.

    Returns
    -------
    ToolResult
        The stream's last text; where it did not complete, an error with what it had said.

    Raises
    ------
    ToolError
        It cannot begin.
    Interrupted
        An interrupt struck one of its tools.
    """
    if run.stopped is not None:
        raise ToolError("The run has ended.")
    by_name = {agent.name: agent for agent in run.agent.sub_agents}
    agent = run.agent if nested.kind == "skill" else by_name[nested.name]
    stream = run.runtime.nest(Session(parent_id=run.session.id), prompt, agent, nested, run.options)
    try:
        async with stream:
            await stream.join()
    except NestingTooDeep as error:
        raise ToolError(f"This goes too deep: {error}.") from None
    return _result(run, stream, nested)


def _result(run: Life, stream: NestedStream, nested: Nested) -> ToolResult:
    assert stream.stopped is not None
    reason = stream.stopped.reason
    if reason == "completed":
        return ToolResult(stream.result().text or f"{nested.name} has finished, and said nothing.")
    if reason == "interrupted" and run.stopped is None:
        raise Interrupted
    who = f"The skill {nested.name}" if nested.kind == "skill" else nested.name
    why = f": {stream.stopped.message}" if stream.stopped.message else ""
    said = f"\n\nUntil then it had said:\n{shortened(stream.said, PARTIAL)}" if stream.said else ""
    return ToolResult(f"{who} did not finish the task: {ENDED[reason]}{why}.{said}", is_error=True)


def shortened(text: str, most: int) -> str:
    """The end of a text that is longer than `most` characters, with a word about the rest."""
    return text if len(text) <= most else f"[{len(text) - most:,} characters before]\n{text[-most:]}"

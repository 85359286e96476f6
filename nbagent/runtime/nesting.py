"""How a run is nested in another (P7): how deep that may go, and what the parent is told of it.

Used by `run` at both ends of a nested stream's life. It guarantees: a parent hears of each stream that began in it, and
of its end; one in the background is none of its children, so that neither its end nor its usage is the parent's.
"""

from __future__ import annotations

from typing import Any, Protocol

from nbagent.errors import NestingTooDeep
from nbagent.events import StopReason, SubSessionCompleted, SubSessionStarted
from nbagent.ports import current_call
from nbagent.runtime.life import Life
from nbagent.session import Usage

MAX_DEPTH = 10
"""How many streams a stream may be nested in."""


class Nesting(Life, Protocol):
    """A run, as far as others are nested in it."""

    nested_usage: Usage

    @property
    def children(self) -> list[Any]:
        """The live runs that end with it, oldest first."""
        ...


def check_depth(parent: Life, agent: str) -> None:
    """Whether a stream of `agent` may begin in `parent`.

    Raises
    ------
    NestingTooDeep
        It would be nested in more than `MAX_DEPTH` streams.
    """
    depth, ancestor = 1, parent.parent
    while ancestor is not None:
        depth, ancestor = depth + 1, ancestor.parent
    if depth > MAX_DEPTH:
        raise NestingTooDeep(f"a stream of {agent} would be nested in {depth}; {MAX_DEPTH} are the most")


def enter(child: Nesting, parent: Nesting) -> None:
    """The child begins; in the background, only for those who want to know where it comes from."""
    nested, call = child.options.nested, current_call.get()
    background = nested is not None and nested.detached
    if not background:
        parent.children.append(child)
    parent.record(
        SubSessionStarted,
        child_stream_id=child.id,
        child_session_id=child.session.id,
        child_agent=child.agent.name,
        tool_call_id=call.tool_call_id if call is not None else None,
        background=background,
        background_id=nested.id if nested is not None else "",
    )


def leave(child: Nesting, parent: Nesting, reason: StopReason) -> None:
    """The child has stopped."""
    if child in parent.children:
        parent.children.remove(child)
        parent.nested_usage += child.usage + child.nested_usage
    parent.record(
        SubSessionCompleted,
        child_stream_id=child.id,
        child_session_id=child.session.id,
        child_agent=child.agent.name,
        reason=reason,
    )

"""Whether a tool call may be made, and with which arguments: the rules, the hooks, and at last the user.

Called by `calls` for each call, after `pre_tool_use`. `nbagent.permissions` decides; where it says ask, the question is
an event like any other, answered by `Runtime.answer` and cancelled by the run's end. It guarantees: what is called is
what was approved, and an approval for the session settles every question like it that waits at that moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nbagent.events import ToolCallConfirmation
from nbagent.hooks import HookResult
from nbagent.permissions import decide
from nbagent.ports import Tool
from nbagent.runtime.life import Life
from nbagent.session import ToolCall


class Refused(Exception):
    """The call may not be made; the words are for the model."""


async def approved(
    run: Life, call: ToolCall, tool: Tool, arguments: Mapping[str, Any], hooked: HookResult
) -> Mapping[str, Any]:
    """The arguments to call `tool` with, once the call is approved.

    Parameters
    ----------
    run, call, tool, arguments
        Which call of whose.
    hooked
        What the hooks of ``pre_tool_use`` said.

    Raises
    ------
    Refused
        It may not be made.
    """
    name = call.name
    match decide(tool, name, run.options.approve, run.session.approved):
        case "allow":
            return arguments
        case "refuse":
            raise Refused("The call was not made: this run approves no tool that can hurt (approve='none').")
        case "ask":
            pass
    outcome = await run.questions.put(
        ToolCallConfirmation, tool_call_id=call.id, name=name, arguments=arguments, toolset=tool.toolset
    )
    content = outcome.content or {}
    if outcome.action != "accept":
        why = content.get("reason") or outcome.note
        raise Refused("The user did not approve the call" + (f": {why}" if why else "."))
    if content.get("scope") == "session":
        run.session.approved.add(name)
        run.questions.resolve_alike(
            lambda event: isinstance(event, ToolCallConfirmation) and event.name == name, outcome
        )
    return arguments

"""The tool `handoff`: an agent hands the whole conversation over to another, who answers from then on.

It only names the successor; `loop` hands over once the other calls of the message have their results. Streams that an
agent started are pinned to it and do not get the tool. Below: `generated`. Above: `offering`.
"""

from __future__ import annotations

from typing import Any

from nbagent.errors import ToolError
from nbagent.ports import ToolContext, ToolResult, ToolSpec
from nbagent.runtime.delegation.generated import GeneratedTool, listed, one_of, parameters
from nbagent.runtime.life import Life

NAME = "handoff"


def handoff(run: Life) -> GeneratedTool:
    """The tool, for a top-level run whose agent has handoffs."""
    agents = {agent.name: agent for agent in run.agent.handoffs}

    async def hand_over(arguments: dict[str, Any], context: ToolContext) -> ToolResult:
        to = agents[arguments["agent"]]
        if run.successor is not None:
            raise ToolError(f"The conversation goes over to {run.successor.name} already; only one can have it.")
        if to is run.agent:
            raise ToolError(f"You are {to.name} and have the conversation already.")
        run.successor = to
        return ToolResult(
            f"The conversation was handed over to you, {to.name}, by {run.agent.name}. You speak to the user from now "
            "on: go on with what they want, from where the conversation stands."
        )

    description = (
        "Hand the conversation over to another agent, who sees all of it and answers the user from then on; you do not "
        f"get it back by yourself. The agents:\n{listed(run.agent.handoffs)}"
    )
    schema = parameters({"agent": {**one_of(run.agent.handoffs), "description": "Who is to go on."}})
    return GeneratedTool(ToolSpec(NAME, description, schema), hand_over)

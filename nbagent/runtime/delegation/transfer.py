"""The tool `transfer_task`: an agent gives a task to one of its sub-agents, and reads the answer.

Several calls in one message are several tasks at once. Below: `child`, `generated`. Above: `offering`.
"""

from __future__ import annotations

from typing import Any

from nbagent.ports import ToolContext, ToolResult, ToolSpec
from nbagent.runtime.delegation.child import play, refuse_circle
from nbagent.runtime.delegation.generated import TEXT, GeneratedTool, listed, one_of, parameters
from nbagent.runtime.life import Life
from nbagent.runtime.options import Nested

NAME = "transfer_task"


def transfer_task(run: Life) -> GeneratedTool:
    """The tool, for a run whose agent has sub-agents."""
    agents = run.agent.sub_agents

    async def transfer(arguments: dict[str, Any], context: ToolContext) -> ToolResult:
        name = arguments["agent"]
        refuse_circle(run, name)
        expected = arguments["expected_output"]
        prompt = f"{arguments['task']}\n\nExpected output: {expected}" if expected else arguments["task"]
        return await play(run, prompt, Nested("transfer", name, context.tool_call_id))

    description = (
        "Give a task to another agent of your team, and get its answer. It sees nothing of this conversation, so the "
        "task must say all that it needs to know. Call this several times at once for tasks that do not depend on each "
        f"other. The agents:\n{listed(agents)}"
    )
    schema = parameters(
        {
            "agent": {**one_of(agents), "description": "Who is to do it."},
            "task": {**TEXT, "description": "What is to be done, complete in itself."},
            "expected_output": {"type": "string", "default": "", "description": "What the answer is to contain."},
        },
        optional=["expected_output"],
    )
    return GeneratedTool(ToolSpec(NAME, description, schema), transfer)

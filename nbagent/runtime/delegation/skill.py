"""The tool `run_skill`: an agent does a task by the instructions of one of its skills, in a stream of its own.

The skill's text is read only there, so that the conversation itself stays short. Below: `child`, `generated`. Above:
`offering`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nbagent.ports import ToolContext, ToolResult, ToolSpec
from nbagent.runtime.delegation.child import play, refuse_skill_circle, skills_at_work
from nbagent.runtime.delegation.generated import TEXT, GeneratedTool, parameters
from nbagent.runtime.life import Life
from nbagent.runtime.options import Nested
from nbagent.skills import Skill

NAME = "run_skill"


def run_skill(run: Life) -> GeneratedTool | None:
    """The tool, for a run whose agent has skills that it does not work by already; else None."""
    at_work = skills_at_work(run)
    skills = {skill.name: skill for skill in run.agent.skills if skill.name not in at_work}
    if not skills:
        return None

    async def begin(arguments: dict[str, Any], context: ToolContext) -> ToolResult:
        skill = skills[arguments["name"]]
        instructions = f"You do this task by the skill {skill.name}. Its instructions:\n\n{skill.instructions}"
        return await play(run, arguments["task"], Nested("skill", skill.name, context.tool_call_id, instructions))

    def refuse(arguments: Mapping[str, Any]) -> None:
        refuse_skill_circle(run, str(arguments.get("name")))

    schema = parameters(
        {
            "name": {"type": "string", "enum": list(skills), "description": "Which skill."},
            "task": {**TEXT, "description": "What is to be done, complete in itself."},
        }
    )
    return GeneratedTool(ToolSpec(NAME, _description(list(skills.values())), schema), begin, refuse=refuse)


def _description(skills: list[Skill]) -> str:
    listed = "\n".join(f"- {skill.name}: {skill.description}" for skill in skills)
    return (
        "Do a task by one of your skills: you work on it apart, by the skill's instructions, and get the result. That "
        "work sees nothing of this conversation, so the task must say all that it needs to know. The skills:\n"
        f"{listed}"
    )

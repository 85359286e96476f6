"""A tool that nbagent makes for what an agent declares.

Made by the other modules of this package; implements `nbagent.ports.Tool`. Its arguments are checked here, so that
whatever is wrong with them is one `ToolError`. It needs no approval (P11): what the streams that it starts may do is
asked there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nbagent.agent import Agent
from nbagent.ports import ToolContext, ToolResult, ToolSpec
from nbagent.runtime.delegation.arguments import checked

TEXT: Mapping[str, Any] = {"type": "string", "minLength": 1}


def parameters(properties: Mapping[str, Any], *, optional: Sequence[str] = ()) -> dict[str, Any]:
    """The strict schema of arguments: these and no others; `arguments` reads no more of a schema than it uses."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


def one_of(agents: Sequence[Agent]) -> dict[str, Any]:
    """The schema of an agent's name."""
    return {"type": "string", "enum": list(dict.fromkeys(agent.name for agent in agents))}


def listed(agents: Sequence[Agent]) -> str:
    """The agents, each on a line with what it is for."""
    return "\n".join(f"- {agent.name}: {agent.description}".removesuffix(": ") for agent in agents)


@dataclass(frozen=True, slots=True)
class GeneratedTool:
    """A tool of nbagent's own.

    Parameters
    ----------
    spec
        Name, description and schema.
    function
        Takes the checked arguments, with their defaults, and the call's context.
    repeatable
        Whether the same call over and over is no sign that the agent goes round in circles.
    refuse
        Raises `ToolError` for arguments that deserve words of their own, before they are checked.
    """

    spec: ToolSpec
    function: Callable[[dict[str, Any], ToolContext], Awaitable[ToolResult]]
    repeatable: bool = False
    refuse: Callable[[Mapping[str, Any]], None] | None = None

    @property
    def toolset(self) -> str:
        """None of any toolset's: like a function of the user's, it keeps its name."""
        return ""

    @property
    def asks_approval(self) -> bool:
        """It cannot hurt by itself."""
        return False

    async def call(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Check the arguments and run it.

        Raises
        ------
        ToolError
            They do not fit, or what is asked for cannot be.
        """
        if self.refuse is not None:
            self.refuse(arguments)
        return await self.function(checked(arguments, self.spec.parameters), context)

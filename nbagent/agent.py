"""What a user declares: agents and teams of them.

Declarations are checked here, once, so that a mistake is one clear `ConfigError` where it was made and not a failure in
mid-run. Below: `toolsets.functions` (which wraps plain functions as tools), `models`, `hooks`. Above: `runtime`, which
runs what was declared and never changes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from nbagent import hooks as _hooks
from nbagent.errors import ConfigError
from nbagent.models import resolve
from nbagent.ports import Model, Tool, Toolset
from nbagent.toolsets.functions import as_tool

if TYPE_CHECKING:
    from pydantic import TypeAdapter

T = TypeVar("T")

DEFAULT_MAX_ITERATIONS = 50


class Agent:
    """A model with instructions, tools, and a name.

    Parameters
    ----------
    name
        What events, transcripts and other agents call it.
    model
        A model object, such as `nbagent.models.ScriptedModel`.
    instructions
        Standing instructions that the model reads before the conversation.
    description
        What the agent is for, in a line, for people and other agents.
    tools
        Functions, or what `nbagent.tool` made of them.
    toolsets
        Sources of tools, such as `nbagent.toolsets.MCPToolset`.
    sub_agents
        Agents that belong to this one's team.
    hooks
        Functions by hook point (`nbagent.hooks.POINTS`): one, or a sequence of them.
    max_iterations
        Model calls in one turn before the user is asked whether to go on.
    output_type
        A dataclass or pydantic model (or any type that pydantic can validate): `Result.output` is an instance of it.

    Raises
    ------
    ConfigError
        Something of it cannot be; the message names it.

    Examples
    --------
    >>> from nbagent.models import ScriptedModel
    >>> Agent("greeter", model=ScriptedModel(["Hello!"]))
    Agent('greeter', model='scripted')
    """

    def __init__(
        self,
        name: str,
        *,
        model: Model | str,
        instructions: str = "",
        description: str = "",
        tools: Sequence[Tool | Callable[..., Any]] = (),
        toolsets: Sequence[Toolset] = (),
        sub_agents: Sequence[Agent] = (),
        hooks: Mapping[str, _hooks.Hook | Sequence[_hooks.Hook]] | None = None,
        max_iterations: int = DEFAULT_MAX_ITERATIONS,
        output_type: Any = None,
    ) -> None:
        if not name.strip():
            raise ConfigError("an agent needs a name")
        if max_iterations < 1:
            raise ConfigError(f"agent {name!r}: max_iterations={max_iterations}; it must be at least 1")
        self.name = name
        self.model = resolve(model)
        self.instructions = instructions
        self.description = description
        self.tools: tuple[Tool, ...] = tuple(as_tool(given) for given in tools)
        self.toolsets = _checked(toolsets, Toolset, f"agent {name!r}: toolsets", "a toolset such as MCPToolset(…)")
        self.sub_agents = _checked(sub_agents, Agent, f"agent {name!r}: sub_agents", "an Agent")
        self.hooks = _hooks.check(hooks or {})
        self.max_iterations = max_iterations
        self.output_type = output_type
        names = [given.spec.name for given in self.tools]
        if twice := sorted({given for given in names if names.count(given) > 1}):
            raise ConfigError(f"agent {name!r} has two tools named {twice[0]!r}; rename one")
        _ = self.output_adapter

    @cached_property
    def output_adapter(self) -> TypeAdapter[Any] | None:
        """Validates the final answer, where the agent has an output type."""
        if self.output_type is None:
            return None
        from pydantic import TypeAdapter
        from pydantic.errors import PydanticUserError

        try:
            return TypeAdapter(self.output_type)
        except PydanticUserError as error:
            raise ConfigError(
                f"agent {self.name!r}: output_type={self.output_type!r} cannot be validated: {error}"
            ) from None

    def __repr__(self) -> str:
        return f"Agent({self.name!r}, model={self.model.name!r})"


class Team:
    """Agents that work together; the first is the one that the user talks to.

    Parameters
    ----------
    agents
        The agents; their `sub_agents` belong to the team too, at any depth.

    Raises
    ------
    ConfigError
        There is none, or two different agents share a name.
    """

    def __init__(self, *agents: Agent) -> None:
        members = _checked(agents, Agent, "Team(…)", "an Agent")
        if not members:
            raise ConfigError("a team needs at least one agent")
        self.root = members[0]
        self.agents: dict[str, Agent] = {}
        for agent in _with_sub_agents(members, set()):
            if self.agents.setdefault(agent.name, agent) is not agent:
                raise ConfigError(f"two agents of the team are named {agent.name!r}; rename one")

    def __repr__(self) -> str:
        return f"Team({', '.join(self.agents)})"


def _with_sub_agents(agents: Sequence[Agent], seen: set[int]) -> Iterator[Agent]:
    for agent in agents:
        if id(agent) not in seen:
            seen.add(id(agent))
            yield agent
            yield from _with_sub_agents(agent.sub_agents, seen)


def _checked(given: Sequence[Any], kind: type[T], where: str, wanted: str) -> tuple[T, ...]:
    for item in given:
        if not isinstance(item, kind):
            raise ConfigError(f"{where}: {item!r} is not {wanted}")
    return tuple(given)

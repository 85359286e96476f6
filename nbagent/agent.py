"""What a user declares: agents and teams of them.

Declarations are checked here, once, so that a mistake is one clear `ConfigError` where it was made and not a failure in
mid-run. Below: `toolsets.functions` (which wraps plain functions as tools), `models`, `hooks`. Above: `runtime`, which
runs what was declared and never changes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from nbagent import hooks as _hooks
from nbagent.errors import ConfigError
from nbagent.models import DefaultModel, resolve
from nbagent.permissions import Permissions
from nbagent.ports import Model, Tool, Toolset
from nbagent.skills import Skill, check_skills
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
        The name of a provider's model (``openai:gpt-5-mini``; ``local`` needs no key), or a model object such as
        `nbagent.models.ProviderModel` or `nbagent.models.ScriptedModel`. None: a small model of a provider whose key
        is set, else ``local`` where that is installed, else one that says what to do.
    instructions
        Standing instructions that the model reads before the conversation.
    description
        What the agent is for, in a line, for people and other agents.
    tools
        Functions, or what `nbagent.tool` made of them.
    toolsets
        Sources of tools, such as `nbagent.toolsets.MCPToolset`.
    sub_agents
        Agents of its team that it gives tasks to, by the tool ``transfer_task``; it reads what they answer.
    handoffs
        Agents of its team that it can hand the whole conversation over to, by the tool ``handoff``.
    background_agents
        Whether it may run its `sub_agents` beside the conversation too, by ``run_background_agent`` and its companions.
    skills
        Instructions for tasks that it does by the tool ``run_skill``: a folder of ``*/SKILL.md`` files, or what
        `nbagent.skills.load_skills` returned.
    hooks
        By hook point (`nbagent.hooks.POINTS`) a function, a `CommandHook`, a `matching(…)`, or a sequence of them.
    permissions
        Which tool calls run unasked, which never, and about which the user is asked.
    max_iterations
        Model calls in one turn before the user is asked whether to go on.
    context_limit
        Tokens that the model can take, where it does not say so itself; near them the oldest messages are summed up.
    output_type
        A dataclass or pydantic model (or any type that pydantic can validate): `Result.output` is an instance of it.
    commands
        Prompts by name, for ``%agent_run AGENT /name``; ``$1``, ``$2`` … in them are the words that follow the name.
    welcome_message
        What the transcript shows before the first turn of a conversation.

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
        model: Model | str | None = None,
        instructions: str = "",
        description: str = "",
        tools: Sequence[Tool | Callable[..., Any]] = (),
        toolsets: Sequence[Toolset] = (),
        sub_agents: Sequence[Agent] = (),
        handoffs: Sequence[Agent] = (),
        background_agents: bool = False,
        skills: str | Path | Sequence[Skill] = (),
        hooks: _hooks.Declaration | None = None,
        permissions: Permissions | None = None,
        max_iterations: int = DEFAULT_MAX_ITERATIONS,
        context_limit: int | None = None,
        output_type: Any = None,
        commands: Mapping[str, str] | None = None,
        welcome_message: str = "",
    ) -> None:
        if not name.strip():
            raise ConfigError("an agent needs a name")
        if max_iterations < 1:
            raise ConfigError(f"agent {name!r}: max_iterations={max_iterations}; it must be at least 1")
        if context_limit is not None and context_limit < 1:
            raise ConfigError(f"agent {name!r}: context_limit={context_limit}; it counts tokens, so at least 1")
        self.name = name
        self.model = DefaultModel() if model is None else resolve(model)
        self.instructions = instructions
        self.description = description
        self.tools: tuple[Tool, ...] = tuple(as_tool(given) for given in _several(tools, f"agent {name!r}: tools"))
        self.toolsets = _checked(toolsets, Toolset, f"agent {name!r}: toolsets", "a toolset such as MCPToolset(…)")
        self.sub_agents = _checked(sub_agents, Agent, f"agent {name!r}: sub_agents", "an Agent")
        self.handoffs = _checked(handoffs, Agent, f"agent {name!r}: handoffs", "an Agent")
        if background_agents and not self.sub_agents:
            raise ConfigError(f"agent {name!r}: background_agents=True runs its sub_agents, and it has none")
        self.background_agents = background_agents
        self.skills = check_skills(skills, f"agent {name!r}: skills")
        self.hooks = _hooks.check(hooks or {})
        self.permissions = _rules(permissions, f"agent {name!r}")
        self.max_iterations = max_iterations
        self.context_limit = context_limit
        self.output_type = output_type
        self.commands = dict(commands or {})
        self.welcome_message = welcome_message
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

    def model_of_a_run(self) -> Model:
        """The model that answers a run from its begin to its end, also where the agent names none."""
        return self.model.decided() if isinstance(self.model, DefaultModel) else self.model

    def __repr__(self) -> str:
        return f"Agent({self.name!r}, model={self.model.name!r})"


class Team:
    """Agents that work together; the first is the one that the user talks to.

    Parameters
    ----------
    agents
        The agents; their `sub_agents` and `handoffs` belong to the team too, at any depth.
    hooks
        Called for every agent of the team, before its own.
    permissions
        Hold for every agent of the team, together with its own.

    Raises
    ------
    ConfigError
        There is none, or two different agents share a name.
    """

    def __init__(
        self, *agents: Agent, hooks: _hooks.Declaration | None = None, permissions: Permissions | None = None
    ) -> None:
        members = _checked(agents, Agent, "Team(…)", "an Agent")
        if not members:
            raise ConfigError("a team needs at least one agent")
        self.root = members[0]
        self.hooks = _hooks.check(hooks or {})
        self.permissions = _rules(permissions, "Team(…)")
        self.agents: dict[str, Agent] = {}
        for agent in _with_others(members, set()):
            if self.agents.setdefault(agent.name, agent) is not agent:
                raise ConfigError(f"two agents of the team are named {agent.name!r}; rename one")

    def __repr__(self) -> str:
        return f"Team({', '.join(self.agents)})"


def _with_others(agents: Sequence[Agent], seen: set[int]) -> Iterator[Agent]:
    """The agents and whomever they delegate to."""
    for agent in agents:
        if id(agent) not in seen:
            seen.add(id(agent))
            yield agent
            yield from _with_others((*agent.sub_agents, *agent.handoffs), seen)


def _rules(given: Permissions | None, where: str) -> Permissions:
    if given is None:
        return Permissions()
    if not isinstance(given, Permissions):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigError(f"{where}: permissions={given!r}; give nbagent.permissions.Permissions(deny=[…], allow=[…])")
    return given


def _checked(given: Sequence[Any], kind: type[T], where: str, wanted: str) -> tuple[T, ...]:
    for item in _several(given, where):
        if not isinstance(item, kind):
            raise ConfigError(f"{where}: {item!r} is not {wanted}")
    return tuple(given)


def _several(given: Sequence[T], where: str) -> Sequence[T]:
    """What was given, if it is several things: one alone, without its brackets, is a common slip."""
    if isinstance(given, str) or not isinstance(given, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigError(f"{where}={given!r} is not a list; write [ ] around it")
    return given

"""The tools of one run: the agent's functions, those made for what it declares (sub-agents, skills …), and what its
toolsets lend, by the names that the model calls.

Opened by `loop` at the beginning of a run, followed before each call of the model, and closed at the run's end. It
guarantees: a name means one tool. Where two have the same, a run does not begin, and in its middle (a server's list of
tools has changed) the one that was there stays, and the user is told of the other by name.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from nbagent import boundary
from nbagent.errors import ConfigError, ToolsUnavailable
from nbagent.events import MCPInitFinished, MCPInitStarted, ToolsetInfo, Warning
from nbagent.ports import ChangingTools, Tool, Toolset, ToolSpec
from nbagent.runtime.delegation.offering import offered
from nbagent.runtime.life import Life

_REMEDY = "rename one, give its MCP server a prefix, or have a toolset offer other tools"


@dataclass(slots=True)
class Lent:
    """What one toolset lends to a run.

    Parameters
    ----------
    toolset, opened
        Whose it is, and what it gave when it was opened.
    tools
        What that came to the last time it was looked at.
    names
        Those of its tools that are in the box.
    refused
        Those that are not, since another tool had the name first.
    """

    toolset: Toolset
    opened: Sequence[Tool]
    tools: Sequence[Tool]
    names: tuple[str, ...] = ()
    refused: frozenset[str] = frozenset()


class Toolbox(dict[str, Tool]):
    """The tools by name.

    Attributes
    ----------
    lent
        What the toolsets lend, in their order.
    gone
        The toolset of each name that was here and is not any more.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lent: list[Lent] = []
        self.gone: dict[str, str] = {}

    def add(self, tools: Iterable[Tool]) -> tuple[str, ...]:
        """Put the tools in; their names.

        Raises
        ------
        ConfigError
            One has the name of another.
        """
        names: list[str] = []
        for tool in tools:
            name = tool.spec.name
            if name in self:
                others = " and ".join(one.toolset or "the agent itself" for one in (self[name], tool))
                raise ConfigError(f"two tools are named {name!r}, of {others}; {_REMEDY}")
            self[name] = tool
            names.append(name)
        return tuple(names)

    def swap(self, lent: Lent, tools: Sequence[Tool]) -> frozenset[str]:
        """Put these in the place of what the toolset lent before; the names that are refused, and were not before."""
        for name in lent.names:
            del self[name]
        fresh = {tool.spec.name: tool for tool in tools if tool.spec.name not in self}
        refused = frozenset(tool.spec.name for tool in tools if fresh.get(tool.spec.name) is not tool)
        self.gone.update(dict.fromkeys(lent.names, lent.toolset.name))
        for name, tool in fresh.items():
            self[name] = tool
            self.gone.pop(name, None)
        new, lent.tools, lent.names, lent.refused = refused - lent.refused, tools, tuple(fresh), refused
        return new


def missing(box: Mapping[str, Tool], name: str) -> str:
    """What a model reads that calls a tool which is not there."""
    owner = box.gone.get(name) if isinstance(box, Toolbox) else None
    why = f"There is no tool {name!r} any more: {owner} took it back" if owner else f"There is no tool {name!r}"
    return f"{why}. There are: {', '.join(box) or 'none'}."


def specs(box: Mapping[str, Tool]) -> list[ToolSpec]:
    """The tools as a model is told them."""
    return [tool.spec for tool in box.values()]


async def opened(run: Life, stack: AsyncExitStack) -> Toolbox:
    """Open the agent's toolsets for this run, until `stack` closes.

    Raises
    ------
    ToolsUnavailable
        One cannot be had.
    ConfigError
        Names collide.
    """
    box = Toolbox()
    box.add([*run.agent.tools, *offered(run)])
    for toolset in run.agent.toolsets:
        tools = await _open(run, toolset, stack)
        box.lent.append(Lent(toolset, tools, tools, box.add(tools)))
    for lent in box.lent:
        await run.emit(ToolsetInfo, toolset=lent.toolset.name, tools=lent.names)
    return box


async def follow(run: Life, box: Toolbox) -> None:
    """Have in the box what the toolsets lend now."""
    for lent in box.lent:
        if not isinstance(lent.opened, ChangingTools):
            continue
        try:
            tools = await lent.opened.current()
        except BaseException as failure:  # another's toolset
            if not boundary.is_failure(failure):
                raise
            words = f"The tools of {lent.toolset.name} stay as they were: {boundary.told(failure)}"
            await run.emit(Warning, message=words)
            continue
        if tools is not lent.tools:
            refused = box.swap(lent, tools)
            for name in sorted(refused):
                words = f"{lent.toolset.name} now offers a second tool named {name!r}, which is left out; {_REMEDY}."
                await run.emit(Warning, message=words)
            await run.emit(ToolsetInfo, toolset=lent.toolset.name, tools=lent.names)


async def _open(run: Life, toolset: Toolset, stack: AsyncExitStack) -> Sequence[Tool]:
    is_server = getattr(toolset, "kind", "") == "mcp"
    begun = time.monotonic()
    if is_server:
        await run.emit(MCPInitStarted, server=toolset.name)
    error = ""
    try:
        return await stack.enter_async_context(toolset.open(run.questions))
    except ToolsUnavailable as failure:
        error = str(failure)
        raise
    except BaseException as failure:  # another's toolset
        if not boundary.is_failure(failure):
            raise
        error = f"toolset {toolset.name}: {boundary.told(failure)}"
        raise ToolsUnavailable(error) from failure
    finally:
        if is_server:
            run.record(MCPInitFinished, server=toolset.name, duration=time.monotonic() - begun, error=error)

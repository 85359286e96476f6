"""The tools of one run: the agent's functions, those made for what it declares (sub-agents, skills …), and what its
toolsets lend, by the names that the model calls.

Opened by `loop` at the beginning of a run and closed at its end. Two toolsets may offer the same name: then each such
tool is called by its toolset's name and its own (`ledger_search`); the user's functions keep theirs.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace

from nbagent import boundary
from nbagent.errors import ConfigError, ToolsUnavailable
from nbagent.events import MCPInitFinished, MCPInitStarted, ToolsetInfo
from nbagent.ports import Tool, Toolset, ToolSpec
from nbagent.runtime.delegation.offering import offered
from nbagent.runtime.life import Life

Toolbox = dict[str, Tool]


def named(tools: Sequence[Tool]) -> Toolbox:
    """The tools by name, those that collide by their toolset's name too.

    Raises
    ------
    ConfigError
        Two tools have the same name even so.
    """
    counts = Counter(tool.spec.name for tool in tools)
    box: Toolbox = {}
    for tool in tools:
        name = tool.spec.name
        if counts[name] > 1 and tool.toolset:
            name = re.sub(r"[^A-Za-z0-9_-]", "_", f"{tool.toolset}_{name}")
        if name in box:
            raise ConfigError(f"two tools are named {name!r}; rename one, or give its toolset a prefix= or other name")
        box[name] = tool
    return box


def specs(box: Toolbox) -> list[ToolSpec]:
    """The tools as a model is told them."""
    return [replace(tool.spec, name=name) for name, tool in box.items()]


async def opened(run: Life, stack: AsyncExitStack) -> Toolbox:
    """Open the agent's toolsets for this run, until `stack` closes.

    Raises
    ------
    ToolsUnavailable
        One cannot be had.
    ConfigError
        Names collide.
    """
    tools: list[Tool] = [*run.agent.tools, *offered(run)]
    lent: list[tuple[Toolset, Sequence[Tool]]] = []
    for toolset in run.agent.toolsets:
        lent.append((toolset, await _open(run, toolset, stack)))
        tools.extend(lent[-1][1])
    box = named(tools)
    for toolset, its in lent:
        names = tuple(name for name, tool in box.items() if any(tool is one for one in its))
        await run.emit(ToolsetInfo, toolset=toolset.name, tools=names)
    return box


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

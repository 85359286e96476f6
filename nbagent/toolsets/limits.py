"""Limits around a tool that has none of its own: how long a call may take, and how much of its result a model reads.

Used for functions that a file names, and for what MCP servers answer. It guarantees: what a model is not given whole,
the user sees whole, on the call's card. Below: `bounded`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from nbagent.errors import ToolError
from nbagent.ports import Tool, ToolContext, ToolResult, ToolSpec
from nbagent.toolsets.bounded import Bounded

MOST = 100_000
"""Characters of a result that a model reads, about 25,000 tokens."""


def shortened(result: ToolResult, context: ToolContext, most: int = MOST) -> ToolResult:
    """The result as a model reads it: head and tail where it is longer than `most` characters."""
    if len(result.text) <= most:
        return result
    text = Bounded(most)
    text.add(result.text)
    context.emit_output(result.text, None)
    return replace(result, text=text.text)


class LimitedTool:
    """A tool within limits; implements `nbagent.ports.Tool`, and is all else that the tool is.

    Parameters
    ----------
    tool
        The tool.
    timeout
        Seconds that a call may take.
    """

    def __init__(self, tool: Tool, timeout: float) -> None:
        self._tool = tool
        self._timeout = timeout

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tool, name)

    @property
    def spec(self) -> ToolSpec:
        """The tool's."""
        return self._tool.spec

    @property
    def toolset(self) -> str:
        """The tool's."""
        return self._tool.toolset

    @property
    def asks_approval(self) -> bool:
        """The tool's."""
        return self._tool.asks_approval

    async def call(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Call it.

        Raises
        ------
        ToolError
            It took too long; a thread that it runs on is abandoned, and told by `nbagent.cancelled()`.
        """
        clock = asyncio.timeout(self._timeout)
        try:
            async with clock:
                result = await self._tool.call(arguments, context)
        except TimeoutError:
            if not clock.expired():
                raise
            raise ToolError(f"This took more than {self._timeout:g} s and was given up.") from None
        return shortened(result, context)

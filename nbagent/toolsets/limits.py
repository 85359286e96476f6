"""A limit around a tool that has none of its own: how long a call may take.

Used for functions that a file names. How much of a result a model reads is bounded where it is asked (see
`runtime.modelcall`), so that the history keeps all of it. Below: `ports`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from nbagent.errors import ToolError
from nbagent.ports import Tool, ToolContext, ToolResult, ToolSpec


class LimitedTool:
    """A tool with a limit; implements `nbagent.ports.Tool`, and is all else that the tool is.

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
                return await self._tool.call(arguments, context)
        except TimeoutError:
            if not clock.expired():
                raise
            raise ToolError(f"This took more than {self._timeout:g} s and was given up.") from None

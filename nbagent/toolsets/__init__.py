"""Where tools come from: the user's functions, and MCP servers.

`functions` makes a tool of a Python function (`nbagent.tool`); `mcp` is the one door to the `mcp` library. Both
implement the Protocols of `nbagent.ports`, which is all that the runtime knows of them. Importing this package
imports neither pydantic nor mcp: what is heavy is loaded where it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbagent.toolsets.functions import FunctionTool, as_tool, tool

if TYPE_CHECKING:
    from nbagent.toolsets.mcp import MCPToolset

__all__ = ["FunctionTool", "MCPToolset", "as_tool", "tool"]


def __getattr__(name: str) -> Any:
    if name == "MCPToolset":
        from nbagent.toolsets.mcp import MCPToolset

        return MCPToolset
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Where tools come from: the user's functions, MCP servers, and nbagent's own toolsets.

    functions       makes a tool of a Python function (`nbagent.tool`)
    ├── signature, results, threads, capture
    mcp             the one door to the `mcp` library
    builtin         what nbagent's own toolsets have in common
    ├── filesystem  the files below one directory
    ├── shell       a command, watched as it runs
    ├── fetch       a page from the web
    ├── think, todo, user_prompt
    limits          a time limit, for a tool that has none of its own
    └── bounded     of a flood, the head and the tail

All implement the Protocols of `nbagent.ports`, which is all that the runtime knows of them. Importing this package
imports neither pydantic nor mcp: what is heavy is loaded where it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nbagent.toolsets.functions import FunctionTool, as_tool, tool

if TYPE_CHECKING:
    from nbagent.toolsets.fetch import FetchToolset
    from nbagent.toolsets.filesystem import FilesystemToolset
    from nbagent.toolsets.mcp import MCPToolset
    from nbagent.toolsets.shell import ShellToolset
    from nbagent.toolsets.think import ThinkToolset
    from nbagent.toolsets.todo import TodoToolset
    from nbagent.toolsets.user_prompt import UserPromptToolset

__all__ = [
    "FetchToolset",
    "FilesystemToolset",
    "FunctionTool",
    "MCPToolset",
    "ShellToolset",
    "ThinkToolset",
    "TodoToolset",
    "UserPromptToolset",
    "as_tool",
    "tool",
]

_HOMES = {
    "FetchToolset": "fetch",
    "FilesystemToolset": "filesystem",
    "MCPToolset": "mcp",
    "ShellToolset": "shell",
    "ThinkToolset": "think",
    "TodoToolset": "todo",
    "UserPromptToolset": "user_prompt",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"nbagent.toolsets.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""MCP servers as toolsets: the one door to the `mcp` library.

    toolset      MCPToolset: what a user declares; one pool of connections per event loop
    pool         which connection a stream gets: a first-era connection is leased to one stream at a time
    connection   one connection: calls, questions, quarantine
    owner        the long-lived task that enters and leaves the client
    calls        a call under way, and its clock
    questions    a server's question on its way to a stream's user, and back
    tap          sees the messages pass, so that a cancelled call's late answer is noticed
    transport    stdio (own session, below `nbagent.processes.watch`, stderr kept) and streamable HTTP
    content      what a call returned, as nbagent's `ToolResult`
    failures     the library's exceptions in words

Importing this package does not import `mcp`; that happens when a server is first reached.
"""

from __future__ import annotations

from nbagent.toolsets.mcp.toolset import MCPToolset

__all__ = ["MCPToolset"]

"""MCP servers as toolsets: the one door to the `mcp` library.

    toolset      MCPToolset: what a user declares; one pool of connections per event loop
    pool         which connection a stream gets: a first-era connection is leased to one stream at a time
    connection   one connection and the long-lived task that owns it; calls, questions, quarantine
    tap          sees the messages pass, so that a cancelled call's late answer is noticed
    transport    stdio (own session, watched, stderr kept) and streamable HTTP
    watch        the process that ends a server when its kernel is gone
    content      what a call returned, as nbagent's `ToolResult`

Importing this package does not import `mcp`; that happens when a server is first reached.
"""

from __future__ import annotations

from nbagent.toolsets.mcp.toolset import MCPToolset

__all__ = ["MCPToolset"]

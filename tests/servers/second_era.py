"""An MCP server of the `mcp` library that speaks both eras: over stdio, or ``http PORT``, ``sse PORT`` on loopback."""

from __future__ import annotations

import sys
from typing import Annotated

import anyio
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.resolve import Elicit, Resolve
from pydantic import BaseModel

server = MCPServer("second-era")


class Answer(BaseModel):
    name: str


async def who(message: str) -> Elicit[Answer]:
    return Elicit(message, Answer)


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool()
async def greet(message: str, answer: Annotated[Answer, Resolve(who)]) -> str:
    """Ask for a name."""
    return f"Hello {answer.name}, {message}"


@server.tool()
async def wait(context: Context) -> str:
    """Say so, and wait for ever."""
    await context.report_progress(1, 2, "waiting")
    await anyio.sleep_forever()
    return "not reached"


@server.tool()
async def report(context: Context) -> str:
    """Report progress."""
    await context.report_progress(1, 2, "half")
    return "reported"


def grown() -> str:
    """What `grow` brings."""
    return "grown up"


@server.tool()
async def grow(context: Context) -> str:
    """Offer another tool from now on."""
    server.add_tool(grown)
    await context.notify_tools_changed()
    return "growing"


if __name__ == "__main__":
    if sys.argv[1:2] == ["http"]:
        server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[2]))
    elif sys.argv[1:2] == ["sse"]:
        server.run("sse", host="127.0.0.1", port=int(sys.argv[2]))
    else:
        server.run("stdio")

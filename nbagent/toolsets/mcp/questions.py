"""A server's question, put to the user of one stream, and the answer on its way back.

A first-era question runs in a callback below the connection's owner, and a callback that is cancelled takes the whole
client down. So the asking is a task of its own: whatever becomes of it, the callback returns an answer.
"""

from __future__ import annotations

import asyncio
import logging

from mcp import MCPError, UrlElicitationRequiredError
from mcp_types import ElicitRequestParams, ElicitRequestURLParams, ElicitResult

from nbagent.errors import ToolError
from nbagent.ports import Asker, ElicitationResult
from nbagent.toolsets.mcp.calls import Call, thinking

logger = logging.getLogger("nbagent")


async def put(asker: Asker, params: ElicitRequestParams, source: str, tool_call_id: str | None) -> ElicitationResult:
    """Ask, and wait; a question that is cancelled or fails is answered with ``cancel``.

    Raises
    ------
    asyncio.CancelledError
        The callback itself was cancelled: the server took its question back, or the connection ends.
    """
    if isinstance(params, ElicitRequestURLParams):
        question = asker.ask(params.message, url=params.url, source=source, tool_call_id=tool_call_id)
    else:
        question = asker.ask(params.message, params.requested_schema, source=source, tool_call_id=tool_call_id)
    task = asyncio.ensure_future(question)
    try:
        await asyncio.wait({task})
    except asyncio.CancelledError:
        task.cancel()
        raise
    if task.cancelled():
        return ElicitationResult("cancel")
    if (error := task.exception()) is not None:
        logger.error("a question of MCP server %s could not be put", source, exc_info=error)
        return ElicitationResult("cancel", note=f"the question could not be put: {error}")
    return task.result()


async def visited(error: MCPError, call: Call, source: str) -> None:
    """Send the user to every address that a first-era server wants visited before it answers the call.

    Raises
    ------
    ToolError
        The user did not go there, or the server names no address.
    """
    wanted = UrlElicitationRequiredError.from_error(error.error).elicitations
    if not wanted:
        raise ToolError(str(error))
    for params in wanted:
        with thinking([call]):
            answer = await put(call.asker, params, source, call.tool_call_id)
        if answer.action != "accept":
            raise ToolError(f"server {source} needs the user to go to {params.url} first, and the user did not")


def to_wire(answer: ElicitationResult, params: ElicitRequestParams) -> ElicitResult:
    """The answer as MCP has it: content goes with an accepted form alone."""
    if answer.action != "accept" or isinstance(params, ElicitRequestURLParams):
        return ElicitResult(action=answer.action)
    return ElicitResult(action="accept", content=answer.content or {})

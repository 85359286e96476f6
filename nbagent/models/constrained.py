"""Tool calls of a model that is too small to choose one: a tool that the user names is called, and only that.

Used by `provided` for the local model. Left to itself, a small model that is told of tools calls none, or all the time.
So the arguments are asked for as an answer that a grammar of the tool's schema constrains, and told as a call. It
guarantees that the arguments are valid JSON of the schema, unless the answer is cut short.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from nbagent.ports import ModelChunk, ModelRequest, TextDelta, ToolCallDelta, ToolSpec
from nbagent.session import new_id


def named_tool(request: ModelRequest) -> ToolSpec | None:
    """The first tool that the user has just named, or None."""
    last = request.messages[-1] if request.messages else None
    if last is None or last.role != "user" or request.purpose != "turn":
        return None
    words = re.findall(r"[\w-]+", last.content)
    found = [(words.index(tool.name), place) for place, tool in enumerate(request.tools) if tool.name in words]
    return request.tools[min(found)[1]] if found else None


def narrowed(request: ModelRequest, tool: ToolSpec | None) -> ModelRequest:
    """The request for the arguments of a call of `tool`, or for words alone."""
    if tool is None:
        return replace(request, tools=())
    asked = f"Answer with the arguments of a call of {tool.name} ({tool.description}), as JSON, by what the user says."
    return replace(request, tools=(), instructions=asked, output_schema={"type": "object", **tool.parameters})


async def as_call(chunks: AsyncGenerator[ModelChunk], tool: ToolSpec) -> AsyncGenerator[ModelChunk]:
    """The answer's text as the arguments of a call of `tool`."""
    call_id = new_id("call")
    async with aclosing(chunks):
        async for chunk in chunks:
            yield ToolCallDelta(call_id, tool.name, chunk.content) if isinstance(chunk, TextDelta) else chunk

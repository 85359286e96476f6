"""What was said, in the shape that OpenTelemetry's conventions give it: only where the user asked for it on spans.

Prompts, answers, arguments and results are the user's data, and of pictures and files only name, type and size are ever
told. They leave the process by a span only if the environment has
``OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=true`` (or one of the conventions' newer words for spans).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from nbagent.events.encoding import text
from nbagent.ports import ModelRequest, ToolSpec
from nbagent.session import Message, ToolCall

VARIABLE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"


def wanted() -> bool:
    """Whether spans may hold what was said."""
    return os.environ.get(VARIABLE, "").strip().lower() in ("true", "1", "span_only", "span_and_event")


def asked(request: ModelRequest) -> dict[str, str]:
    """What a model is asked."""
    said = {"gen_ai.input.messages": _json([_message(message) for message in request.messages])}
    if request.instructions:
        said["gen_ai.system_instructions"] = _json([{"type": "text", "content": request.instructions}])
    if request.tools:
        said["gen_ai.tool.definitions"] = _json([_definition(tool) for tool in request.tools])
    return said


def answered(words: str, calls: Sequence[ToolCall]) -> dict[str, str]:
    """What a model said."""
    message = _message(Message("assistant", words, tool_calls=tuple(calls)))
    return {"gen_ai.output.messages": _json([message | {"finish_reason": "tool_call" if calls else "stop"}])}


def called(call: ToolCall) -> dict[str, str]:
    """What a tool is called with."""
    arguments = call.arguments
    return {"gen_ai.tool.call.arguments": arguments if isinstance(arguments, str) else _json(arguments)}


def returned(words: str) -> dict[str, str]:
    """What a tool call came to."""
    return {"gen_ai.tool.call.result": words}


def _message(message: Message) -> dict[str, Any]:
    if message.role == "tool":
        part = {"type": "tool_call_response", "id": message.tool_call_id, "response": message.content}
        return {"role": "tool", "parts": [part, *_attached(message)]}
    parts: list[dict[str, Any]] = []
    if message.reasoning:
        parts.append({"type": "reasoning", "content": message.reasoning})
    if message.content:
        parts.append({"type": "text", "content": message.content})
    for call in message.tool_calls:
        parts.append({"type": "tool_call", "id": call.id, "name": call.name, "arguments": call.arguments})
    return {"role": message.role, "parts": [*parts, *_attached(message)]}


def _attached(message: Message) -> list[dict[str, Any]]:
    """What is attached, without its bytes: for a part of a kind of one's own the conventions leave the fields open."""
    return [
        {"type": "attachment", "mime_type": one.mime, "name": one.name, "size": one.size} for one in message.attachments
    ]


def _definition(tool: ToolSpec) -> dict[str, Any]:
    return {"type": "function", "name": tool.name, "description": tool.description, "parameters": tool.parameters}


def _json(value: Any) -> str:
    if isinstance(value, Mapping):
        return text(value)  # pyright: ignore[reportUnknownArgumentType]
    return text({"value": value})[len('{"value": ') : -1]

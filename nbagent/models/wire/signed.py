"""Reasoning that a provider signed: kept with the message as it came, and sent back to that provider as it was.

Anthropic refuses a tool's result whose thinking does not come back before the call, OpenAI's Responses go on thinking
only with their reasoning items, and Gemini with its thought signatures. So the parts of an answer that holds such a
thing are kept whole in `Message.opaque`. They go back only to the provider that signed them, and only where they still
say what the message says: one that was cut or changed is told by its text. Below: pydantic-ai. Above: `history`,
`answers`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter
from pydantic_ai.messages import ModelResponse, ModelResponsePart, TextPart, ThinkingPart, ToolCallPart
from pydantic_ai.models import Model

from nbagent.session import Message

_PARTS: TypeAdapter[list[ModelResponsePart]] = TypeAdapter(list[ModelResponsePart])
LARGEST = 1_000_000
"""Characters of what is kept with one message."""


def kept(response: ModelResponse, model: Model) -> dict[str, Any] | None:
    """What of an answer its provider wants back, for `Message.opaque`; None where nothing is signed."""
    parts = [part for part in response.parts if isinstance(part, TextPart | ThinkingPart | ToolCallPart)]
    if len(parts) != len(response.parts) or not any(map(_is_signed, parts)):
        return None
    data: list[Any] = _PARTS.dump_python(list(parts), mode="json")
    size = sum(len(str(part)) for part in data)
    return {"provider": model.system, "model": model.model_name, "parts": data} if size <= LARGEST else None


def parts(message: Message, model: Model) -> Sequence[ModelResponsePart]:
    """The parts of a message as this provider signed them; none where it did not, or they say something else now."""
    opaque = message.opaque
    if not opaque or message.interrupted or (opaque.get("provider"), opaque.get("model")) != (
        model.system, model.model_name
    ):  # fmt: skip
        return ()
    try:
        found = _PARTS.validate_python(opaque.get("parts"))
    except ValueError:  # kept by another version, or changed by hand
        return ()
    text = "".join(part.content for part in found if isinstance(part, TextPart))
    calls = [part.tool_call_id for part in found if isinstance(part, ToolCallPart)]
    same = text == message.content and calls == [call.id for call in message.tool_calls]
    return found if same else ()


def _is_signed(part: TextPart | ThinkingPart | ToolCallPart) -> bool:
    return bool(part.provider_details) or (isinstance(part, ThinkingPart) and bool(part.signature))

"""What a provider reads: nbagent's request in pydantic-ai's words.

It guarantees a history that every provider takes, whoever spoke it: calls that could not be read become an object,
names and identifiers keep to what the strictest API allows, empty texts are left out, and where no tools are declared
(some APIs then refuse calls) the calls and their results are told as text. Reasoning goes back, as it was signed, to
the provider that signed it (see `signed`), and to nobody else. Pictures go to models that see, the newest as many as a
request holds; for the others stand words.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from pydantic_ai.messages import (
    BinaryContent,
    InstructionPart,
    ModelMessage,
    ModelRequestPart,
    ModelResponsePart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserContent,
    UserPromptPart,
)
from pydantic_ai.messages import ModelRequest as Asked
from pydantic_ai.messages import ModelResponse as Answered
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.output import OutputObjectDefinition
from pydantic_ai.tools import ToolDefinition

from nbagent.models.wire import signed
from nbagent.ports import ModelRequest
from nbagent.session import Attachment, Message, ToolCall

SUM_UP = "Write the summary of the conversation so far now."
EMPTY = "(no output)"
MOST_FILES = 50
"""Pictures and files of one request; Anthropic takes 100, Groq fewer, and every one costs tokens at each request."""
MOST_BYTES = 12_000_000
"""Bytes of these, 16 MB in base64: Gemini takes requests up to 20 MB, Anthropic up to 32 (their documentation)."""

_ID = re.compile(r"[a-zA-Z0-9_-]{1,40}")
_MISTRAL_ID = re.compile(r"[a-zA-Z0-9]{9}")
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_-]")


def messages_of(request: ModelRequest, provider: str, model: Model) -> list[ModelMessage]:
    """The history, as requests and responses in turn, for `model` of `provider`."""
    said = list(request.messages)
    if request.purpose == "summary":
        said.append(Message("user", SUM_UP))
    if not request.tools:
        said = _told(said)
    names = {call.id: call.name for message in said for call in message.tool_calls}
    strict = provider == "mistral"
    sent = _sent(said, model)
    out: list[ModelMessage] = []
    for answered, run in groupby(filter(_says_something, said), lambda message: message.role == "assistant"):
        if answered:
            out.append(_response(list(run), strict, model))
        else:
            out.append(Asked([_asked(message, names, strict, sent) for message in run]))
    return out


def _response(messages: Sequence[Message], strict: bool, model: Model) -> Answered:
    """What an agent said, in its messages one after the other."""
    out: list[ModelResponsePart] = []
    is_signed = False
    for message in messages:
        parts = signed.parts(message, model)
        is_signed = is_signed or bool(parts)
        out += parts or _answered(message, strict)
    return Answered(out, provider_name=model.system if is_signed else None)


def parameters_of(request: ModelRequest, model: Model) -> ModelRequestParameters:
    """Tools, instructions and the schema of the answer."""
    schema = request.output_schema
    native = schema is not None and schema.get("type") == "object" and _takes_schema(model)
    texts = [request.instructions]
    if schema is not None and not native:
        texts.append(
            "Answer with JSON alone, without a fence, that is valid by this schema:\n"
            + json.dumps(schema, ensure_ascii=False)
        )
    return ModelRequestParameters(
        function_tools=[
            ToolDefinition(
                name=tool.name,
                description=tool.description,
                parameters_json_schema=dict(tool.parameters),
                strict=False,
            )
            for tool in request.tools
        ],
        output_mode="native" if native else "text",
        output_object=_output(schema) if native and schema is not None else None,
        instruction_parts=[InstructionPart(content=text, dynamic=True) for text in texts if text.strip()] or None,
    )


def _takes_schema(model: Model) -> bool:
    return bool(model.profile.get("supports_json_schema_output", False))


def _output(schema: Mapping[str, Any]) -> OutputObjectDefinition:
    name = _NOT_IN_NAMES.sub("_", str(schema.get("title") or "answer"))[:60]
    return OutputObjectDefinition(json_schema=dict(schema), name=name)


def _says_something(message: Message) -> bool:
    return message.role == "tool" or bool(message.content.strip() or message.tool_calls or message.attachments)


def _asked(
    message: Message, names: Mapping[str, str], strict: bool, sent: Mapping[int, Sequence[UserContent]]
) -> ModelRequestPart:
    text, files = _with_files(message, sent)
    if message.role == "user":
        return UserPromptPart([text, *files] if files else text)
    given = message.tool_call_id or ""
    return ToolReturnPart(
        _tool_name(names.get(given, "")),
        [text or EMPTY, *files] if files else text or EMPTY,
        _identifier(given, strict),
        outcome="failed" if message.is_error else "success",
    )


def _with_files(message: Message, sent: Mapping[int, Sequence[UserContent]]) -> tuple[str, list[UserContent]]:
    """The text of a message and what is attached to it; words in the place of what is not sent."""
    given = sent.get(id(message), ())
    text = message.content if message.content.strip() else ""
    words = [one for one in given if isinstance(one, str)]
    return "\n\n".join(filter(None, [text, *words])), [one for one in given if not isinstance(one, str)]


def _sent(messages: Sequence[Message], model: Model) -> dict[int, list[UserContent]]:
    """What stands for the attachments of each message, by its identity: the newest as they are, the others as words."""
    sent: dict[int, list[UserContent]] = {}
    number = size = 0
    for message in reversed(messages):
        given = sent[id(message)] = list[UserContent]()
        for one in message.attachments:
            if not _takes(one, model):
                given.append(_words(one, "this model cannot see it"))
            elif number == MOST_FILES or size + one.size > MOST_BYTES:
                given.append(_words(one, "it is not sent again, since newer ones fill the request"))
            else:
                given.append(_file(one))
                number, size = number + 1, size + one.size
    return sent


def _words(one: Attachment, why: str) -> str:
    return f"[{one.name or 'a picture'} ({one.mime}) is attached, and {why}]"


def _takes(one: Attachment, model: Model) -> bool:
    kind = "image" if one.mime.startswith("image/") else "document"
    return bool(model.profile.get(f"supports_{kind}_input", True))


def _file(one: Attachment) -> UserContent:
    try:
        return BinaryContent(base64.b64decode(one.data, validate=True), media_type=one.mime)
    except ValueError:  # a session that was written by hand
        return _words(one, "it cannot be read")


def _answered(message: Message, strict: bool) -> Iterable[ModelResponsePart]:
    if message.content.strip():
        yield TextPart(message.content.rstrip())
    for call in message.tool_calls:
        yield ToolCallPart(_tool_name(call.name), call.arguments, _identifier(call.id, strict))


def _tool_name(name: str) -> str:
    return _NOT_IN_NAMES.sub("_", name)[:64] or "unknown"


def _identifier(given: str, strict: bool) -> str:
    """`given`, or what stands for it where an API would refuse it: always the same."""
    if (_MISTRAL_ID if strict else _ID).fullmatch(given):
        return given
    return hashlib.sha256(given.encode()).hexdigest()[: 9 if strict else 24]


def _told(messages: Sequence[Message]) -> list[Message]:
    """The messages, with calls and results told as text."""
    calls = {call.id: call for message in messages for call in message.tool_calls}
    return [_as_text(message, calls) for message in messages]


def _as_text(message: Message, calls: Mapping[str, ToolCall]) -> Message:
    if message.role == "tool":
        call = calls.get(message.tool_call_id or "")
        failed = " failed" if message.is_error else ""
        text = f"[Tool {call.name if call is not None else ''}{failed}: {message.content}]"
        return Message("user", text, attachments=message.attachments)
    if message.tool_calls:
        made = (
            f"[I call {call.name} with {json.dumps(call.arguments, ensure_ascii=False)}]" for call in message.tool_calls
        )
        return Message("assistant", "\n".join(filter(None, (message.content, *made))))
    return message

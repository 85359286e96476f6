"""`UserPromptToolset`: the agent asks the user, by a form in the cell.

The question is an elicitation like any other (`nbagent.ports.Asker`): it may be declined, nobody may be there to
answer, and a schema that asks for a secret is declined by the runtime. No time stands on it: a person is waited for.
Below: `builtin`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from nbagent.ports import Tool, ToolContext, ToolResult
from nbagent.toolsets.builtin import WORDS, Arguments, BuiltinTool, BuiltinToolset, spec, told


class UserPromptToolset(BuiltinToolset):
    """The tool ``user_prompt``.

    Examples
    --------
    >>> UserPromptToolset().name
    'user_prompt'
    """

    name = "user_prompt"

    def __repr__(self) -> str:
        return "UserPromptToolset()"

    def _tools(self) -> Sequence[Tool]:
        return (BuiltinTool(_USER_PROMPT, self.name, _asked),)


async def _asked(arguments: Arguments, context: ToolContext) -> ToolResult:
    title = arguments.get("title", "").strip()
    message = f"{title}\n\n{arguments['message']}" if title else arguments["message"]
    form = _form(arguments.get("schema"))
    answer = await context.asker.ask(message, form, tool_call_id=context.tool_call_id)
    told: dict[str, Any] = {"action": answer.action}
    if answer.action == "accept":
        told["content"] = answer.content or {}
    return ToolResult(json.dumps(told, ensure_ascii=False, default=str))


def _form(schema: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The schema of an object: forms have fields; a bare type becomes the field ``answer``, as free text is."""
    if not schema:
        return None
    if schema.get("type", "object") == "object" or "properties" in schema:
        return {"type": "object", **schema}
    return {"type": "object", "properties": {"answer": schema}, "required": ["answer"]}


_USER_PROMPT = spec(
    "user_prompt",
    "Ask the user something that you need to know and cannot find out, and wait for the answer. You get an object with "
    "the action (accept, decline or cancel) and, where it was accepted, the content.",
    {
        "message": told(WORDS, "The question, complete in itself."),
        "title": told({"type": "string"}, "A short title."),
        "schema": told(
            {"type": "object"},
            "JSON schema of the answer: an object whose properties are the fields of a form (string, number, integer, "
            "boolean, enum), or one of these types alone. Without it the answer is free text. Never ask for secrets.",
        ),
    },
    optional=["title", "schema"],
)

"""What a command hook reads on stdin and says on stdout: docker-agent's contract, so that its hooks work here.

    stdin   {"session_id": …, "cwd": …, "hook_event_name": …, and the point's own fields}
    stdout  {"continue": false, "stop_reason": …, "decision": "block", "reason": …, "system_message": …,
             "suppress_output": …, "hook_specific_output": {"permission_decision": …, "permission_decision_reason": …,
             "updated_input": …, "additional_context": …}}, the names also in camelCase; or plain text, as context

Pure functions, used by `command`. A word of the contract with a value that it cannot have is an error and no shrug: a
guard that says ``"decision": "deny"`` meant to stop something.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from typing import Any

from nbagent.hooks.points import HookContext, HookResult

_DECIDES = ("pre_tool_use", "permission_request")
_TYPES: dict[str, tuple[type, str]] = {
    "continue": (bool, "true or false"),
    "stop_reason": (str, "a text"),
    "suppress_output": (bool, "true or false"),
    "system_message": (str, "a text"),
    "decision": (str, "a text"),
    "reason": (str, "a text"),
    "hook_specific_output": (dict, "an object"),
    "permission_decision": (str, "a text"),
    "permission_decision_reason": (str, "a text"),
    "additional_context": (str, "a text"),
}
_CAMEL = {re.sub(r"_(\w)", lambda found: found[1].upper(), name): name for name in (*_TYPES, "updated_input")}


class BadOutput(ValueError):
    """What the command said is not in the contract."""


def told(context: HookContext) -> bytes:
    """What the command reads."""
    common = {
        "session_id": context.session.id,
        "cwd": os.getcwd(),
        "hook_event_name": context.point,
        "agent_name": context.agent_name,
        "stream_id": context.stream_id,
    }
    return json.dumps(common | _fields(context), default=str).encode("ascii")


def _fields(context: HookContext) -> dict[str, Any]:
    prompt = {"prompt": context.prompt}
    call = prompt | {
        "tool_name": context.tool_name,
        "tool_use_id": context.tool_call_id,
        "tool_input": context.arguments,
    }
    match context.point:
        case "session_start" | "pre_compact":
            return prompt | {"source": context.source}
        case "pre_tool_use" | "permission_request":
            return call
        case "post_tool_use":
            return call | {"tool_response": context.response, "is_error": context.is_error}
        case "after_llm_call" | "stop":
            return prompt | {"stop_response": context.response, "response": context.response}
        case "on_user_input":
            return {"question": context.question.to_dict() if context.question is not None else None}
        case "on_error":
            return {"error": context.error, "code": context.code}
        case "session_end":
            return prompt | {"reason": context.reason}
        case _:
            return prompt


def heard(point: str, stdout: str) -> HookResult:
    """What the command wants, from what it said with exit code 0.

    Raises
    ------
    BadOutput
        It is an object in which a word of the contract has a value that it cannot have; or, where the command decides
        about a call, the beginning of an object and no JSON.
    """
    text = stdout.strip()
    try:
        given: Any = json.loads(text) if text.startswith("{") else None
    except (ValueError, RecursionError) as error:
        if point in _DECIDES:
            raise BadOutput(f"its output is no JSON: {error}") from None
        given = None
    if given is None:
        return HookResult(context=text)
    said = _named(given)
    specific = _named(said.get("hook_specific_output") or {})
    return _wanted(said, specific)


def _wanted(said: Mapping[str, Any], specific: Mapping[str, Any]) -> HookResult:
    if (decision := said.get("decision")) not in (None, "", "block"):
        raise BadOutput(f"its decision is {decision!r}, where there is only 'block'")
    if (permission := specific.get("permission_decision") or None) not in (None, "allow", "deny", "ask"):
        raise BadOutput(f"its permission_decision is {permission!r}, where there are 'allow', 'deny' and 'ask'")
    stop = said.get("continue") is False
    reasons = (
        said.get("stop_reason") if stop else None,
        said.get("reason"),
        specific.get("permission_decision_reason"),
    )
    return HookResult(
        block=decision == "block",
        reason=next((reason for reason in reasons if reason), ""),
        context=specific.get("additional_context") or "",
        updated_input=specific.get("updated_input"),
        permission=permission,
        message=said.get("system_message") or "",
        stop=stop,
        suppress=bool(said.get("suppress_output")),
    )


def _named(given: Mapping[str, Any]) -> dict[str, Any]:
    """The object with the contract's names, each value of the type that it must have; null is as good as absent."""
    named = {_CAMEL.get(name, name): value for name, value in given.items() if value is not None}
    for name, value in named.items():
        kind, words = _TYPES.get(name, (object, ""))
        if not isinstance(value, kind):
            raise BadOutput(f"its {name} is {str(value)[:80]!r}, where {words} belongs")
    return named

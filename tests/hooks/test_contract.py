"""What a command hook is told, and what its words mean: docker-agent's contract."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from nbagent.events import ElicitationRequest
from nbagent.hooks import HookContext, HookResult
from nbagent.hooks.contract import BadOutput, heard, told
from nbagent.session import Session

SESSION = Session("session_1")
CALL = {"tool_name": "shell", "tool_call_id": "call_1", "arguments": {"cmd": "ls"}}
TOLD_CALL = {"prompt": "go", "tool_name": "shell", "tool_use_id": "call_1", "tool_input": {"cmd": "ls"}}
QUESTION = ElicitationRequest(
    session_id="session_1",
    agent_name="helper",
    stream_id="stream_1",
    seq=3,
    timestamp=1.0,
    id="ask_1",
    message="Which?",
)


@pytest.mark.parametrize(
    ("point", "fields", "expected"),
    [
        ("session_start", {"source": "startup"}, {"prompt": "go", "source": "startup"}),
        ("user_prompt_submit", {}, {"prompt": "go"}),
        ("before_llm_call", {}, {"prompt": "go"}),
        ("after_llm_call", {"response": "so"}, {"prompt": "go", "response": "so", "stop_response": "so"}),
        ("stop", {"response": "so"}, {"prompt": "go", "response": "so", "stop_response": "so"}),
        ("pre_tool_use", CALL, TOLD_CALL),
        ("permission_request", CALL, TOLD_CALL),
        (
            "post_tool_use",
            {**CALL, "response": "a", "is_error": True},
            {**TOLD_CALL, "tool_response": "a", "is_error": True},
        ),
        ("on_user_input", {"question": QUESTION}, {"question": QUESTION.to_dict()}),
        ("pre_compact", {"source": "limit"}, {"prompt": "go", "source": "limit"}),
        ("on_error", {"error": "E: x", "code": "model_error"}, {"error": "E: x", "code": "model_error"}),
        ("session_end", {"reason": "completed"}, {"prompt": "go", "reason": "completed"}),
    ],
)
def test_each_point_tells_its_own(point: str, fields: dict[str, Any], expected: dict[str, Any]) -> None:
    common = {
        "session_id": "session_1",
        "cwd": os.getcwd(),
        "hook_event_name": point,
        "agent_name": "helper",
        "stream_id": "stream_1",
    }
    context = HookContext(point, SESSION, "helper", "stream_1", prompt="go", **fields)
    assert json.loads(told(context)) == common | expected


def test_whatever_the_arguments_hold_can_be_told() -> None:
    odd = {"a": object(), "b": "\ud800", "c": "é\u2028"}
    said = json.loads(told(HookContext("pre_tool_use", SESSION, "helper", "s", arguments=odd)))
    assert said["tool_input"]["c"] == "é\u2028"


SPECIFIC = {
    "permission_decision": "ask",
    "permission_decision_reason": "not sure",
    "updated_input": {"cmd": "ls -l"},
    "additional_context": "It is Sunday.",
}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, HookResult()),
        ({"continue": True}, HookResult()),
        ({"continue": False, "stop_reason": "enough", "reason": "x"}, HookResult(stop=True, reason="enough")),
        ({"continue": False}, HookResult(stop=True)),
        ({"decision": "block", "reason": "no"}, HookResult(block=True, reason="no")),
        ({"system_message": "look out", "suppress_output": True}, HookResult(message="look out", suppress=True)),
        (
            {"hook_specific_output": SPECIFIC},
            HookResult(permission="ask", reason="not sure", updated_input={"cmd": "ls -l"}, context="It is Sunday."),
        ),
        ({"hook_specific_output": {"permission_decision": "deny"}}, HookResult(permission="deny")),
        ({"decision": None, "reason": None, "hook_specific_output": None, "anything": [1]}, HookResult()),
    ],
)
def test_what_it_says_in_either_spelling(said: dict[str, Any], expected: HookResult) -> None:
    def camel(given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        names = {name: "".join(p if i == 0 else p.title() for i, p in enumerate(name.split("_"))) for name in given}
        return {names[name]: camel(value) if name == "hook_specific_output" else value for name, value in given.items()}

    assert heard("pre_tool_use", json.dumps(said)) == expected
    assert heard("pre_tool_use", f"\n{json.dumps(camel(said))}\n") == expected


@pytest.mark.parametrize("text", ["It is Sunday.", "42", '"text"', "[1]", "true", "null"])
def test_what_is_no_object_is_context(text: str) -> None:
    assert heard("pre_tool_use", f" {text}\n") == HookResult(context=text)


def test_silence_is_no_word() -> None:
    assert heard("pre_tool_use", "\n") == HookResult()


@pytest.mark.parametrize(
    "said",
    [
        {"continue": "false"},
        {"continue": 0},
        {"decision": "deny"},
        {"decision": "approve"},
        {"decision": True},
        {"reason": ["x"]},
        {"hook_specific_output": "allow"},
        {"hookSpecificOutput": {"permissionDecision": "yes"}},
        {"hook_specific_output": {"permission_decision": True}},
        {"hook_specific_output": {"additional_context": {"a": 1}}},
        {"system_message": 5},
        {"suppress_output": "yes"},
    ],
)
@pytest.mark.parametrize("point", ["pre_tool_use", "stop"])
def test_a_word_with_a_value_that_it_cannot_have_is_an_error(point: str, said: dict[str, Any]) -> None:
    with pytest.raises(BadOutput, match="its "):
        heard(point, json.dumps(said))


@pytest.mark.parametrize("text", ['{"decision": "block",}', "{", "{" * 100_000])
def test_a_broken_object_is_an_error_where_it_decides_and_context_elsewhere(text: str) -> None:
    for point in ("pre_tool_use", "permission_request"):
        with pytest.raises(BadOutput, match="no JSON"):
            heard(point, text)
    assert heard("user_prompt_submit", text) == HookResult(context=text)

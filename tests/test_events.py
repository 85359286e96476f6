"""Events: the wire names are pinned, and JSON goes both ways."""

from __future__ import annotations

import dataclasses
import json
import typing
from typing import Any

import pytest

from nbagent import events
from nbagent.events import EVENTS, Event, from_dict

WIRE_NAMES = {
    "stream_started", "user_message", "agent_info", "team_info", "toolset_info", "mcp_init_started",
    "mcp_init_finished", "agent_choice", "agent_choice_reasoning", "partial_tool_call", "tool_call",
    "tool_call_confirmation", "tool_call_output", "tool_call_response", "hook_started", "hook_finished",
    "hook_blocked", "elicitation_request", "elicitation_resolved", "agent_switching", "sub_session_started",
    "sub_session_completed", "model_fallback", "session_compaction", "token_usage", "max_iterations_reached",
    "warning", "error", "stream_stopped",
}  # fmt: skip


def test_the_wire_names_are_pinned() -> None:
    assert set(EVENTS) == WIRE_NAMES


def test_every_event_class_is_on_the_list() -> None:
    declared = {cls for cls in vars(events).values() if isinstance(cls, type) and issubclass(cls, Event)} - {Event}
    assert declared == set(EVENTS.values())


def _example(hint: Any) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return args[0]
    if origin is tuple:
        return (_example(args[0]),)
    if args and type(None) in args:
        return _example(args[0])
    if (origin is not None and issubclass(origin, typing.Mapping)) or hint in (dict, typing.Mapping):
        return {"key": "value"}
    if args:
        return _example(args[0])
    return {str: "text", int: 3, float: 1.5, bool: True}.get(hint, "text")


@pytest.mark.parametrize("cls", EVENTS.values(), ids=EVENTS)
def test_json_goes_both_ways(cls: type[Event]) -> None:
    hints = typing.get_type_hints(cls)
    event = cls(**{field.name: _example(hints[field.name]) for field in dataclasses.fields(cls)})
    assert from_dict(json.loads(event.to_json())) == event
    assert next(iter(event.to_dict())) == "type"
    with pytest.raises(dataclasses.FrozenInstanceError):
        event.seq = 7  # type: ignore[misc]


@pytest.mark.parametrize(
    "data", [{}, {"type": "nope"}, {"type": []}, {"type": "error", "code": "x"}, {"type": "error", "colour": 1}]
)
def test_what_is_no_event_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not a"):
        from_dict(data)

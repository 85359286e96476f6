"""The tool `user_prompt`: an elicitation like any other, answered, declined, or put to nobody."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nbagent.events import ElicitationRequest, ToolCallResponse
from nbagent.models import ToolCall
from nbagent.ports import ElicitationResult
from nbagent.runtime import Runtime
from nbagent.session import Session
from nbagent.toolsets import UserPromptToolset
from tests.runtime.support import NAME_SCHEMA, assert_nothing_left, drained, events_of, scripted, until
from tests.toolsets.calling import Bench, Person

pytestmark = pytest.mark.anyio

BOOLEAN = {"type": "boolean"}


def prompting(**arguments: Any) -> Runtime:
    return Runtime(scripted(ToolCall("user_prompt", arguments), "done", toolsets=[UserPromptToolset()]))


async def test_the_answer_of_a_form_reaches_the_model() -> None:
    runtime, session = prompting(message="Who?", title="A question", schema=NAME_SCHEMA), Session()
    async with runtime.run_stream(session, "hi") as stream:
        asked = await until(stream, ElicitationRequest)
        assert isinstance(asked, ElicitationRequest)
        assert (asked.message, asked.schema) == ("A question\n\nWho?", NAME_SCHEMA)
        assert asked.tool_call_id is not None
        runtime.answer(asked.id, "accept", {"name": "Ada"})
        (response,) = [event for event in await drained(stream) if isinstance(event, ToolCallResponse)]
    assert json.loads(response.response) == {"action": "accept", "content": {"name": "Ada"}}
    assert_nothing_left(runtime, session)


async def test_p10_it_is_declined_where_nobody_can_answer_and_the_model_reads_why() -> None:
    result = await prompting(message="Who?").run(Session(), "hi")
    (told,) = [message.content for message in result.messages if message.role == "tool"]
    assert told.startswith('{"action": "decline"}')
    assert "[declined: " in told


async def test_a_form_that_asks_for_a_secret_is_declined() -> None:
    schema = {"type": "object", "properties": {"password": {"type": "string"}}}
    events = await events_of(prompting(message="Log in", schema=schema))
    assert not [event for event in events if isinstance(event, ElicitationRequest)]
    (response,) = [event for event in events if isinstance(event, ToolCallResponse)]
    assert "must not be typed into a form" in response.response


@pytest.mark.parametrize(
    ("schema", "form"),
    [
        ({}, None),
        (
            {"type": "boolean"},
            {"type": "object", "properties": {"answer": {"type": "boolean"}}, "required": ["answer"]},
        ),
        ({"properties": {"n": {"type": "integer"}}}, {"type": "object", "properties": {"n": {"type": "integer"}}}),
    ],
)
async def test_a_bare_type_becomes_a_field(schema: dict[str, Any], form: dict[str, Any] | None) -> None:
    bench = Bench(UserPromptToolset(), Person(ElicitationResult("cancel")))
    assert await bench.text("user_prompt", message="Well?", schema=schema) == '{"action": "cancel"}'
    assert bench.person.asked == [("Well?", form, "call_1")]


@pytest.mark.parametrize("properties", [[1], "x", {"a": 7}, {"a": {"type": ["object", 3]}}])
async def test_a_hostile_schema_ends_its_call_and_nothing_else(properties: Any) -> None:
    runtime, session = prompting(message="Well?", schema={"type": "object", "properties": properties}), Session()
    async with runtime.run_stream(session, "hi") as stream:
        async for event in stream:
            if isinstance(event, ElicitationRequest):
                runtime.answer(event.id, "decline")
        events = session.messages
    assert events[-1].content == "done"
    assert_nothing_left(runtime, session)

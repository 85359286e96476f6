"""The scripted model keeps the contract of a model, and plays the turn that is due."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from nbagent.errors import ConfigError, ModelError
from nbagent.models import ScriptedModel, ToolCall, resolve
from nbagent.ports import ModelRequest, TextDelta, ToolCallDelta
from nbagent.session import Message, Usage

pytestmark = pytest.mark.anyio


async def _play(model: ScriptedModel, *messages: Message) -> list[Any]:
    return [chunk async for chunk in model.stream(ModelRequest(messages))]


async def test_a_string_is_streamed_word_by_word_and_joins_to_itself() -> None:
    text = "  Hello, **big**\n\n| world |  "
    *words, usage = await _play(ScriptedModel([text]))
    assert all(isinstance(word, TextDelta) for word in words) and len(words) > 3
    assert "".join(word.content for word in words) == text
    assert isinstance(usage, Usage) and usage.requests == 1


async def test_a_list_mixes_text_and_calls() -> None:
    chunks = await _play(ScriptedModel([["Look:", ToolCall("look", {"at": "ü"}, id="call_1")]]))
    assert chunks[0] == TextDelta("Look:")
    assert chunks[1] == ToolCallDelta("call_1", "look", '{"at": "ü"}')


async def _later(messages: Sequence[Message]) -> str:
    return "later"


async def test_a_function_of_the_messages_chooses() -> None:
    model = ScriptedModel([lambda messages: f"you said {messages[-1].content}", _later])
    assert (await _play(model, Message("user", "ho")))[0] == TextDelta("you ")
    assert (await _play(model, Message("assistant")))[0] == TextDelta("later")


async def test_the_turn_is_the_number_of_assistant_messages_that_were_not_cut_short() -> None:
    model = ScriptedModel(["one", "two"])
    history = [Message("user", "hi"), Message("assistant", "on", interrupted=True), Message("assistant", "one")]
    assert (await _play(model, *history))[0] == TextDelta("two")


@pytest.mark.parametrize("turns", [[], [7], [lambda messages: None], [["a", 7]]])
async def test_a_turn_that_is_none_is_a_model_error(turns: list[Any]) -> None:
    with pytest.raises(ModelError):
        await _play(ScriptedModel(turns))


@pytest.mark.parametrize("model", ["gpt-5", 7, object()])
def test_resolve_refuses_what_is_no_model(model: Any) -> None:
    with pytest.raises(ConfigError):
        resolve(model)

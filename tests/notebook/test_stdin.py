"""Questions as prompts on stdin: every kind of field, and a thread that leaves when the question does."""

from __future__ import annotations

import asyncio
import builtins
import dataclasses
import threading
import time
from collections.abc import Mapping
from typing import Any

import pytest

from nbagent.events import ElicitationRequest, MaxIterationsReached, ToolCallConfirmation
from nbagent.notebook import stdin

pytestmark = pytest.mark.anyio

ABOUT: dict[str, Any] = {"session_id": "s", "agent_name": "helper", "stream_id": "t", "seq": 1, "timestamp": 0.0}


class Typist:
    """Types lines, and keeps what it was asked."""

    def __init__(self, *lines: str) -> None:
        self.lines = list(lines)
        self.prompts: list[str] = []

    async def __call__(self, prompt: str) -> str:
        self.prompts.append(prompt)
        if not self.lines:
            raise EOFError
        return self.lines.pop(0)


def form(properties: Mapping[str, Any], *required: str) -> ElicitationRequest:
    schema = {"type": "object", "properties": properties, "required": list(required)}
    return ElicitationRequest(id="q", message="What?", schema=schema, source="ledger", **ABOUT)


async def test_every_kind_of_field() -> None:
    fields: dict[str, Any] = {
        "name": {"type": "string", "title": "Full name", "description": "As in the passport"},
        "age": {"type": "integer", "minimum": 1},
        "rate": {"type": "number"},
        "ok": {"type": "boolean"},
        "one": {"type": "string", "enum": ["a", "b"], "enumNames": ["Alpha", "Beta"]},
        "titled": {"type": "string", "oneOf": [{"const": "x", "title": "Ex"}]},
        "many": {"type": "array", "items": {"anyOf": [{"const": "p", "title": "Pea"}, {"const": "q", "title": "Cue"}]}},
        "rest": {"type": "string", "default": "as before"},
        "none": {"type": "string"},
    }
    typist = Typist("y", "Ada", "36", "2.5", "yes", "Beta", "x", "Pea, q", "", "")
    action, content = await stdin.ask(form(fields, "name"), typist)
    assert action == "accept"
    assert content == {
        "name": "Ada", "age": 36, "rate": 2.5, "ok": True, "one": "b", "titled": "x", "many": ["p", "q"],
        "rest": "as before",
    }  # fmt: skip
    assert typist.prompts[0].startswith("ledger asks: What?")
    assert typist.prompts[1] == "Full name (As in the passport): "
    assert "a (Alpha), b (Beta)" in typist.prompts[5]


async def test_a_wrong_value_is_asked_for_again_with_the_reason() -> None:
    typist = Typist("y", "", "zero", "0", "7")
    answer = await stdin.ask(form({"age": {"type": "integer", "minimum": 1}}, "age"), typist)
    assert answer == ("accept", {"age": 7})
    assert typist.prompts[2].startswith("Required")
    assert len(set(typist.prompts[3:])) == 2


@pytest.mark.parametrize(("line", "action"), [("n", "decline"), ("c", "cancel")])
async def test_declined_and_cancelled(line: str, action: str) -> None:
    assert await stdin.ask(form({}), Typist(line)) == (action, None)


async def test_the_end_of_the_input_cancels() -> None:
    assert await stdin.ask(form({}), Typist()) == ("cancel", None)
    assert await stdin.ask(form({"a": {"type": "string"}}), Typist("y")) == ("cancel", None)


async def test_free_text_and_addresses() -> None:
    free = ElicitationRequest(id="q", message="Anything?", **ABOUT)
    assert await stdin.ask(free, Typist("y", "no")) == ("accept", {"answer": "no"})
    away = ElicitationRequest(id="q", message="Pay", mode="url", url="https://example.org/pay", **ABOUT)
    typist = Typist("y")
    assert await stdin.ask(away, typist) == ("accept", None)
    assert "https://example.org/pay" in typist.prompts[0]


async def test_approvals_and_limits() -> None:
    call = ToolCallConfirmation(id="q", tool_call_id="c", name="rm", arguments={"path": "/"}, **ABOUT)
    assert await stdin.ask(call, Typist("y")) == ("accept", {"scope": "once"})
    assert await stdin.ask(call, Typist("s")) == ("accept", {"scope": "session"})
    assert await stdin.ask(call, Typist("n", "never")) == ("decline", {"reason": "never"})
    assert await stdin.ask(call, Typist("a", "n", "")) == ("decline", {"reason": ""})  # without a pattern, no always
    call = ToolCallConfirmation(id="q", tool_call_id="c", name="rm", arguments={}, pattern="rm:path=/tmp/*", **ABOUT)
    typist = Typist("a")
    assert await stdin.ask(call, typist) == ("accept", {"scope": "always", "pattern": "rm:path=/tmp/*"})
    assert "[a]lways for rm:path=/tmp/*" in typist.prompts[0]
    limit = MaxIterationsReached(max_iterations=5, id="q", **ABOUT)
    assert await stdin.ask(limit, Typist("maybe", "y")) == ("accept", None)
    assert await stdin.ask(limit, Typist("n")) == ("decline", None)


async def test_code_to_approve_stands_on_lines_of_its_own_and_hides_nothing() -> None:
    code = "for i in x:\n    print(i)  # \u202e\x1b[8m"
    given = {"arguments": {"code": code, "n": 1}, "code_argument": "code"}
    typist = Typist("y")
    await stdin.ask(ToolCallConfirmation(id="q", tool_call_id="c", name="run", **given, **ABOUT), typist)
    lines = "run(n=1)\n    for i in x:\n        print(i)  # ⟨U+202E⟩⟨U+001B⟩[8m\n"
    assert lines in typist.prompts[0]


async def test_what_a_call_would_change_stands_beneath_it_and_hides_nothing() -> None:
    given = {"arguments": {"path": "f"}, "preview": "--- f\n+++ f\n-a\n+\u202eb"}
    typist = Typist("y")
    await stdin.ask(ToolCallConfirmation(id="q", tool_call_id="c", name="edit_file", **given, **ABOUT), typist)
    assert 'edit_file(path="f")\n    --- f\n    +++ f\n    -a\n    +⟨U+202E⟩b\n' in typist.prompts[0]


async def test_hostile_words_cannot_move_the_cursor() -> None:
    typist = Typist("c")
    await stdin.ask(ElicitationRequest(id="q", message="a\x1b[2Jb\u202ec", source="\x1b]0;x\x07s", **ABOUT), typist)
    assert "\x1b" not in typist.prompts[0]
    assert "\u202e" not in typist.prompts[0]


async def test_a_cancelled_read_leaves_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    entered = threading.Event()

    def polling_input(prompt: object = "") -> str:
        entered.set()
        while True:
            threading.Event().wait(0.005)

    monkeypatch.setattr(builtins, "input", polling_input)
    reading = asyncio.create_task(stdin.read_threaded("? "))
    await asyncio.wait_for(asyncio.to_thread(entered.wait), 5)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(reading, 5)
    for thread in threading.enumerate():
        if thread.name == "nbagent stdin":
            thread.join(5)
            assert not thread.is_alive()


async def test_a_read_on_a_thread_gives_the_line_and_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def typed(prompt: object = "") -> str:
        return f"line for {prompt}"

    def ended(prompt: object = "") -> str:
        raise EOFError

    monkeypatch.setattr(builtins, "input", typed)
    assert await asyncio.wait_for(stdin.read_threaded("me"), 5) == "line for me"
    assert await stdin.read_blocking("me") == "line for me"
    monkeypatch.setattr(builtins, "input", ended)
    with pytest.raises(EOFError):
        await asyncio.wait_for(stdin.read_threaded("me"), 5)


async def test_what_is_required_is_asked_first_and_a_deadline_is_told() -> None:
    text = {"type": "string"}
    asked = dataclasses.replace(form({"a": text, "b": text}, "b"), deadline=time.time() + 29.9)
    typist = Typist("y", "B", "")
    assert await stdin.ask(asked, typist) == ("accept", {"b": "B"})
    assert [prompt.partition(" (")[0].partition(":")[0] for prompt in typist.prompts[1:]] == ["b", "a"]
    assert "What? (answer within 30 s)" in typist.prompts[0]


async def test_a_question_without_fields_is_answered_in_json_where_nothing_does_not_fit() -> None:
    schema = {"type": "object", "minProperties": 1}
    asked = ElicitationRequest(id="q", message="What?", schema=schema, source="ledger", **ABOUT)
    typist = Typist("y", "[1]", "{}", '{"a": 1}')
    assert await stdin.ask(asked, typist) == ("accept", {"a": 1})
    assert "minProperties" in typist.prompts[1] and "An object in braces is expected." in typist.prompts[2]
    assert await stdin.ask(form({}), Typist("y")) == ("accept", {})

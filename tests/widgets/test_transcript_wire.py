"""Patches applied in order give the document; bytes grow linearly with the text.

`View` is a small model of the script in `static/store.js`: it counts JavaScript's UTF-16 units and refuses gaps.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbagent import events as ev
from nbagent.widgets.document import Document
from nbagent.widgets.wire import Wire
from tests.widgets.telling import HOSTILE, Teller, hostile_story, inspect


class View:
    """What a front end's script makes of the messages."""

    def __init__(self) -> None:
        self.seq = 0
        self.nodes: dict[int, list[Any]] = {}

    def take(self, message: Mapping[str, Any]) -> None:
        message = json.loads(json.dumps(message))
        if message["type"] == "document":
            self.seq = message["seq"]
            self.nodes = {node[0]: node for node in message["nodes"]}
            return
        assert message["seq"] == self.seq + 1
        self.seq += 1
        for op in message["ops"]:
            self.apply(op)

    def apply(self, op: Sequence[Any]) -> None:
        if op[0] == "add":
            assert op[1] not in self.nodes
            assert op[2] == 0 or op[2] in self.nodes, "a block comes after its group"
            self.nodes[op[1]] = [*op[1:5], "", ""]
            return
        node = self.nodes[op[1]]
        if op[0] == "set":
            node[3] |= op[2]
        elif op[0] == "html":
            node[4] += op[2]
            node[5] = op[3]
        else:
            units = node[5].encode("utf-16-le", "surrogatepass")
            kept = units[: len(units) - 2 * op[2]].decode("utf-16-le", "surrogatepass")
            node[5] = kept + op[3]


def whole(wire: Wire) -> dict[int, list[Any]]:
    return {node[0]: node for node in json.loads(json.dumps(wire.whole()))["nodes"]}


PIECES = st.text(alphabet=st.sampled_from("ab *`#|->\n\r\t[]()<&é漢🙂\x1b"), max_size=12)


@st.composite
def stories(draw: st.DrawFn) -> list[ev.Event]:
    """Any plausible order of events, calls answered or not, questions settled or not."""
    tell, told = Teller(), []
    told.append(tell(ev.StreamStarted))
    for number in range(draw(st.integers(0, 14))):
        call = f"c{draw(st.integers(0, 2))}"
        kind = draw(st.sampled_from(["text", "think", "call", "output", "done", "ask", "settle", "note", "usage"]))
        piece = draw(PIECES)
        made: dict[str, ev.Event] = {
            "text": tell(ev.AgentChoice, content=piece),
            "think": tell(ev.AgentChoiceReasoning, content=piece),
            "call": tell(ev.ToolCallStarted, tool_call_id=call, name="f", arguments={"x": piece}),
            "output": tell(ev.ToolCallOutput, tool_call_id=call, content=piece),
            "done": tell(ev.ToolCallResponse, tool_call_id=call, name="f", response=piece),
            "ask": tell(ev.ElicitationRequest, id=f"q{number}", message=piece, tool_call_id=call),
            "settle": tell(ev.ElicitationResolved, id=f"q{number - 1}", action="accept"),
            "note": tell(ev.Warning, message=piece),
            "usage": tell(ev.TokenUsage, input_tokens=number, output_tokens=1, cost=None),
        }
        told.append(made[kind])
    if draw(st.booleans()):
        told.append(tell(ev.StreamStopped, reason="completed"))
    return told


@settings(max_examples=150)
@given(stories(), st.lists(st.booleans(), min_size=16, max_size=16), st.integers(0, 15))
def test_patches_in_order_equal_the_document(story: list[ev.Event], frames: list[bool], late: int) -> None:
    document = Document()
    wire, first, second = Wire(document), View(), None
    for number, event in enumerate(story):
        document.apply(event)
        if not frames[number % 16]:
            continue
        patch = wire.patch()
        if patch is not None:
            first.take(patch)
            if second is not None:
                second.take(patch)
        if number == late:  # a reloaded page comes in the middle
            second = View()
            second.take(wire.whole())
    patch = wire.patch()
    for view in (first, second):
        if patch is not None and view is not None:
            view.take(patch)
        assert view is None or view.nodes == whole(wire)


def test_nothing_changed_sends_nothing() -> None:
    document, tell = Document(), Teller()
    wire = Wire(document)
    document.apply(tell(ev.UserMessage, content="Hi"))
    assert wire.patch() is not None
    assert wire.patch() is None


def test_a_finished_block_is_rendered_once_and_never_sent_again() -> None:
    document, tell = Document(), Teller()
    wire = Wire(document)
    sent = ""
    for piece in ("First *one*.", "\n\n", "Second ", "one.\n", "\n", "Third"):
        document.apply(tell(ev.AgentChoice, content=piece))
        patch = wire.patch()
        sent += json.dumps(patch["ops"] if patch else [])
    assert sent.count("<em>one</em>") == 1
    assert sent.count("Second one.</p>") == 1


def traffic(count: int) -> int:
    document, tell = Document(), Teller()
    wire = Wire(document)
    size = 0
    text = "Some *words* and `code`.\n\n- one\n- two\n\n```python\nx = 1\n```\n\n" * (count // 15 + 1)
    for start in range(0, count * 4, 4):
        document.apply(tell(ev.AgentChoice, content=text[start : start + 4]))
        if start % 160 == 0 and (patch := wire.patch()) is not None:
            size += len(json.dumps(patch))
    return size


def test_bytes_grow_linearly() -> None:
    small, large = traffic(1_000), traffic(4_000)
    assert large < 4.4 * small
    assert large < 4 * 16_000


def test_one_line_without_end_is_sent_as_deltas() -> None:
    document, tell = Document(), Teller()
    wire = Wire(document)
    size = 0
    for _ in range(400):
        document.apply(tell(ev.AgentChoice, content="x" * 50))
        patch = wire.patch()
        assert patch is not None
        size += len(json.dumps(patch["ops"]))
    assert size < 3 * 400 * 50


def test_floods_are_capped_and_say_so() -> None:
    document, tell = Document(), Teller()
    wire, view = Wire(document), View()
    document.apply(tell(ev.ToolCallStarted, tool_call_id="c", name="f", arguments={}))
    document.apply(tell(ev.ToolCallOutput, tool_call_id="c", content="y" * 10_000_000))
    document.apply(tell(ev.ToolCallResponse, tool_call_id="c", name="f", response="line\n" * 100_000))
    document.apply(tell(ev.AgentChoice, content="z" * 10_000_000))
    patch = wire.patch()
    assert patch is not None
    assert len(json.dumps(patch)) < 500_000
    view.take(patch)
    card = next(node for node in view.nodes.values() if node[2] == "card")
    text = next(node for node in view.nodes.values() if node[2] == "text")
    assert "the session keeps all of it" in card[3]["cut"]
    assert "10.0 MB" in text[3]["cut"]


def test_a_progress_bar_rewrites_its_line() -> None:
    document, tell = Document(), Teller()
    wire, view = Wire(document), View()
    document.apply(tell(ev.ToolCallStarted, tool_call_id="c", name="f", arguments={}))
    for percent in range(0, 101, 10):
        document.apply(tell(ev.ToolCallOutput, tool_call_id="c", content=f"\r{percent:3} % 🙂"))
        patch = wire.patch()
        assert patch is not None
        view.take(patch)
    card = next(node for node in view.nodes.values() if node[2] == "card")
    assert card[5] == "100 % 🙂"


def test_the_view_is_told_of_a_form_while_its_question_is_open() -> None:
    document, tell = Document(), Teller()
    wire, view = Wire(document), View()
    wire.forms["q"] = "model-1"
    document.apply(tell(ev.ElicitationRequest, id="q", message="Sure?", source="bank"))
    patch = wire.patch()
    assert patch is not None
    view.take(patch)
    ask = next(node for node in view.nodes.values() if node[2] == "ask")
    assert (ask[3]["form"], ask[3]["word"], ask[3]["from"]) == ("model-1", "asks you", "bank")
    document.apply(tell(ev.ElicitationResolved, id="q", action="decline"))
    patch = wire.patch()
    assert patch is not None
    view.take(patch)
    assert (ask[3]["form"], ask[3]["word"]) == ("", "declined")


@pytest.mark.parametrize("text", HOSTILE)
def test_what_the_view_takes_for_html_is_harmless(text: str) -> None:
    document = Document()
    wire, view = Wire(document), View()
    for event in hostile_story(text):
        document.apply(event)
        if (patch := wire.patch()) is not None:
            view.take(patch)
    fragments = [node[4] for node in view.nodes.values()]
    fragments += [html for node in view.nodes.values() for html in node[3].get("media", [])]
    assert len(fragments) > 10
    for fragment in fragments:
        assert inspect(fragment).faults == []
    for node in view.nodes.values():
        texts = [node[5], *(value for value in node[3].values() if isinstance(value, str))]
        assert not set("".join(texts)) & set("\x00\x07\x1b\x9b\u202e")

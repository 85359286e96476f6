"""How a transcript is built: calls side by side, nested agents with a state of their own, arguments in rows."""

from __future__ import annotations

from typing import Any

import pytest

from nbagent import events as ev
from nbagent.messages import Attachment
from nbagent.widgets import arguments
from nbagent.widgets.blocks import Card, Group, Heading, Prompt
from nbagent.widgets.document import Document
from nbagent.widgets.plain import terminal
from nbagent.widgets.wire import Wire
from tests.widgets.telling import Teller


def told(*events: Any, **about: Any) -> Document:
    document = Document(**about)
    for event in events:
        document.apply(event)
    return document


def cards(document: Document) -> list[tuple[str, int]]:
    """Name of each card in reading order, and where its row begins: 0 for its own, else how many cards before it."""
    found = [block for block in document.blocks() if isinstance(block, Card)]
    places = {card.id: place for place, card in enumerate(found)}
    return [(card.name, places[card.id] - places[card.row] if card.row else 0) for card in found]


def called(tell: Teller, name: str, **more: Any) -> ev.Event:
    return tell(ev.ToolCallStarted, tool_call_id=name, name=name, arguments={}, **more)


def ended(tell: Teller, name: str) -> ev.Event:
    return tell(ev.ToolCallResponse, tool_call_id=name, name=name, response="1", duration=0.1)


def test_calls_that_run_at_the_same_time_stand_in_one_row_in_their_order() -> None:
    tell = Teller()
    events = [called(tell, "a"), called(tell, "b"), called(tell, "c"), ended(tell, "b"), ended(tell, "a")]
    assert cards(told(*events)) == [("a", 0), ("b", 1), ("c", 2)]


def test_calls_one_after_the_other_stand_below_each_other() -> None:
    tell = Teller()
    events = [called(tell, "a"), ended(tell, "a"), called(tell, "b"), ended(tell, "b")]
    assert cards(told(*events)) == [("a", 0), ("b", 0)]


def test_a_question_between_two_calls_stands_below_their_row() -> None:
    tell = Teller()
    document = told(
        called(tell, "a"), tell(ev.ElicitationRequest, id="q", message="Sure?", tool_call_id="a"), called(tell, "b")
    )
    assert [type(block).__name__ for block in document.root.children] == ["Card", "Card", "Question"]
    assert cards(document) == [("a", 0), ("b", 1)]


@pytest.mark.parametrize("between", [ev.AgentChoice, ev.AgentChoiceReasoning, ev.UserMessage])
def test_what_is_said_between_two_calls_keeps_its_place(between: type[ev.Event]) -> None:
    tell = Teller()
    document = told(called(tell, "a"), tell(between, content="words"), called(tell, "b"))
    assert cards(document) == [("a", 0), ("b", 0)]
    assert len(document.root.children) == 3


def begun(tell: Teller, stream: str, agent: str) -> ev.Event:
    return tell(ev.SubSessionStarted, child_stream_id=stream, child_session_id=stream, child_agent=agent)


def states(document: Document) -> dict[str, tuple[str, str]]:
    return {block.agent: (block.tone, block.word) for block in document.blocks() if isinstance(block, Group)}


def test_a_nested_agent_has_a_state_of_its_own_and_those_around_it_ask_with_it() -> None:
    lead, one, two = Teller("t", "lead"), Teller("t1", "one"), Teller("t2", "two")
    document = told(lead(ev.UserMessage, content="Go"), begun(lead, "t1", "one"), begun(one, "t2", "two"))
    assert states(document) == {"one": ("run", "working"), "two": ("run", "working")}
    document.apply(two(ev.ElicitationRequest, id="q", message="Sure?"))
    assert states(document) == {"one": ("wait", "asks you"), "two": ("wait", "asks you")}
    document.apply(two(ev.ElicitationResolved, id="q", action="accept"))
    assert states(document) == {"one": ("run", "working"), "two": ("run", "working")}
    two.now = one.now + 2.95
    document.apply(two(ev.StreamStopped, reason="completed"))
    document.apply(two(ev.SubSessionCompleted, child_stream_id="t2", child_session_id="t2", child_agent="two",
                       reason="error"))  # fmt: skip
    assert states(document) == {"one": ("run", "working"), "two": ("ok", "done · 3.2 s")}, "its first end counts"
    one.now = lead.now + 1.75
    document.apply(one(ev.StreamStopped, reason="error"))
    assert states(document)["one"] == ("bad", "failed · 2.0 s")


def test_what_the_end_of_the_run_cuts_off_works_no_more() -> None:
    lead, one = Teller("t", "lead"), Teller("t1", "one")
    document = told(
        lead(ev.UserMessage, content="Go"),
        begun(lead, "t1", "one"),
        one(ev.PartialToolCall, tool_call_id="c", name="write", arguments='{"x'),
        lead(ev.StreamStopped, reason="interrupted"),
    )
    assert states(document)["one"][0] == "bad"
    assert [card.word for card in document.blocks() if isinstance(card, Card)] == ["not run"]


def test_arguments_are_shown_as_text_while_the_model_writes_them_and_then_in_rows() -> None:
    tell, document = Teller(), Document()
    wire, sent = Wire(document), 0
    for piece in ('{"text": "', *["some words "] * 400):
        document.apply(tell(ev.PartialToolCall, tool_call_id="c", name="write", arguments=piece))
        patch = wire.patch()
        sent += len(str(patch["ops"])) if patch else 0
    (node,) = [node for node in wire.whole()["nodes"] if node[2] == "card"]
    assert node[3]["args"].startswith('{"text": "some words some') and (node[3]["rows"], node[3]["more"]) == ([], "")
    assert sent < 4_000, "the line is full soon, and then nothing more is sent"
    document.apply(tell(ev.ToolCallStarted, tool_call_id="c", name="write", arguments={"text": "some words", "n": 2}))
    wire.patch()
    (node,) = [node for node in wire.whole()["nodes"] if node[2] == "card"]
    assert node[3]["rows"] == [("text", "some words"), ("n", "2")]


def test_rows_hold_text_as_it_is_and_anything_else_as_json() -> None:
    nested = {"lines": [1, 2], "currency": "EUR", "a long name of a field": "a long value of it"}
    rows = dict(arguments.rows({"a": "x\ny", "b": True, "c": None, "d": 4.5, "e": "", "f": [1], "g": nested}))
    assert rows["g"].startswith('{\n  "lines": [\n    1,')
    rows.pop("g")
    assert rows == {"a": "x\ny", "b": "true", "c": "null", "d": "4.5", "e": '""', "f": "[1]"}
    assert arguments.rows('{"half": ') == arguments.rows({}) == []


def test_rows_are_bounded_and_plain() -> None:
    rows = arguments.rows({"a\x1b[2J" * 100: "x" * 10_000_000, "b": ["\u202ey" * 100_000], "c": 1, "d": "z" * 9_000})
    assert sum(len(name) + len(value) for name, value in rows) < arguments.ALL + 500
    assert rows[0][1].endswith("… (10,000,000 characters)")
    assert not set(str(rows)) & set("\x1b\u202e")
    many = arguments.rows({str(number): number for number in range(1000)})
    assert (len(many), many[-1]) == (arguments.ROWS + 1, ("…", "950 more"))


def test_a_terminal_shows_all_of_the_arguments_where_the_line_had_to_cut_them() -> None:
    tell = Teller()
    call = tell(ev.ToolCallStarted, tool_call_id="c", name="f", arguments={"to": "Keller", "text": "word " * 60})
    assert "\n    to: Keller\n    text: word word" in terminal(told(call))
    assert "x: 1" not in terminal(told(tell(ev.ToolCallStarted, tool_call_id="d", name="f", arguments={"x": 1})))


PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def test_a_prompt_names_what_is_attached_and_the_live_view_has_its_pictures() -> None:
    attached = [
        Attachment("image/png", PNG, "dot.png"),
        Attachment("application/pdf", "AAAA", "a.pdf"),
        Attachment("image/svg+xml", "AAAA", "drawing.svg"),
        Attachment("image/png", "A" * 9_000_000, "huge.png"),
        *[Attachment("text/csv", "AA==", "n" * 500)] * 30,
    ]
    named = tuple({"name": one.name, "mime": one.mime, "size": one.size} for one in attached)
    document = told(Teller()(ev.UserMessage, content="Look", attachments=named), attachments=attached)
    (prompt,) = document.root.children
    assert isinstance(prompt, Prompt)
    assert prompt.attached[:4] == ("dot.png", "a.pdf", "drawing.svg", "huge.png")
    assert prompt.attached[-1] == "14 more" and max(map(len, prompt.attached)) <= 80
    wire = Wire(document)
    wire.patch()
    (node,) = [node for node in wire.whole()["nodes"] if node[2] == "prompt"]
    assert node[3]["pictures"][0].endswith(f'src="data:image/png;base64,{PNG}">')
    assert node[3]["pictures"][1:4] == ["", "", ""]


def test_a_transcript_that_stands_apart_begins_with_its_heading() -> None:
    document = told(Teller()(ev.UserMessage, content="Go"), heading="helper · in the background as r7")
    assert [type(block) for block in document.root.children] == [Heading, Prompt]
    assert terminal(document).startswith("helper · in the background as r7\n\n│ Go")

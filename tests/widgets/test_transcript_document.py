"""What the document makes of events: one tree, in order, whose states are words."""

from __future__ import annotations

from typing import Any

import pytest

from nbagent import events as ev
from nbagent.widgets import arguments, words
from nbagent.widgets.blocks import Card, Group, Note, Prompt, Question, Reasoning, Text
from nbagent.widgets.document import Document
from tests.widgets.telling import Teller


def told(*events: Any) -> Document:
    document = Document()
    for event in events:
        document.apply(event)
    return document


def kinds(group: Group) -> list[str]:
    return [type(block).__name__ for block in group.children]


def only(document: Document, kind: type[Any]) -> Any:
    (found,) = [block for block in document.blocks() if isinstance(block, kind)]
    return found


def test_blocks_stand_in_the_order_of_the_events() -> None:
    tell = Teller()
    document = told(
        tell(ev.UserMessage, content="Pay"),
        tell(ev.AgentChoiceReasoning, content="Hm"),
        tell(ev.AgentChoice, content="One "),
        tell(ev.AgentChoice, content="text."),
        tell(ev.ToolCallStarted, tool_call_id="c", name="f", arguments={}),
        tell(ev.AgentChoice, content="Another."),
        tell(ev.UserMessage, content="And a steering message"),
    )
    assert kinds(document.root) == ["Prompt", "Reasoning", "Text", "Card", "Text", "Prompt"]
    assert [block.source.text for block in document.root.children if isinstance(block, Text)] == [
        "One text.",
        "Another.",
    ]


def test_what_is_said_after_a_hook_blocked_the_end_is_another_answer() -> None:
    tell = Teller()
    document = told(
        tell(ev.AgentChoice, content="Paid."),
        tell(ev.HookBlocked, point="stop", hook="insists", reason="Say what became of the receipt."),
        tell(ev.AgentChoice, content="Paid, and the receipt is in the drawer."),
    )
    assert kinds(document.root) == ["Text", "Note", "Text"]


def test_reasoning_lasts_until_something_else_comes() -> None:
    tell = Teller()
    document = told(tell(ev.AgentChoiceReasoning, content="a"))
    assert only(document, Reasoning).ended is None
    tell.now += 2
    document.apply(tell(ev.AgentChoice, content="b"))
    reasoning = only(document, Reasoning)
    assert reasoning.ended - reasoning.started == pytest.approx(2.25)


def response(tell: Teller, state: str, duration: float = 0.3, *, failed: bool = True) -> Any:
    return tell(
        ev.ToolCallResponse, tool_call_id="c", name="f", response="", is_error=failed, state=state, duration=duration
    )


@pytest.mark.parametrize(
    ("state", "duration", "tone", "word"),
    [("ok", 0.3, "ok", "0.3 s"), ("failed", 2.0, "bad", "failed · 2.0 s"), ("refused", 0.0, "bad", "refused"),
     ("cancelled", 0.0, "bad", "not run"), ("cancelled", 3.0, "bad", "stopped · 3.0 s"),
     ("abandoned", 3.0, "off", "left running")],
)  # fmt: skip
def test_a_cards_end_is_a_word_and_a_tone(state: str, duration: float, tone: str, word: str) -> None:
    tell = Teller()
    document = told(
        tell(ev.ToolCallStarted, tool_call_id="c", name="f", arguments={}),
        response(tell, state, duration, failed=state != "ok"),
    )
    card = only(document, Card)
    assert (card.tone, card.word) == (tone, word)


def test_a_card_is_there_while_the_model_still_writes_it() -> None:
    tell = Teller()
    document = told(tell(ev.PartialToolCall, tool_call_id="c", name="f", arguments='{"x'))
    assert only(document, Card).word == "writing"
    document.apply(tell(ev.ToolCallStarted, tool_call_id="c", name="f", arguments={"x": 1}))
    assert only(document, Card).word == "running"
    assert only(document, Card).arguments == {"x": 1}


def test_a_card_asks_while_any_of_its_questions_is_open() -> None:
    tell = Teller()
    document = told(
        tell(ev.ToolCallStarted, tool_call_id="c", name="f", arguments={}),
        tell(ev.ToolCallConfirmation, id="q1", tool_call_id="c", name="f", arguments={}),
        tell(ev.ElicitationRequest, id="q2", message="Sure?", tool_call_id="c"),
        tell(ev.ElicitationResolved, id="q1", action="accept"),
    )
    card = only(document, Card)
    assert (card.tone, card.word) == ("wait", "asks you")
    document.apply(tell(ev.ElicitationResolved, id="q2", action="accept"))
    assert (card.tone, card.word) == ("run", "running")


@pytest.mark.parametrize(
    ("request_", "action", "word"),
    [(ev.ElicitationRequest, "accept", "answered"), (ev.ElicitationRequest, "decline", "declined"),
     (ev.ElicitationRequest, "cancel", "cancelled"), (ev.ToolCallConfirmation, "accept", "approved"),
     (ev.ToolCallConfirmation, "decline", "rejected"), (ev.MaxIterationsReached, "accept", "goes on")],
)  # fmt: skip
def test_an_answer_is_a_word(request_: type[ev.Event], action: str, word: str) -> None:
    tell = Teller()
    fields: dict[str, Any] = {
        "elicitation_request": {"message": "Sure?"},
        "tool_call_confirmation": {"tool_call_id": "c", "name": "f", "arguments": {}},
        "max_iterations_reached": {"max_iterations": 3},
    }[request_.type]
    document = told(tell(request_, id="q", **fields))
    assert only(document, Question).word == "asks you"
    document.apply(tell(ev.ElicitationResolved, id="q", action=action))
    document.apply(tell(ev.ElicitationResolved, id="q", action="cancel"))  # a second end changes nothing
    assert only(document, Question).word == word


def test_a_limit_without_a_question_asks_nothing() -> None:
    document = told(Teller()(ev.MaxIterationsReached, max_iterations=3))
    assert document.root.children == []


def test_nested_streams_keep_to_their_own_group() -> None:
    tell, child, grandchild = Teller("t", "lead"), Teller("t2", "auditor"), Teller("t3", "clerk")
    document = told(
        tell(ev.UserMessage, content="Pay"),
        tell(ev.SubSessionStarted, child_stream_id="t2", child_session_id="s2", child_agent="auditor"),
        child(ev.StreamStarted, parent_id="t"),
        child(ev.AgentChoice, content="I "),
        tell(ev.AgentChoice, content="Meanwhile."),
        grandchild(ev.StreamStarted, parent_id="t2"),
        grandchild(ev.AgentChoice, content="Deep."),
        child(ev.AgentChoice, content="check."),
        child(ev.StreamStopped, reason="error", message="It broke"),
    )
    group = next(block for block in document.root.children if isinstance(block, Group))
    assert kinds(document.root) == ["Prompt", "Group", "Text"]
    assert kinds(group) == ["Text", "Group"]
    assert (group.label, group.word) == ("auditor · for lead", "failed · 0.5 s")
    assert document.footer.stopped is None, "the stop of a nested stream does not stop the run"


def test_equal_call_ids_of_two_streams_are_two_cards() -> None:
    tell, child = Teller(), Teller("t2", "auditor")
    document = told(
        tell(ev.ToolCallStarted, tool_call_id="call_0", name="f", arguments={}),
        child(ev.ToolCallStarted, tool_call_id="call_0", name="g", arguments={}),
    )
    document.apply(tell(ev.ToolCallResponse, tool_call_id="call_0", name="f", response="1"))
    cards = [card for card in document.blocks() if isinstance(card, Card)]
    assert [(card.name, card.over) for card in cards] == [("f", True), ("g", False)]


def test_a_call_id_that_a_model_uses_again_is_a_new_card() -> None:
    tell = Teller()
    document = told(
        tell(ev.ToolCallStarted, tool_call_id="call_0", name="f", arguments={}),
        tell(ev.ToolCallResponse, tool_call_id="call_0", name="f", response="1"),
        tell(ev.PartialToolCall, tool_call_id="call_0", name="g", arguments="{"),
        tell(ev.ToolCallStarted, tool_call_id="call_0", name="g", arguments={}),
    )
    cards = [card for card in document.blocks() if isinstance(card, Card)]
    assert [(card.name, card.word) for card in cards] == [("f", "1 ms"), ("g", "running")]


def test_an_error_is_told_once_and_says_what_to_do() -> None:
    tell = Teller()
    document = told(
        tell(ev.StreamStarted),
        tell(ev.Error, code="rate_limited", message="Too many requests."),
        tell(ev.StreamStopped, reason="error", message="Too many requests."),
    )
    note = only(document, Note)
    assert (note.level, note.text) == ("error", "Too many requests.")
    assert "Wait a moment" in note.next


def test_an_early_end_without_words_still_says_why() -> None:
    tell = Teller()
    document = told(tell(ev.StreamStarted), tell(ev.StreamStopped, reason="hook_blocked"))
    assert only(document, Note).text == "Blocked by a hook."


def test_every_event_is_taken() -> None:
    tell = Teller()
    document = told(
        tell(ev.TeamInfo, agents=("a",)),
        tell(ev.ToolsetInfo, toolset="x", tools=("f",)),
        tell(ev.HookStarted, point="p", hook="h"),
        tell(ev.UserMessage, content="Hi"),
    )
    assert only(document, Prompt).text == "Hi"


def test_words_of_time() -> None:
    assert [words.duration(s) for s in (0, 0.004, 0.3, 9.94, 12.4, 125)] == [
        "1 ms", "4 ms", "0.3 s", "9.9 s", "12 s", "2 min 5 s"
    ]  # fmt: skip
    assert [words.roughly(s) for s in (0.02, 0.4, 1.2, 6.4, 61)] == ["20 ms", "0.4 s", "1 s", "6 s", "1 min 1 s"]
    assert [words.clock(s) for s in (0, 31.9, 3723)] == ["00:00", "00:31", "1:02:03"]


def test_words_of_arguments() -> None:
    assert words.summary({"vendor": "print", "n": 2}) == 'vendor="print", n=2'
    assert words.summary({"code": "1 +\n 1"}) == "1 + 1"
    assert words.summary({"x": "y" * 500}).endswith("…")
    assert arguments.in_full({"x": "y" * 500}) == "x: " + "y" * 500
    assert arguments.in_full("y" * 500) == "y" * 500
    assert arguments.in_full({"x": "y"}) == ""

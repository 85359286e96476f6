"""P7 in the transcript: nested streams in groups of their own, side by side, and background agents on a line."""

from __future__ import annotations

from typing import Any

import pytest

from nbagent import events as ev
from nbagent.widgets.blocks import Card, Group, Note, Question, Text
from nbagent.widgets.document import Document
from nbagent.widgets.plain import PlainTranscript
from nbagent.widgets.static import bundle
from tests.widgets.telling import Teller

pytestmark = pytest.mark.anyio


def told(*events: Any) -> Document:
    document = Document()
    for event in events:
        document.apply(event)
    return document


def begun(tell: Teller, stream: str, agent: str, call: str, **more: Any) -> ev.Event:
    return tell(
        ev.SubSessionStarted, child_stream_id=stream, child_session_id=f"s-{stream}", child_agent=agent,
        tool_call_id=call, **more,
    )  # fmt: skip


def parallel() -> list[ev.Event]:
    """Two children that speak, call, ask and stop at the same time."""
    tell, one, two = Teller("t", "lead"), Teller("t1", "one"), Teller("t2", "two")
    return [
        tell(ev.UserMessage, content="Go"),
        tell(ev.ToolCallStarted, tool_call_id="c1", name="transfer_task", arguments={"agent": "one"}),
        tell(ev.ToolCallStarted, tool_call_id="c2", name="transfer_task", arguments={"agent": "two"}),
        begun(tell, "t1", "one", "c1"),
        begun(tell, "t2", "two", "c2"),
        one(ev.StreamStarted, parent_id="t"),
        two(ev.StreamStarted, parent_id="t"),
        one(ev.AgentChoice, content="First "),
        two(ev.AgentChoice, content="Second "),
        one(ev.AgentChoice, content="speaks."),
        two(ev.AgentChoice, content="speaks."),
        one(ev.ToolCallStarted, tool_call_id="k", name="ask", arguments={}),
        two(ev.ToolCallStarted, tool_call_id="k", name="ask", arguments={}),
        one(ev.ElicitationRequest, id="q1", message="One?", tool_call_id="k"),
        two(ev.ElicitationRequest, id="q2", message="Two?", tool_call_id="k"),
        two(ev.TokenUsage, input_tokens=10, output_tokens=1, cost=0.5),
        one(ev.TokenUsage, input_tokens=20, output_tokens=2),
        tell(ev.TokenUsage, input_tokens=1, output_tokens=3, cost=0.25),
        two(ev.ElicitationResolved, id="q2", action="accept"),
        two(ev.StreamStopped, reason="completed"),
        tell(ev.SubSessionCompleted, child_stream_id="t2", child_session_id="s-t2", child_agent="two",
             reason="completed"),
    ]  # fmt: skip


def groups(document: Document) -> dict[str, Group]:
    return {block.agent: block for block in document.blocks() if isinstance(block, Group)}


def test_p7_parallel_children_fill_their_own_groups() -> None:
    document = told(*parallel())
    one, two = groups(document)["one"], groups(document)["two"]
    for group, words, question in ((one, "First speaks.", "q1"), (two, "Second speaks.", "q2")):
        assert [type(block).__name__ for block in group.children] == ["Text", "Card", "Question"]
        text, card, asked = group.children
        assert isinstance(text, Text) and text.source.text == words and text.done
        assert isinstance(card, Card) and isinstance(asked, Question) and asked.question_id == question
    assert isinstance(one.children[1], Card) and one.children[1].word == "asks you"
    assert isinstance(two.children[1], Card) and two.children[1].word == "running"
    assert (one.reason, two.reason) == (None, "completed")
    assert document.footer.stopped is None


def test_p7_the_footer_counts_the_streams_together() -> None:
    footer = told(*parallel()).footer
    assert (footer.sent, footer.received, footer.cost) == (31, 6, 0.75)


def test_p7_a_background_agent_is_a_line_and_no_group() -> None:
    tell = Teller("t", "lead")
    document = told(
        tell(ev.UserMessage, content="Go"),
        begun(tell, "t9", "helper", "c1", background=True, background_id="r7"),
        begun(tell, "t8", "helper", "c1", background=True),
        tell(ev.SubSessionCompleted, child_stream_id="t9", child_session_id="s", child_agent="helper",
             reason="completed"),
    )  # fmt: skip
    assert groups(document) == {}
    notes = [block.text for block in document.root.children if isinstance(block, Note)]
    assert notes == ["helper runs in the background as r7.", "helper runs in the background."]


def test_a_skill_of_its_own_is_labelled_by_the_agent_alone() -> None:
    tell = Teller("t", "lead")
    document = told(tell(ev.UserMessage, content="Go"), begun(tell, "t1", "lead", "c1"))
    assert groups(document)["lead"].label == "lead"


def test_the_saved_notebook_has_each_child_in_its_place() -> None:
    text = bundle(told(*parallel()))["text/plain"]
    assert text.index("one · for lead") < text.index("First speaks.") < text.index("two · for lead")
    assert text.index("two · for lead") < text.index("Second speaks.")


async def test_p7_in_a_terminal_the_words_of_children_that_speak_at_once_are_not_mixed() -> None:
    written: list[str] = []
    plain = PlainTranscript(written.append)
    for event in parallel():
        await plain.on_event(event)
    text = "".join(written)
    assert text.count("First speaks.") == text.count("Second speaks.") == 1

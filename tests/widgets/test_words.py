"""What a transcript says of itself: each note is a sentence, and says what to do next."""

from __future__ import annotations

import pytest

from nbagent import events as ev
from nbagent.widgets import arguments, words
from nbagent.widgets.blocks import Note
from nbagent.widgets.document import Document
from tests.widgets.telling import Teller

tell = Teller()
NOTED = [
    *(tell(ev.Error, code=code, message="It broke") for code in (*words.ADVICE, "another's")),
    tell(ev.Warning, message="The hook f of session_start failed: ValueError: no"),
    tell(ev.Warning, message="The tools of ledger stay as they were: TimeoutError"),
    tell(ev.Warning, message="What is said here is not on disk yet: database is locked."),
    tell(ev.Warning, message="The history could not be summed up: too long"),
    tell(ev.Warning, message="ledger asked for a secret in a form ('key'); it was declined."),
    tell(ev.Warning, message="An answer could not be recorded: Permission denied."),
    tell(ev.Warning, message="What write_file would change cannot be shown: ValueError: x"),
    tell(ev.Warning, message="The hook of the door is loose", hook="f"),
    tell(ev.HookBlocked, point="user_prompt_submit", hook="f", reason="no politics"),
    tell(ev.HookBlocked, point="pre_tool_use", hook="f", reason="not on Sundays"),
    tell(ev.HookFinished, point="stop", hook="f", duration=0.1, error="exit code 1"),
    tell(ev.MCPInitFinished, server="ledger", duration=0.1, error="no such file"),
    tell(ev.ModelFallback, from_model="a", to_model="b", error="overloaded"),
]


@pytest.mark.parametrize("event", NOTED, ids=lambda event: event.type)
def test_a_note_is_a_sentence_and_says_what_to_do_next(event: ev.Event) -> None:
    document = Document()
    document.apply(event)
    (note,) = [block for block in document.blocks() if isinstance(block, Note)]
    assert note.text.endswith(".")
    assert note.next.endswith(".") and ". " not in note.next


@pytest.mark.parametrize("between", [[], [tell(ev.Warning, message="another matter")]], ids=["next", "apart"])
def test_a_failed_hook_is_told_once(between: list[ev.Event]) -> None:
    document = Document()
    warned = tell(ev.Warning, message="The hook f of stop failed: exit code 1")
    finished = tell(ev.HookFinished, point="stop", hook="f", duration=0.1, error="exit code 1", told=True)
    for event in (warned, *between, finished):
        document.apply(event)
    assert sum(isinstance(block, Note) and "exit code 1" in block.text for block in document.blocks()) == 1


def test_another_warning_of_the_same_words_hides_no_failed_hook() -> None:
    document = Document()
    document.apply(tell(ev.Warning, message="exit code 1"))
    document.apply(tell(ev.HookFinished, point="stop", hook="f", duration=0.1, error="exit code 1"))
    assert len([block for block in document.blocks() if isinstance(block, Note)]) == 2


@pytest.mark.parametrize("text", ["Done.", "Really?", 'He said "no."', "Waits…", "", "終わり。"])
def test_what_is_a_sentence_gets_no_second_period(text: str) -> None:
    assert words.sentence(text) == text


def test_arguments_nested_too_deep_for_json_are_said_to_be_so() -> None:
    deep: list[object] = []
    for _ in range(5000):
        deep = [deep]
    assert "nested too deep" in words.summary({"a": deep, "b": 1})
    assert ("a", "(nested too deep to be shown)") in arguments.rows({"a": deep})

"""P6 and P10: what waits is listed and answered by magics, where no form can be shown, and beside other cells."""

from __future__ import annotations

import re

import pytest

from nbagent.errors import UsageError
from nbagent.notebook.completion import Known, candidates
from nbagent.notebook.parsing import AnswerCommand, parse_answer
from tests.kernel.frontend import Execution, FrontEnd
from tests.notebook.conftest import NOTHING, SETUP, WARM, kept, kept_later, result, value


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("accept", AnswerCommand(None, "accept")),
        ("a1 decline", AnswerCommand("a1", "decline")),
        (
            'a12  accept {"city": "São Paulo", "n": [1]}',
            AnswerCommand("a12", "accept", {"city": "São Paulo", "n": [1]}),
        ),
        ("""accept '{"city": "Oslo"}'""", AnswerCommand(None, "accept", {"city": "Oslo"})),
        ('decline {"reason": "no"}', AnswerCommand(None, "decline", {"reason": "no"})),
    ],
)
def test_an_answer_is_read(line: str, command: AnswerCommand) -> None:
    assert parse_answer(line) == command


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "write %agent_answer"),
        ("a1", "write %agent_answer"),
        ("a1 agree", "write %agent_answer"),
        ("accept Oslo", '"Oslo" is not JSON'),
        ('a1 accept ["Oslo"]', "the content is an object"),
        ("cancel {}", "cancel takes no content"),
        (r'accept {"name": "\ud800"}', "half a character"),
    ],
)
def test_a_mistake_is_one_clear_line(line: str, words: str) -> None:
    with pytest.raises(UsageError, match=words.replace("[", r"\[")) as error:
        parse_answer(line)
    assert "\n" not in str(error.value)


def test_names_and_actions_are_completed() -> None:
    known = Known({}, list, list, lambda: ["a1", "a2"])
    assert candidates("%agent_answer ", known) == ("", ["a1", "a2", "accept", "decline", "cancel"])
    assert candidates("%agent_answer a", known) == ("a", ["a1", "a2", "accept"])
    assert candidates("%agent_answer a1 d", known) == ("d", ["decline"])


def pending(front: FrontEnd) -> list[list[str]]:
    """The rows of `%agent_pending`, split into words."""
    lines = front.run("%agent_pending").data("text/plain")[-1].splitlines()
    return [line.split() for line in lines[1:]]


def waits(front: FrontEnd, count: int = 1) -> list[str]:
    """Wait until so many questions wait; their names."""
    front.wait_for(lambda: len(pending(front)) == count)
    return [row[0] for row in pending(front)]


def test_p6_background_questions_are_listed_and_answered_by_name(front: FrontEnd) -> None:
    assert front.run("%agent_pending").data("text/plain") == ["No question waits for an answer."]
    assert front.run("%agent_pending x").status == "error"
    cells = [front.run(f"h{number} = %agent_run -n -b asking go") for number in (1, 2)]
    first, second = waits(front, 2)
    assert "Which city?" in front.run("%agent_pending").data("text/plain")[-1]
    assert front.run(f'%agent_answer {first} accept {{"city": "Oslo"}}').text == f"{first}: accept\n"
    assert result(front.run("(await h1).text")) == ["\"accept {'city': 'Oslo'} \""]
    assert waits(front) == [second]
    assert front.run('%agent_answer decline {"reason": "spät"}').text == f"{second}: decline\n"
    assert value(front, "(await h2).text").startswith("'decline None spät")
    assert "Oslo" in kept_later(front, cells[0])["text/markdown"]
    assert value(front, "owned()") == NOTHING
    assert front.widgets() == []


def test_p6_what_waits_says_for_how_long_and_an_approval_is_listed_too(front: FrontEnd) -> None:
    front.run("""
async def hurried() -> str:
    return (await nbagent.ask("Quick?", timeout=500)).note

quick = Agent("quick", model=ScriptedModel([ToolCall("hurried"), "done"]), tools=[hurried])""")
    front.run("one = %agent_run -n -b quick go")
    waits(front)
    front.run("two = %agent_run -n -b harmful go")
    waits(front, 2)
    listed = front.run("%agent_pending").data("text/plain")[-1]
    (asked,) = [line for line in listed.splitlines() if "Quick?" in line]
    (approval,) = [line for line in listed.splitlines() if "run danger(" in line]
    assert re.search(r"\b(4\d\d|500) s\b", asked) and "time left" in listed
    assert "no limit" in approval and '{"scope": "once"}' in approval
    assert front.run('%agent_answer accept {"scope": "once"}').status == "ok"
    assert front.run('%agent_answer accept {"answer": "yes"}').status == "ok"
    assert "did harm" in value(front, "(await two).text")
    front.run("await one")
    assert value(front, "owned()") == NOTHING


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("a999 accept", "no question a999 waits for an answer; waiting are"),
        ('accept {"city": "O"}', "waits on"),
        ("accept", "waits on"),
        ('decline {"note": "no"}', 'decline takes {"reason": "…"} and nothing else; a'),
        ("agree", "write %agent_answer"),
    ],
)
def test_p6_a_wrong_answer_is_one_line_and_the_question_waits_on(front: FrontEnd, line: str, words: str) -> None:
    front.run("handle = %agent_run -n -b asking go")
    (name,) = waits(front)
    cell = front.run(f"%agent_answer {line}")
    assert cell.status == "error"
    assert words in cell.text
    assert len(cell.text.strip().splitlines()) == 1
    assert waits(front) == [name]
    front.run("%agent_answer cancel")
    assert value(front, "(await handle).text").startswith("'cancel None")
    refused = front.run(f"%agent_answer {name} accept")
    assert refused.text.strip() == f"UsageError: no question {name} waits for an answer; none waits"


def test_p11_a_tool_call_is_approved_or_refused_with_a_reason(front: FrontEnd) -> None:
    for answer, words in (("accept", "did harm"), ('decline {"reason": "too much"}', "too much")):
        front.run("handle = %agent_run -n -b harmful go")
        waits(front)
        front.run(f"%agent_answer {answer}")
        assert words in value(front, "(await handle).text")


def shown(front: FrontEnd, cell: Execution, words: str) -> None:
    """Wait until the text in the place of the widget says so."""
    front.wait_for(lambda: words in str(front.displays.get(_display_of(cell), {}).get("text/plain", "")))


def _display_of(cell: Execution) -> str:
    (display,) = [m["content"]["transient"]["display_id"] for m in cell.outputs if m["msg_type"] == "display_data"]
    return display


@pytest.mark.parametrize("option", ["--plain", ""])
def test_p10_without_a_page_a_background_question_waits_for_the_magic_and_not_on_stdin(option: str) -> None:
    """A prompt would take the next cell's line for its answer, and the front end could not show it under its cell."""
    with FrontEnd(ready=False, inputs=["typed"]) as front:
        assert front.run(SETUP).status == front.run(WARM).status == "ok"
        cell = front.run(f"handle = %agent_run {option} -n -b asking go", "back", allow_stdin=True)
        shown(front, cell, '%agent_answer a1 accept {"city": "…"}')
        assert front.run("print(input('Your line: '))", allow_stdin=True).text == "typed\n"
        assert front.prompts == ["Your line: "]
        assert front.run('%agent_answer a1 accept {"city": "Oslo"}').text == "a1: accept\n"
        assert result(front.run("(await handle).text")) == ["\"accept {'city': 'Oslo'} \""]
        assert value(front, "owned()") == NOTHING


def test_p10_a_late_page_shows_the_form_of_a_question_that_waits_for_the_magic() -> None:
    with FrontEnd(ready=False) as front:
        assert front.run(SETUP).status == front.run(WARM).status == "ok"
        cell = front.run("handle = %agent_run -n -b asking go", "back", allow_stdin=True)
        shown(front, cell, "%agent_answer a1")
        front.send(front.widget(name="AnyModel"), {"type": "ready"})
        front.widget(description="City", name="TextModel")
        assert front.run('%agent_answer a1 accept {"city": "Oslo"}').status == "ok"
        assert result(front.run("(await handle).text")) == ["\"accept {'city': 'Oslo'} \""]
        assert front.widgets() == []


def test_p10_a_foreground_run_still_prompts_and_nobody_is_waited_for_without_stdin() -> None:
    with FrontEnd(ready=False, inputs=["y", "Oslo"]) as front:
        assert front.run(SETUP).status == front.run(WARM).status == "ok"
        cell = front.run("x = %agent_run -n --plain asking go", allow_stdin=True)
        assert "Oslo" in kept(cell)["text/markdown"]
        front.run("handle = %agent_run -n -b --plain asking go", allow_stdin=False)
        assert value(front, "(await handle).text").startswith("'decline None")

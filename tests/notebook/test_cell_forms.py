"""P10 and K2: forms answered in the running cell, prompts on stdin, and declining where nobody can answer."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.kernel.environments import kernels
from tests.kernel.frontend import Execution, FrontEnd, Model
from tests.notebook.conftest import NOTHING, SETUP, kept, result, value

AWAITED = "x = %agent_run -n asking go"
REENTERED = "def f():\n    x = %agent_run -n asking go\n    return x\nx = f()"


def field(front: FrontEnd, description: str = "City") -> Model:
    """The form's open input of that title."""
    return front.widget(description=description, name="TextModel")


def press(front: FrontEnd, description: str) -> None:
    front.click(front.widget(description=description, name="ButtonModel"))


@pytest.mark.parametrize("code", [AWAITED, REENTERED], ids=["awaited", "re-entered"])
@pytest.mark.parametrize("subshell", [False, True])
def test_p6_a_form_is_answered_in_the_running_cell(front: FrontEnd, code: str, subshell: bool) -> None:
    over_subshell = subshell and front.has_subshells  # where there are none, this is the main shell once more
    front.subshell_for_comms = front.create_subshell() if over_subshell else None
    try:
        cell = front.execute(code, "form")
        behind = [front.execute(f"print({number})") for number in (1, 2)]
        city = field(front)
        front.wait_for(lambda: front.widget(description="Submit").state["disabled"])
        front.type(city, "Oslo")
        front.settle(city)
        front.wait_for(lambda: not front.widget(description="Submit").state["disabled"])
        press(front, "Submit")
        front.finish(cell)
    finally:
        front.subshell_for_comms = None
    assert cell.status == "ok"
    assert [front.finish(execution).text for execution in behind] == ["1\n", "2\n"]
    assert behind[0].idle_at is not None
    assert behind[1].idle_at is not None
    assert behind[0].idle_at < behind[1].idle_at
    assert value(front, "x.text") == "\"accept {'city': 'Oslo'} \""
    assert "Oslo" in kept(cell)["text/markdown"]
    assert front.widgets() == []
    assert value(front, "owned()") == NOTHING


@pytest.mark.parametrize(("button", "action"), [("Decline", "decline"), ("Cancel", "cancel")])
def test_p6_a_form_may_be_declined_or_cancelled(front: FrontEnd, button: str, action: str) -> None:
    cell = front.execute(AWAITED, "form")
    press(front, button)
    front.finish(cell)
    assert value(front, "x.text").startswith(f"'{action} None")


def test_p6_two_forms_at_once_never_swap_answers(front: FrontEnd) -> None:
    front.run("pair = agent('pair', ToolCall('ask_two', {}), lambda messages: messages[-1].content)")
    cell = front.execute("x = %agent_run pair go")
    front.wait_for(lambda: len(front.widgets(description="City", name="TextModel")) == 2)
    one, two = front.widgets(description="City", name="TextModel")
    front.set_state(two, {"value": "Two"})
    front.set_state(one, {"value": "One"})
    front.settle(one)
    front.settle(two)
    first, second = front.widgets(description="Submit")
    front.click(second)
    front.click(first)
    front.finish(cell)
    assert value(front, "x.text") == "\"{'city': 'One'} {'city': 'Two'}\""


@pytest.mark.parametrize(
    ("button", "said"), [("Approve", "did harm"), ("Approve for this session", "did harm"), ("Reject", "")]
)
def test_p11_an_approval_is_given_in_the_cell(front: FrontEnd, button: str, said: str) -> None:
    cell = front.execute("x = %agent_run -n harmful go")
    press(front, button)
    front.finish(cell)
    text = value(front, "x.text")
    assert (said in text) if said else ("did harm" not in text)


@pytest.mark.parametrize("mode", ["all", "none"])
def test_p11_approve_all_and_none_ask_nobody(front: FrontEnd, mode: str) -> None:
    front.run(f"x = %agent_run -n --approve {mode} harmful go")
    assert ("did harm" in value(front, "x.text")) == (mode == "all")


def test_answers_fill_the_form_in_a_persons_place(front: FrontEnd) -> None:
    front.run("form = {'city': 'Rome'}\ndef decide(question): return 'decline', None")
    before = len(front.models)
    front.run("x = %agent_run -n --answers form asking go")
    assert value(front, "x.text") == "\"accept {'city': 'Rome'} \""
    front.run("x = %agent_run -n --answers decide asking go")
    assert value(front, "x.text").startswith("'decline")
    assert not [m for m in list(front.models.values())[before:] if m.name == "ButtonModel"]


def test_answers_come_from_a_file_and_go_into_one(front: FrontEnd, tmp_path: Path) -> None:
    recorded, given = tmp_path / "recorded.jsonl", tmp_path / "answers.json"
    given.write_text('{"city": "Rome"}')
    front.run(f"x = %agent_run -n --answers {given} --record-answers {recorded} asking go")
    assert value(front, "x.text") == "\"accept {'city': 'Rome'} \""
    front.run(f"from pathlib import Path\nfile = Path({str(recorded)!r})\nx = %agent_run -n --answers file asking go")
    assert value(front, "x.text") == "\"accept {'city': 'Rome'} \""
    wrong = front.run(f"%agent_run -n --answers {tmp_path / 'missing.json'} asking go")
    assert wrong.text.strip().startswith("UsageError: answers=") and len(wrong.text.strip().splitlines()) == 1
    wrong = front.run("%agent_run -n --answers nobody asking go")
    assert "there is no variable nobody" in wrong.text


# ---------------------------------------------------------------- without a page


def headless(python: str, *inputs: str, **env: str) -> FrontEnd:
    """A front end that runs no JavaScript; `inputs` are what its user types on stdin."""
    front = FrontEnd(python, ready=False, inputs=inputs, env=env)
    assert front.run(SETUP).status == "ok"
    return front


def ended(front: FrontEnd, *, allow_stdin: bool) -> Execution:
    return front.run(AWAITED, "form", allow_stdin=allow_stdin)


@pytest.mark.parametrize("python", kernels())
def test_p10_without_page_and_stdin_the_question_is_declined_and_says_why(python: str) -> None:
    with headless(python) as front:
        assert ended(front, allow_stdin=False).status == "ok"
        assert "declined: no page showed the transcript within 3 s" in value(front, "x.text")
        assert value(front, "owned()") == NOTHING


def test_p10_the_environment_says_that_nobody_is_there() -> None:
    with headless(sys.executable, NBAGENT_INTERACTIVE="0") as front:
        front.ready = True
        ended(front, allow_stdin=True)
        assert "NBAGENT_INTERACTIVE=0" in value(front, "x.text")
        assert front.prompts == []


@pytest.mark.parametrize("python", kernels())
def test_p10_without_a_page_the_form_becomes_prompts_where_stdin_is_allowed(python: str) -> None:
    with headless(python, "maybe", "y", "", "X", "Lima", "y", "n") as front:
        assert ended(front, allow_stdin=True).status == "ok"
        assert value(front, "x.text") == "\"accept {'city': 'Lima'} \""
        assert "Which city?" in front.prompts[0]
        assert [prompt.splitlines()[-1] for prompt in front.prompts[1:]] == [
            "one of y, n, c, please: ",
            "City: ",
            "Required. city: ",
            front.prompts[4],
        ]
        assert value(front, "owned()") == NOTHING
        assert front.run("input('still mine? ')", allow_stdin=True).status == "ok"


@pytest.mark.parametrize("code", [AWAITED, REENTERED], ids=["awaited", "re-entered"])
def test_p10_an_interrupt_takes_a_prompt_back(code: str) -> None:
    with headless(sys.executable) as front:
        cell = front.execute(code, allow_stdin=True)
        front.wait_for(lambda: bool(front.prompts))
        front.interrupt()
        front.finish(cell)
        assert cell.error == "KeyboardInterrupt"
        assert value(front, "owned()") == NOTHING
        assert "nbagent stdin" not in value(front, "[t.name for t in threading.enumerate()]")
        front.inputs.append("mine")
        assert result(front.run("input('? ')", allow_stdin=True)) == ["'mine'"]


def test_p10_a_late_page_turns_an_open_prompt_into_a_form() -> None:
    with headless(sys.executable) as front:
        cell = front.execute(AWAITED, allow_stdin=True)
        front.wait_for(lambda: bool(front.prompts))
        front.send(front.widget(name="AnyModel"), {"type": "ready"})
        city = field(front)
        front.set_state(city, {"value": "Kyiv"})
        front.settle(city)
        press(front, "Submit")
        front.finish(cell)
        assert value(front, "x.text") == "\"accept {'city': 'Kyiv'} \""
        assert "nbagent stdin" not in value(front, "[t.name for t in threading.enumerate()]")


def test_p10_an_approval_is_a_prompt_too() -> None:
    with headless(sys.executable, "n", "too dangerous") as front:
        front.run(
            "harmful = agent('harmful', ToolCall('danger', {'what': 'harm'}), lambda messages: messages[-1].content)"
        )
        front.run("x = %agent_run harmful go", allow_stdin=True)
        assert "too dangerous" in value(front, "x.text")
        assert json.dumps("harm") in front.prompts[0]


def test_an_address_that_nobody_should_open_is_declined_and_the_model_reads_why(front: FrontEnd) -> None:
    code = """
async def send_away() -> str:
    return (await nbagent.ask("Go there", url="javascript:alert(1)")).action

sender = Agent("sender", model=ScriptedModel([ToolCall("send_away"), lambda m: m[-1].content]), tools=[send_away])
x = %agent_run -n sender go
"""
    assert front.run(code).status == "ok"
    said = value(front, "x.text")
    assert "decline" in said and "Declined without asking" in said

"""The demo agent: honest in its first line, its story told to the end for every answer; and the command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import nbformat
import pytest

import nbagent
from nbagent import demo
from nbagent.__main__ import main
from nbagent.demo import server, showcase, story
from nbagent.events import AgentChoice, ElicitationRequest, ToolCallResponse, ToolCallStarted
from nbagent.session import Message, ToolCall

pytestmark = pytest.mark.anyio

ANSWERS = {"name": "Ada | *Lovelace*", "guests": 6}


def said(*content: str) -> list[Message]:
    return [Message("user", text) for text in content]


# ---------------------------------------------------------------- the agent


async def test_its_first_line_says_that_it_is_scripted() -> None:
    runtime = nbagent.Runtime(demo.agent(delay=0))
    try:
        result = await runtime.run(nbagent.Session(), "Plan a picnic", answers=ANSWERS)
    finally:
        await runtime.aclose()
    first = next(message for message in result.messages if message.role == "assistant")
    assert "scripted demo: no language model is asked" in first.content.splitlines()[0]


async def test_it_shows_a_tool_a_form_and_an_answer_that_depends_on_it() -> None:
    runtime = nbagent.Runtime(demo.agent(delay=0))
    try:
        async with runtime.run_stream(nbagent.Session(), "A picnic on Sunday", answers=ANSWERS) as stream:
            events = [event async for event in stream]
    finally:
        await runtime.aclose()
    calls = [(event.name, event.toolset) for event in events if isinstance(event, ToolCallStarted)]
    assert calls == [("forecast", ""), ("find_table", "park-office")]
    asked = next(event for event in events if isinstance(event, ElicitationRequest))
    assert asked.schema is not None
    assert set(asked.schema["properties"]) == set(server.Wishes.model_fields)
    text = "".join(event.content for event in events if isinstance(event, AgentChoice))
    assert "### Sunday: table 5, under the lime trees" in text
    assert r"**Ada \| \*Lovelace\***" in text
    assert "guests = 6" in text
    assert stream.stopped is not None
    assert stream.stopped.reason == "completed"


@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_without_an_answer_it_says_so_and_ends_well(action: str) -> None:
    runtime = nbagent.Runtime(demo.agent(delay=0))
    try:
        result = await runtime.run(nbagent.Session(), "A picnic", answers=lambda asked: (action, None))
    finally:
        await runtime.aclose()
    assert result.reason == "completed"
    assert result.text.startswith("No table this time: the form was")


async def test_its_story_can_be_told_again_in_one_session() -> None:
    runtime, session = nbagent.Runtime(demo.agent(delay=0)), nbagent.Session()
    try:
        told = [(await runtime.run(session, f"On {day}, please", answers=ANSWERS)).text for day in story.DAYS]
    finally:
        await runtime.aclose()
    assert [text.split(":")[0] for text in told] == [f"### {day}" for day in story.DAYS]


async def test_its_server_needs_no_approval() -> None:
    runtime = nbagent.Runtime(demo.agent(delay=0))
    try:
        async with runtime.run_stream(nbagent.Session(), "A picnic", answers=ANSWERS, approve="ask") as stream:
            answers = [event async for event in stream if isinstance(event, ToolCallResponse)]
    finally:
        await runtime.aclose()
    assert [(answer.name, answer.state) for answer in answers] == [("forecast", "ok"), ("find_table", "ok")]


# ---------------------------------------------------------------- the story and the office


def test_the_day_is_the_one_that_the_user_names_last() -> None:
    assert story.chosen_day(said("On Friday!", "Rather on sunday.")) == "Sunday"
    assert story.chosen_day(said("Whenever you like")) == "Saturday"


def test_an_answer_that_is_no_object_is_told_as_an_error() -> None:
    call = ToolCall("find_table", {})
    messages = [Message("assistant", tool_calls=(call,)), Message("tool", "no such server", tool_call_id=call.id)]
    assert "no such server" in story.conclude([*said("A picnic"), *messages])


def test_every_party_that_the_form_admits_gets_a_table_with_seats_enough() -> None:
    for guests in range(1, 13):
        for table in server.TABLES:
            wishes = server.Wishes(name="Ada", guests=guests, place=table.place)
            offer = server.offer("Friday", wishes)
            assert offer.seats >= guests
            assert (offer.place == table.place) != (f"a table {table.place}" in offer.note)


# ---------------------------------------------------------------- the command line


def test_a_missing_library_is_one_line_that_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "nbclient", None)
    assert main(["demo", "--output", str(tmp_path)]) == 1
    shown = capsys.readouterr()
    assert shown.err == 'The demo needs nbclient: pip install "jupyter-nbagent[demo]"\n'
    assert shown.out == ""


def test_no_command_is_one_clear_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([])
    assert "COMMAND" in capsys.readouterr().err.splitlines()[-1]


def test_the_answers_of_the_demo_fit_its_form_and_are_handed_over_in_the_open() -> None:
    server.Wishes.model_validate(showcase.ANSWERS)
    notebook = nbformat.read(showcase.quickstart(), as_version=4)
    showcase.hand_over(notebook, showcase.ANSWERS)
    nbformat.validate(notebook)
    sources = [cell.source for cell in notebook.cells]
    run = sources.index('%agent_run --answers form_answers demo "Plan a picnic for Saturday"')
    names: dict[str, object] = {}
    exec(sources[run - 1], names)
    assert names["form_answers"] == showcase.ANSWERS


def test_the_quickstart_is_saved_without_outputs() -> None:
    cells = json.loads(showcase.quickstart().read_text(encoding="utf-8"))["cells"]
    assert [cell["outputs"] for cell in cells if cell["cell_type"] == "code" and cell["outputs"]] == []
    assert {cell["execution_count"] for cell in cells if cell["cell_type"] == "code"} == {None}

"""Delegation in a real kernel: nested groups and their forms, and background agents with an output of their own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from tests.kernel.environments import kernels
from tests.kernel.frontend import Execution, FrontEnd, Model
from tests.notebook.conftest import NOTHING, SETUP, WARM, kept, result, value

TEAM = """
def last(messages):
    return messages[-1].content

def give(tool, *names):
    return [ToolCall(tool, {"agent": name, "task": f"the task of {name}"}) for name in names]

def asker(name):
    field = {"type": "object", "properties": {"city": {"type": "string", "title": f"City of {name}"}},
             "required": ["city"]}
    async def ask_own() -> str:
        answer = await nbagent.ask("Which city?", field)
        return f"{name}: {answer.action} {answer.content}"
    return Agent(name, model=ScriptedModel([ToolCall("ask_own", {}), last]), tools=[nbagent.tool(ask_own)])

def lead(name, *turns, subs=("one", "two"), **options):
    agents = [asker(sub) for sub in subs]
    return Agent(name, model=ScriptedModel(list(turns)), sub_agents=agents, background_agents=True, **options)

def registry(name):
    return nbagent.magics._current.workspace.runtimes.of(name, globals()[name]).background._agents
"""


@pytest.fixture(scope="module", params=kernels())
def notebook(request: pytest.FixtureRequest) -> Iterator[FrontEnd]:
    with FrontEnd(request.param) as front:
        assert front.run(SETUP).status == front.run(WARM).status == front.run(TEAM).status == "ok"
        yield front


def answer(front: FrontEnd, name: str, city: str) -> None:
    """Fill and submit the form of that agent; the buttons belong together by their order."""
    field = front.widget(description=f"City of {name}", name="TextModel")
    front.set_state(field, {"value": city})
    front.settle(field)
    front.click(submit_of(front, name))


def submit_of(front: FrontEnd, name: str) -> Model:
    """The Submit button made with that agent's field: the first after it."""
    models = list(front.models.values())
    field = front.widget(description=f"City of {name}", name="TextModel")
    after = models[models.index(field) :]
    return next(model for model in after if model.description == "Submit" and not model.closed)


def documents(front: FrontEnd, execution: Execution) -> list[str]:
    """What each output of the cell holds now, as markdown, in the order of their display."""
    shown = [m["content"]["transient"]["display_id"] for m in execution.outputs if m["msg_type"] == "display_data"]
    front.drain()
    return [front.displays[display_id].get("text/markdown", "") for display_id in shown]


def test_p7_nested_groups_fill_and_the_forms_of_parallel_children_get_their_own_answers(front: FrontEnd) -> None:
    front.run("boss = lead('boss', give('transfer_task', 'one', 'two'), 'Both are back.')")
    cell = front.execute("%agent_run boss go")
    answer(front, "two", "Oslo")
    answer(front, "one", "Riga")
    front.finish(cell)
    assert cell.status == "ok"
    text = kept(cell)["text/markdown"]
    assert "one · for boss" in text and "two · for boss" in text
    assert text.index("one · for boss") < text.index("two · for boss") < text.index("Both are back.")
    plain = kept(cell)["text/plain"]
    assert "one: accept {'city': 'Riga'}" in plain and "two: accept {'city': 'Oslo'}" in plain
    assert len([m for m in cell.outputs if m["msg_type"] == "display_data"]) == 1, "children are shown in their parent"
    assert front.widgets() == []
    assert value(front, "owned()") == NOTHING


def test_p7_the_stop_button_of_the_parent_ends_its_children_and_their_forms(front: FrontEnd) -> None:
    front.run("boss = lead('boss', give('transfer_task', 'one', 'two'), 'never')")
    cell = front.execute("r = %agent_run -n boss go")
    for name in ("one", "two"):
        front.widget(description=f"City of {name}", name="TextModel")
    front.send(front.widget(name="AnyModel"), {"type": "stop"})
    front.finish(cell)
    assert value(front, "r.reason") == "'cancelled'"
    assert kept(cell)["text/plain"].count("cancelled") >= 2
    assert front.widgets() == []
    assert value(front, "owned()") == NOTHING


@pytest.mark.parametrize("code", ["%agent_run -n boss go", "def f():\n    %agent_run -n boss go\nf()"],
                         ids=["awaited", "re-entered"])  # fmt: skip
def test_p7_a_background_agent_has_an_output_of_its_own_that_lives_on(front: FrontEnd, code: str) -> None:
    front.run("boss = lead('boss', give('run_background_agent', 'one'), 'It is under way.', last)")
    cell = front.run(code, "own")
    assert cell.status == "ok"
    own, agents = documents(front, cell)
    (name,) = eval(value(front, "list(registry('boss'))"))
    assert name.startswith("r"), "the agents and the notebook use one name"
    assert f"one runs in the background as {name}." in own
    assert "It is under way." in own and "one · for boss" not in own
    listed = front.run("%agent_list").data("text/plain")[-1].splitlines()[-1]
    assert listed.split()[:3] == [name, "background", "one"]
    assert "Which city?" not in front.run("print('beside')").text
    answer(front, "one", "Lima")
    front.run(f"await registry('boss')['{name}'].ended()\nawait asyncio.sleep(0)")
    front.wait_for(lambda: "Lima" in documents(front, cell)[1])
    agents = documents(front, cell)[1]
    assert agents.startswith(f"**one · for boss · in the background as {name}**\n\n> the task of one")
    assert front.widgets() == []
    assert value(front, "owned()") == NOTHING
    assert "Lima" in front.run(f"%agent_show {name}").data("text/markdown")[-1]


@pytest.mark.parametrize("how", ["button", "magic", "agent"])
def test_p7_a_background_agent_is_stopped_by_its_button_by_name_or_by_an_agent(front: FrontEnd, how: str) -> None:
    stop = "lambda messages: ToolCall('stop_background_agent', {'id': next(reversed(registry('boss')))})"
    front.run(f"boss = lead('boss', give('run_background_agent', 'one'), 'started', {stop}, 'stopped it')")
    cell = front.run("%agent_run -n boss go")
    front.widget(description="City of one", name="TextModel")
    name = eval(value(front, "next(reversed(registry('boss')))"))
    if how == "button":
        front.send(front.widget(name="AnyModel"), {"type": "stop"})
    elif how == "magic":
        assert front.run("%agent_stop").text == f"stopped {name}\n"
    else:
        assert result(front.run("r = %agent_run boss stop it\nr.text")) == ["'stopped it'"]
    front.run(f"await registry('boss')['{name}'].ended()")
    front.wait_for(lambda: "Stopped" in documents(front, cell)[1])
    assert value(front, f"registry('boss')['{name}'].reason") == "'cancelled'"
    assert front.widgets() == []
    assert value(front, "owned()") == NOTHING


def test_p7_it_survives_an_interrupt_and_a_re_run_of_its_cell(front: FrontEnd) -> None:
    front.run("boss = lead('boss', give('run_background_agent', 'one'), 'started', ToolCall('sleep_async', {}), 'x',"
              " tools=TOOLS)")  # fmt: skip
    front.run("%agent_run -n boss go", "again")
    front.widget(description="City of one", name="TextModel")
    first = eval(value(front, "next(reversed(registry('boss')))"))
    cell = front.execute("%agent_run boss sleep")
    front.wait_for(lambda: value_is(front, cell, "sleep_async"))
    front.interrupt()
    front.finish(cell)
    assert cell.error == "KeyboardInterrupt"
    assert value(front, f"registry('boss')['{first}'].live") == "True"
    front.run("%agent_run boss go", "again")
    assert value(front, f"registry('boss')['{first}'].live") == "True"
    front.wait_for(lambda: len(front.widgets(description="City of one", name="TextModel")) == 2)
    for name in eval(value(front, "[agent.id for agent in registry('boss').values() if agent.live]")):
        assert front.run(f"%agent_stop {name}").text == f"stopped {name}\n"
    front.run("await asyncio.gather(*(agent.ended() for agent in registry('boss').values()))")
    front.wait_for(lambda: front.widgets() == [])
    assert value(front, "owned()") == NOTHING


def value_is(front: FrontEnd, execution: Execution, words: str) -> bool:
    """Whether the cell's live transcript has told of `words`."""
    return any(words in str(content) for model in front.widgets(name="AnyModel") for content, _ in model.received)


def test_p7_two_background_agents_and_their_parent_ask_at_once(front: FrontEnd) -> None:
    front.run("boss = lead('boss', give('run_background_agent', 'one', 'two'), ToolCall('ask_city', {}), last,"
              " tools=TOOLS)")  # fmt: skip
    cell = front.execute("r = %agent_run -n boss go")
    parents = front.widget(description="City", name="TextModel")
    for name in ("one", "two"):
        front.widget(description=f"City of {name}", name="TextModel")
    answer(front, "two", "Quito")
    front.set_state(parents, {"value": "Paris"})
    front.settle(parents)
    models = list(front.models.values())
    front.click(next(m for m in models[models.index(parents) :] if m.description == "Submit" and not m.closed))
    front.finish(cell)
    assert "Paris" in value(front, "r.text")
    answer(front, "one", "Turin")
    front.run("await asyncio.gather(*(agent.ended() for agent in registry('boss').values()))")
    texts = value(front, "[agent.text for agent in registry('boss').values()]")
    assert texts.index("one: accept {'city': 'Turin'}") < texts.index("two: accept {'city': 'Quito'}")
    front.wait_for(lambda: front.widgets() == [])
    assert value(front, "owned()") == NOTHING


def test_p7_one_that_a_background_run_starts_when_its_cell_has_ended_is_shown_too(front: FrontEnd) -> None:
    front.run("gate = asyncio.Event()\nasync def wait() -> str:\n    await gate.wait()\n    return 'through'")
    front.run("boss = lead('boss', ToolCall('wait', {}), give('run_background_agent', 'one'), 'done', tools=[wait])")
    cell = front.run("handle = %agent_run -n -b boss go", "late")
    front.run("print('another cell')")
    front.run("gate.set()")
    answer(front, "one", "Bonn")
    assert result(front.run("(await handle).text")) == ["'done'"]
    (name,) = eval(value(front, "list(registry('boss'))"))
    front.run(f"await registry('boss')['{name}'].ended()")
    front.wait_for(lambda: front.widgets() == [])
    own, agents = documents(front, cell)
    assert "done" in own and "Bonn" in agents, "both stand in the cell that began it"
    assert "Bonn" in front.run(f"%agent_show {name}").data("text/markdown")[-1]
    assert value(front, "owned()") == NOTHING


def test_p7_unloading_ends_background_agents(fresh: FrontEnd) -> None:
    fresh.run(TEAM)
    fresh.run("boss = lead('boss', give('run_background_agent', 'one', 'two'), 'started')")
    fresh.run("runtime = Runtime(boss)")
    fresh.run("%agent_run runtime go")
    fresh.widget(description="City of two", name="TextModel")
    fresh.run("%unload_ext nbagent")
    reasons = value(fresh, "[agent.reason for agent in runtime.background._agents.values()]")
    assert reasons == "['cancelled', 'cancelled']"
    assert value(fresh, "runtime.on_background, runtime.background.naming") == "(None, None)"
    assert value(fresh, "nbagent.runtime.live_runs()") == "()"
    fresh.wait_for(lambda: fresh.widgets() == [])


def test_p10_without_anybody_to_answer_its_questions_are_declined() -> None:
    with FrontEnd(ready=False, env={"NBAGENT_INTERACTIVE": "0"}) as front:
        assert front.run(SETUP).status == front.run(WARM).status == front.run(TEAM).status == "ok"
        wait = "ToolCall('wait_background_agents', {})"
        front.run(f"boss = lead('boss', give('run_background_agent', 'one'), {wait}, last)")
        front.run("r = %agent_run boss go")
        assert "one: decline None" in value(front, "r.text")


def test_p7_in_a_terminal_a_background_agents_text_comes_whole_and_its_questions_are_prompts(tmp_path: Path) -> None:
    (tmp_path / "setup.ipy").write_text(SETUP + TEAM)
    arguments = ["-m", "IPython", "--simple-prompt", "--no-banner", "--colors=NoColor", "--no-confirm-exit"]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "TERM": "dumb", "PYTHONPATH": str(Path.cwd())}
    child = pexpect.spawn(
        sys.executable, arguments, env=environment, timeout=30, encoding="utf-8", dimensions=(50, 200)
    )
    try:
        child.expect("In .1.: ")
        child.sendline(f"%run -i {tmp_path / 'setup.ipy'}")
        child.expect("In .2.: ")
        wait = "ToolCall('wait_background_agents', {})"
        child.sendline(f"boss = lead('boss', give('run_background_agent', 'one'), {wait}, 'All is said.')")
        child.expect("In .3.: ")
        child.sendline("%agent_run boss go")
        child.expect("one runs in the background as r2")
        child.expect("Which city\\?")
        child.expect("cancel: ")
        child.sendline("y")
        child.expect("City of one.*: ")
        child.sendline("Turin")
        child.expect("In .4.: ")
        text = str(child.before)
        assert "the task of one" in text and "one: accept {'city': 'Turin'}" in text and "All is said." in text
    finally:
        child.close(force=True)

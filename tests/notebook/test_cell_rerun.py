"""K4 through the magic: a cell has one run; re-executing it supersedes; background runs go on beside the cells."""

from __future__ import annotations

from tests.kernel.frontend import FrontEnd
from tests.notebook.conftest import NOTHING, kept, kept_later, result, value
from tests.notebook.test_cell_interrupt import said


def test_k4_a_re_execution_while_the_form_waits_supersedes_the_run(front: FrontEnd) -> None:
    code = "x = %agent_run -n asking go\nprint('went on')"
    first = front.execute(code, "again")
    old = front.widget(description="City", name="TextModel")
    second = front.execute(code, "again")
    front.wait_for(lambda: first.done)
    assert first.status == "ok"
    assert first.text == ""
    assert "Superseded" in kept(first)["text/markdown"]
    assert old.closed
    new = front.widget(description="City", name="TextModel")
    assert new is not old
    front.set_state(new, {"value": "Bern"})
    front.settle(new)
    front.click(front.widget(description="Submit"))
    front.finish(second)
    assert second.text == "went on\n"
    assert value(front, "x.text") == "\"accept {'city': 'Bern'} \""
    assert value(front, "owned()") == NOTHING


def test_k4_the_old_form_is_disabled_and_says_why(front: FrontEnd) -> None:
    first = front.execute("x = %agent_run -n asking go", "again")
    old, submit = front.widget(description="City", name="TextModel"), front.widget(description="Submit")
    second = front.execute("1", "again")
    front.finish(second)
    assert first.done
    assert old.state["disabled"]
    assert submit.state["disabled"]
    said = [model.state.get("value", "") for model in front.models.values() if model.name == "HTMLModel"]
    assert any("the run ended before this was answered" in str(text) for text in said)


def test_k4_a_superseded_plain_function_stops_too(front: FrontEnd) -> None:
    code = """
def f():
    try:
        %agent_run -n sleeper go
    except Exception:
        print('caught')
    print('sent')
f()
"""
    first = front.execute(code, "function")
    said(front, "sleep_async")
    second = front.execute("print('second')", "function")
    front.finish(second)
    assert first.status == "ok"
    assert first.text == ""
    assert second.text == "second\n"
    assert value(front, "owned()") == NOTHING


def test_k4_a_background_run_returns_at_once_and_renders_in_its_own_cell(front: FrontEnd) -> None:
    front.run("gate = asyncio.Event()\nasync def wait() -> str:\n    await gate.wait()\n    return 'through'")
    front.run("slow = Agent('slow', model=ScriptedModel([ToolCall('wait', {}), 'done'] * 9), tools=[wait])")
    cell = front.run("handle = %agent_run -b slow go", "back")
    assert result(cell) == []
    assert "BackgroundRun" in value(front, "handle")
    assert value(front, "handle.done, handle.result") == "(False, None)"
    listed = front.run("%agent_list").data("text/plain")[-1].splitlines()[-1]
    assert "background" in listed
    assert "slow" in listed
    assert front.run("print('beside')").text == "beside\n"
    front.run("gate.set()")
    assert result(front.run("(await handle).text")) == ["'done'"]
    assert "done" in kept_later(front, cell)["text/markdown"]
    assert value(front, "owned()") == NOTHING


def test_k4_a_background_run_speaks_in_a_fork(front: FrontEnd) -> None:
    front.run("forked = agent('forked', *[lambda messages: str(len(messages))] * 9)")
    front.run("%agent_run forked hi", "f1")
    assert result(front.run("handle = %agent_run --background forked hi\n(await handle).text", "f2")) == ["'3'"]
    assert result(front.run("x = %agent_run forked hi\nx.text", "f3")) == ["'3'"]


def test_k4_a_background_run_is_stopped_by_its_button_or_by_name(front: FrontEnd) -> None:
    for stop in ("button", "magic"):
        cell = front.run("handle = %agent_run -n -b sleeper go")
        said(front, "sleep_async")
        if stop == "button":
            front.send(front.widget(name="AnyModel"), {"type": "stop"})
        else:
            assert "stopped" in front.run("%agent_stop").text
        assert result(front.run("(await handle).reason")) == ["'cancelled'"]
        assert "Stopped" in kept_later(front, cell)["text/markdown"]


def test_k4_a_bare_background_run_echoes_nothing_and_several_must_be_named(front: FrontEnd) -> None:
    cells = [front.run("%agent_run -n -b sleeper go") for _ in range(2)]
    assert [result(cell) for cell in cells] == [[], []]
    refused = front.run("%agent_stop")
    assert refused.status == "error"
    names = refused.text.split("live are ")[1].split(";")[0].split(", ")
    assert len(names) == 2
    for name in names:
        assert front.run(f"%agent_stop {name}").text == f"stopped {name}\n"
    front.run("while nbagent.runtime.live_runs(): await asyncio.sleep(0)", timeout=20)
    assert front.run(f"%agent_stop {names[0]}").status == "error"
    assert value(front, "owned()") == NOTHING


def test_k4_re_executing_a_background_cell_supersedes_its_run(front: FrontEnd) -> None:
    first = front.run("old = %agent_run -n -b sleeper go", "bg")
    said(front, "sleep_async")
    front.run("new = %agent_run -n -b sleeper go", "bg")
    assert result(front.run("(await old).reason")) == ["'superseded'"]
    assert "Superseded" in kept_later(front, first)["text/markdown"]
    assert value(front, "new.done") == "False"
    front.run("%agent_stop")
    assert result(front.run("(await new).reason")) == ["'cancelled'"]


def test_a_form_of_a_background_run_is_answered_beside_the_cells(front: FrontEnd) -> None:
    front.run("handle = %agent_run -n -b asking go", "bgform")
    city = front.widget(description="City", name="TextModel")
    front.set_state(city, {"value": "Riga"})
    front.settle(city)
    front.click(front.widget(description="Submit"))
    assert result(front.run("(await handle).text")) == ["\"accept {'city': 'Riga'} \""]


def test_a_live_run_can_be_shown_a_second_time(front: FrontEnd) -> None:
    cell = front.run("handle = %agent_run -n -b sleeper go")
    said(front, "sleep_async")
    shown = front.run("%agent_show")
    assert "application/vnd.jupyter.widget-view+json" in shown.outputs[0]["content"]["data"]
    front.run("%agent_stop")
    front.run("await handle")
    assert kept_later(front, cell) == kept_later(front, shown)

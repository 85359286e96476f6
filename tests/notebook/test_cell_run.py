"""One run in one cell of a real kernel: its value, its mistakes, what the cell keeps."""

from __future__ import annotations

import pytest

from tests.kernel.frontend import FrontEnd
from tests.notebook.conftest import NOTHING, kept, result, value

WIDGET = "application/vnd.jupyter.widget-view+json"


def test_a_run_leaves_a_document_in_the_place_of_its_widget(front: FrontEnd) -> None:
    cell = front.run("%agent_run helper hi", "doc")
    assert cell.status == "ok"
    assert WIDGET in cell.outputs[0]["content"]["data"]
    document = kept(cell)
    assert set(document) == {"text/html", "text/markdown", "text/plain"}
    assert "Hello **you**." in document["text/markdown"]
    assert "hi" in document["text/plain"]
    assert not front.widgets(name="AnyModel")
    assert value(front, "owned()") == NOTHING


@pytest.mark.parametrize(
    "code",
    [
        "%agent_run helper hi",
        "%%agent_run helper\nhi",
        "%time %agent_run helper hi",
        "def f():\n    %agent_run helper hi\nf()",
        "get_ipython().run_line_magic('agent_run', 'helper hi')",
        "%%capture out\n%agent_run helper hi",
        "for _ in range(2):\n    %agent_run helper hi",
    ],
)
def test_nothing_is_echoed_under_the_transcript(front: FrontEnd, code: str) -> None:
    cell = front.run(code)
    assert cell.status == "ok"
    assert result(cell) == []


@pytest.mark.parametrize(
    "code",
    [
        "x = %agent_run helper hi\nx.text",
        "def f():\n    x = %agent_run helper hi\n    return x\nf().text",
        "x = get_ipython().run_line_magic('agent_run', 'helper hi')\nx.text",
    ],
)
def test_the_value_is_a_result_when_assigned(front: FrontEnd, code: str) -> None:
    assert result(front.run(code)) == ["'Hello **you**.'"]
    assert result(front.run("x")) == ["Result(reason='completed', text='Hello **you**.')"]


def test_the_prompt_knows_the_callers_variables_and_leaves_the_rest(front: FrontEnd) -> None:
    front.run("name = 'Ada'")
    assert result(front.run('x = %agent_run echo "{name} pays $5 to {1,2} {nobody}"\nx.text')) == [
        "'heard: Ada pays $5 to {1,2} {nobody}'"
    ]
    code = "def f(name):\n    x = %agent_run echo {name} and {name.real}\n    return x.text\nf(7)"
    assert result(front.run(code)) == ["'heard: 7 and 7'"]
    front.run("%%agent_run echo\nDear {name},\n  is it {name}?")
    last = "nbagent.magics._current.workspace.runs.all[-1].result.text"
    assert value(front, last) == repr("heard: Dear Ada,\n  is it Ada?")


def test_a_prompt_may_end_in_a_question_mark(front: FrontEnd) -> None:
    assert result(front.run("x = %agent_run echo what is it?\nx.text")) == ["'heard: what is it?'"]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("%agent_run", "no agent"),
        ("%agent_run helper", "no prompt"),
        ("%agent_run helpr hi", "unknown agent helpr; did you mean helper?"),
        ("%agent_run signal hi", "signal is of type module"),
        ("%agent_run Agent hi", "Agent is a class; name a variable that holds one, as in helper = Agent(…)"),
        ("%agent_run --frobnicate helper hi", "unknown option --frobnicate"),
        ("%agent_run --answers nobody helper hi", "there is no variable nobody"),
        ("%agent_run --model nosuchmodel helper hi", "nosuchmodel"),
        ("%agent_show r999", "no run r999"),
        ("%agent_stop", "no run is live"),
        ("def f():\n    %agent_run helpr hi\nf()", "unknown agent helpr"),
    ],
)
def test_a_mistake_is_one_clear_line_and_stops_run_all(front: FrontEnd, code: str, words: str) -> None:
    cell = front.run(code)
    assert cell.status == "error"
    assert words in cell.text
    assert len(cell.text.strip().splitlines()) == 1
    assert {m["msg_type"] for m in cell.outputs} == {"stream"}
    assert value(front, "owned()") == NOTHING


def test_without_widgets_a_run_says_in_one_line_what_to_do_and_leaves_nothing(front: FrontEnd) -> None:
    front.run("from nbagent.widgets import transcript as t\nclass_ = t._widget_class")
    front.run("t._widget_class = lambda: __import__('gone')")
    cell = front.run("%agent_run helper hi")
    plain = front.run("%agent_run --plain helper hi")
    front.run("t._widget_class = class_")
    assert cell.status == "error"
    assert cell.text.strip().splitlines() == [cell.text.strip()]
    assert "No module named 'gone'" in cell.text
    assert "pip install jupyter-nbagent, then restart the kernel; or write --plain before the agent" in cell.text
    assert plain.status == front.run("%agent_run helper hi").status == "ok"
    assert value(front, "owned()") == NOTHING


def test_a_run_that_ends_in_error_fails_its_cell_in_one_line(front: FrontEnd) -> None:
    first = front.execute("await asyncio.sleep(0.6)  # until the next has come\n%agent_run failing hi")
    queued = front.execute("print('not reached')")
    front.finish(first)
    front.finish(queued)
    assert first.error == "RunFailed"
    trace = [m["content"]["traceback"] for m in first.outputs if m["msg_type"] == "error"]
    assert len(trace) == 1
    assert len(trace[0]) == 1
    assert "model_error" in trace[0][0]
    assert queued.status == "aborted"
    assert "hi" in kept(first)["text/markdown"]
    code = (
        "try:\n    %agent_run failing hi\nexcept nbagent.RunError as error:\n    print(error.code, error.result.reason)"
    )
    assert front.run(code).text == "model_error error\n"


def test_a_redefined_agent_goes_on_with_the_session(front: FrontEnd) -> None:
    front.run("talker = agent('talker', *['one'] * 9)")
    front.run("%agent_run talker a", "t1")
    front.run("talker = agent('talker', *['two'] * 9)")
    assert result(front.run("x = %agent_run talker b\nx.text", "t2")) == ["'two'"]
    assert value(front, "nbagent.magics._current.workspace.sessions._by_agent['talker'].messages[0].content") == "'a'"


def test_p8_a_cell_that_is_run_again_does_its_turn_again(front: FrontEnd) -> None:
    front.run("again = agent('again', 'first', 'second')")
    code = "x = %agent_run again go\n(x.text, x.messages[0].content)"
    cells = [front.run(code, "again") for _ in range(20)]
    assert [result(cell) for cell in cells] == [["('first', 'go')"]] * 20
    assert "branch 19" in kept(cells[-1])["text/markdown"]
    assert value(front, "len(nbagent.magics._current.workspace.sessions._by_agent['again'].messages)") == "2"
    assert value(front, "len(nbagent.magics._current.workspace.sessions._by_agent['again'].branches)") == "19"


def test_other_sessions_and_models(front: FrontEnd) -> None:
    front.run("counter = agent('counter', *[lambda messages: str(len(messages))] * 50)")
    texts = [result(front.run(f"x = %agent_run {options} counter hi\nx.text"))[0] for options in ("", "", "--new", "")]
    assert texts == ["'1'", "'3'", "'1'", "'3'"]
    assert result(front.run("x = %agent_run --session other counter hi\nx.text")) == ["'1'"]
    front.run("loud = ScriptedModel(['LOUD'] * 9)")
    assert result(front.run("x = %agent_run -n --model loud counter hi\nx.text")) == ["'LOUD'"]


def test_plain_output_needs_no_widgets(front: FrontEnd) -> None:
    before = len(front.models)
    cell = front.run("%agent_run --plain helper hi")
    assert len(front.models) == before
    assert "Hello **you**." in kept(cell)["text/markdown"]


def test_list_and_show(front: FrontEnd) -> None:
    front.run("%agent_run helper 'an extraordinary prompt'")
    listed = front.run("%agent_list").data("text/plain")[-1].splitlines()
    name, state, agent = listed[-1].split()[:3]
    assert (state, agent) == ("completed", "helper")
    shown = front.run(f"%agent_show {name}")
    assert "extraordinary" in shown.data("text/markdown")[-1]
    assert front.run("%agent_show").data("text/markdown") == shown.data("text/markdown")


def test_help_and_completion(front: FrontEnd) -> None:
    text = front.finish(front.execute("%agent_run?")).reply["payload"][0]["data"]["text/plain"]  # type: ignore[index]
    for option in ("--background", "--session NAME", "--approve ask|all|none", "%%agent_run"):
        assert option in text

    def complete(code: str) -> list[str]:
        return front.ask("complete_request", {"code": code, "cursor_pos": len(code)})["matches"]

    assert complete("%agent_run --ba") == ["--background"]
    assert complete("%agent_run help") == ["helper"]
    assert "demo" in complete("x = %agent_run -n ")
    assert complete("%agent_run --approve ") == ["ask", "all", "none"]
    assert complete("%%agent_run --plain ask") == ["asking"]
    assert complete("%agent_run helper pri") == []


def test_asyncio_gather_of_two_agents(front: FrontEnd) -> None:
    code = """
async def one():
    x = %agent_run helper hi
    return x.text
async def two():
    x = %agent_run echo hi
    return x.text
await asyncio.gather(one(), two())
"""
    assert result(front.run(code)) == ["['Hello **you**.', 'heard: hi']"]
    assert value(front, "owned()") == NOTHING


@pytest.mark.parametrize("option", ["", "--plain "])
def test_without_a_page_the_text_streams_as_markdown(front: FrontEnd, option: str) -> None:
    front.ready = False
    try:
        front.run("drip = agent('drip', 'word ' * 45, delay=0.1)")
        cell = front.run(f"%agent_run -n {option}drip go")
    finally:
        front.ready = True
    updates = [m["content"]["data"] for m in cell.outputs if m["msg_type"] == "update_display_data"]
    sizes = [len(data["text/markdown"]) for data in updates]
    assert len(sizes) > 2
    assert sizes == sorted(sizes)
    assert sum(sizes) < 8 * sizes[-1]
    assert all((WIDGET in data) == (not option) for data in updates[:-1])
    assert WIDGET not in updates[-1]


def test_a_run_whose_task_is_cancelled_leaves_nothing(front: FrontEnd) -> None:
    code = """
async def go():
    %agent_run -n sleeper go
task = asyncio.create_task(go())
while not nbagent.runtime.live_runs():
    await asyncio.sleep(0.01)
task.cancel()
await asyncio.wait([task])
task.cancelled()
"""
    assert result(front.run(code)) == ["True"]
    assert value(front, "owned()") == NOTHING


def test_k3_a_run_that_outlives_its_cell_is_a_background_run(front: FrontEnd) -> None:
    code = """
async def go():
    x = %agent_run -n sleeper go
    return x
task = asyncio.create_task(go())
while not nbagent.runtime.live_runs():
    await asyncio.sleep(0.01)
"""
    cell = front.run(code)
    assert cell.status == "ok"
    assert value(front, "owned()[0], owned()[3], len(owned()[1])") == "(True, 'default_int_handler', 1)"
    front.run("%agent_stop")
    assert value(front, "(await task).reason") == "'cancelled'"
    assert value(front, "owned()") == NOTHING


def test_finished_runs_keep_their_documents_and_nothing_else(front: FrontEnd) -> None:
    code = """
import gc
from nbagent.notebook.showing import ShownRun
gc.collect()
sum(isinstance(found, ShownRun) for found in gc.get_objects())
"""
    before = value(front, code)  # one may be held by the traceback of an earlier test
    for _ in range(5):
        front.run("%agent_run -n helper hi")
    assert value(front, code) == before

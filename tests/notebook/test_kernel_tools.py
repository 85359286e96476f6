"""The kernel's own tools in a real kernel: in the user's namespace, on the main thread, and in nobody's history."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.frontend import Execution, FrontEnd
from tests.notebook.conftest import NOTHING, SETUP, WARM, kept, kept_later, result, value

TOOLS = """
import sys
from pathlib import Path
from nbagent.kernel import KernelToolset

def worker(*calls, approval="never", name="worker"):
    turns = [ToolCall(*call) if isinstance(call, tuple) else list(call) for call in calls]
    last = lambda messages: messages[-1].content
    return Agent(name, model=ScriptedModel([*turns, last]), toolsets=[KernelToolset(approval)])

def python(*codes, **options):
    return worker(*[("run_python", {"code": code}) for code in codes], **options)

def history():
    shell = get_ipython()
    hidden = shell.user_ns
    names = {name: hidden.get(name) for name in ("_", "__", "___", "_i", "_ii", "_iii", "_oh", "_ih")}
    return repr((len(In), sorted(Out), shell.execution_count, names))

def standing():
    shell = get_ipython()
    own = {name: vars(shell).get(name) for name in ("ask_exit", "_showtraceback")}
    return (sys.stdout, sys.stderr, sys.displayhook, shell.display_pub, shell.display_pub.publish, own, sys.excepthook)
"""

AWAITED = "x = %agent_run -n agent go"
REENTERED = "def f():\n    x = %agent_run -n agent go\n    return x\nx = f()"
WAYS = pytest.mark.parametrize("code", [AWAITED, REENTERED], ids=["awaited", "re-entered"])


@pytest.fixture
def front(front: FrontEnd) -> FrontEnd:
    """The module's notebook, with agents that use the kernel."""
    assert front.run(TOOLS).status == "ok"
    for mark in ("inside", "end"):
        there(front, mark).unlink(missing_ok=True)
    return front


def there(front: FrontEnd, name: str) -> Path:
    """A file by which code that has the kernel's thread tells that it is there, and is told to end."""
    return Path(front._cwd) / name


def inside(front: FrontEnd) -> None:
    front.wait_for(there(front, "inside").exists)


def press(front: FrontEnd, description: str) -> None:
    front.click(front.widget(description=description, name="ButtonModel"))


def agent(front: FrontEnd, made: str) -> None:
    assert front.run(f"agent = {made}").status == "ok"


# ---------------------------------------------------------------- run_python


@WAYS
def test_run_python_works_in_the_users_namespace_and_in_nobodys_history(front: FrontEnd, code: str) -> None:
    front.run("first = 20")
    front.run("41")
    agent(front, "python('second = first + 1\\nsecond * 2')")
    cell = front.run(f"before = history()\n{code}\nafter = history()")
    assert cell.status == "ok", cell.reply
    assert value(front, "x.text") == "'42'"
    assert value(front, "second") == "21"
    assert value(front, "before == after") == "True"
    assert value(front, "owned()") == NOTHING


@WAYS
def test_p12_what_the_code_shows_goes_to_its_card_and_not_to_the_cell(front: FrontEnd, code: str) -> None:
    front.run("class Rich:\n    def _repr_html_(self): return '<b>rich</b>'\n    def __repr__(self): return 'poor'")
    body = "print('out'); print('err', file=sys.stderr); display(Rich())\\nRich()"
    agent(front, f"python({body!r}.replace('\\\\n', chr(10)))")
    cell = front.run(f"stood = standing()\n{code}\nstands = standing()")
    assert value(front, "x.text") == repr("out\nerr\npoor\npoor")
    assert (cell.text, result(cell)) == ("", [])
    assert [m["msg_type"] for m in cell.outputs if "<b>rich</b>" in str(m["content"].get("data"))]
    assert "<b>rich</b>" in kept(cell)["text/html"]
    assert value(front, "stood == stands") == "True"


@pytest.mark.parametrize("way", ["exit()", "exit", "raise SystemExit", "quit()", "sys.exit(1)"])
def test_exit_ends_the_code_and_not_the_kernel(front: FrontEnd, way: str) -> None:
    agent(front, f"python({way!r})")
    cell = front.run(AWAITED)
    assert cell.status == "ok" and "ask_exit" not in str(cell.reply)
    assert "the code asked to exit; the kernel goes on" in value(front, "x.text")
    assert value(front, "get_ipython().exit_now") == "False"


def test_an_exception_is_told_to_the_model_and_to_no_cell(front: FrontEnd) -> None:
    front.run("def user_function():\n    return {}['missing']")
    agent(front, "python('user_function()')")
    cell = front.run(AWAITED)
    told = front.run("print(x.text)").text
    assert cell.status == "ok" and not [m for m in cell.outputs if m["msg_type"] == "error"]
    assert "Cell In[" in told and "return {}['missing']" in told and told.rstrip().endswith("KeyError: 'missing'")
    assert "nbagent" not in told and "boundary" not in told


def test_an_exception_in_a_repr_is_no_error_of_the_cell(front: FrontEnd) -> None:
    front.run("class Bad:\n    def __repr__(self): raise ValueError('unprintable')")
    agent(front, "python('Bad()')")
    cell = front.run(AWAITED)
    assert not [m for m in cell.outputs if m["msg_type"] == "error"]
    assert "ValueError: unprintable" in value(front, "x.text")
    assert value(front, "[m.is_error for m in x.messages if m.role == 'tool']") == "[True]"


LOOPS = "open('inside', 'w').close()\nwhile True: pass"
WAITS = "open('inside', 'w').close()\nawait asyncio.sleep(60)"


@WAYS
@pytest.mark.parametrize("body", [LOOPS, WAITS], ids=["computes", "awaits"])
def test_k3_an_interrupt_ends_the_code_and_its_run(front: FrontEnd, code: str, body: str) -> None:
    agent(front, f"python({body!r})")
    front.run("stood = standing()")
    cell = front.execute(code)
    behind = front.execute("unreached = True")
    inside(front)
    front.interrupt()
    front.finish(cell)
    assert (cell.status, cell.error) == ("error", "KeyboardInterrupt")
    assert front.finish(behind).status == "aborted"
    assert value(front, "standing() == stood") == "True"
    assert value(front, "owned()") == NOTHING
    agent(front, "python('1 + 1')")
    front.run(AWAITED)
    assert value(front, "x.text") == "'2'"


def test_k3_code_that_swallows_the_interrupt_ends_with_its_run(front: FrontEnd) -> None:
    body = "try:\n    open('inside', 'w').close()\n    while True: pass\nexcept BaseException:\n    swallowed = True"
    agent(front, f"python({body!r})")
    cell = front.execute(AWAITED)
    inside(front)
    front.interrupt()
    assert front.finish(cell).error == "KeyboardInterrupt"
    assert value(front, "swallowed") == "True"
    assert value(front, "owned()") == NOTHING


# ---------------------------------------------------------------- in the background


def test_k4_in_the_background_it_runs_while_another_cell_awaits(front: FrontEnd) -> None:
    agent(front, "python('import threading\\nthread = threading.current_thread().name\\nprint(\"mine\")\\n7')")
    cell = front.run("run = %agent_run -n --background agent go", "back")
    other = front.run("print('before')\nr = await run\nprint('after')\n6", "other")
    assert (other.text, result(other)) == ("before\nafter\n", ["6"])
    assert value(front, "(r.text, thread)") == repr(("mine\n7", "MainThread"))
    assert "mine" in kept_later(front, cell)["text/plain"]
    assert "mine" not in str([m["content"] for m in other.outputs if m["msg_type"] != "update_display_data"])


def test_k3_in_the_background_of_an_idle_kernel_an_interrupt_still_ends_it(front: FrontEnd) -> None:
    agent(front, f"python({LOOPS!r})")
    front.run("run = %agent_run -n --background agent go", "idle")
    inside(front)
    front.interrupt()
    front.run("r = await run")
    assert value(front, "r.reason") == "'interrupted'"
    assert value(front, "owned()") == NOTHING
    front.interrupt()  # an idle kernel ignores it, as before
    assert value(front, "1") == "1"


# ---------------------------------------------------------------- add_cell


def payloads(execution: Execution) -> list[tuple[str, bool]]:
    given = (execution.reply or {}).get("payload", [])
    return [(one["text"], one["replace"]) for one in given if one["source"] == "set_next_input"]


@WAYS
def test_add_cell_rides_on_the_reply_and_joins_what_several_calls_add(front: FrontEnd, code: str) -> None:
    agent(front, "worker(('add_cell', {'code': 'a = 1\\n'}), ('add_cell', {'code': 'b = 2'}))")
    cell = front.run(code)
    assert payloads(cell) == [("a = 1\n\nb = 2", False)]
    assert "was added to the new cell" in value(front, "x.text")
    assert payloads(front.run("1")) == []
    assert value(front, "'a' in globals()") == "False"


def test_add_cell_refuses_where_no_cell_runs(front: FrontEnd) -> None:
    agent(front, "worker(('add_cell', {'code': 'a = 1'}))")
    front.run("run = %agent_run -n --background agent go", "back")
    cell = front.run("r = await run")
    assert payloads(cell) == []
    assert "No cell can be added: this run is in the background" in value(front, "r.text")


# ---------------------------------------------------------------- approval


def test_p11_run_python_asks_and_runs_the_code_as_it_was_edited(front: FrontEnd) -> None:
    agent(front, "python('answer = 41', approval='ask')")
    cell = front.execute(AWAITED)
    editor = front.widget(description="Code", name="TextareaModel")
    assert editor.state["value"] == "answer = 41"
    view = next(m for m in front.widgets(name="HTMLModel") if "nba-form-code" in m.state["_dom_classes"])
    assert '<span class="m">41</span>' in view.state["value"]
    press(front, "Edit")
    front.wait_for(lambda: "nba-hidden" not in editor.state["_dom_classes"])
    front.type(editor, "\nanswer += 1")
    front.settle(editor)
    press(front, "Approve")
    assert front.finish(cell).status == "ok"
    assert value(front, "answer") == "42"


def test_p11_a_rejected_call_runs_nothing_and_the_model_reads_why(front: FrontEnd) -> None:
    agent(front, "python('rejected = True', approval='ask')")
    cell = front.execute(AWAITED)
    reason = front.widget(description="Reason")
    front.type(reason, "not now")
    front.settle(reason)
    press(front, "Reject")
    front.finish(cell)
    assert "not now" in value(front, "x.text")
    assert value(front, "'rejected' in globals()") == "False"


def test_p11_inspect_variable_asks_once_a_session(front: FrontEnd) -> None:
    front.run("table = {'a': 1, 'password': 'hunter2'}")
    call = "ToolCall('inspect_variable', {'name': 'table'})"
    agent(front, f"worker([{call}, {call}], ('inspect_variable', {{'name': 'table'}}), approval='ask')")
    cell = front.execute(AWAITED)
    press(front, "Approve")
    front.finish(cell)
    told = value(front, "[m.content for m in x.messages if m.role == 'tool']")
    assert told.count("'a': 1") == 3 and "hunter2" not in told
    agent(front, "worker(('inspect_variable', {'name': 'table'}), approval='ask', name='worker')")
    assert value(front, "owned()") == NOTHING


def test_p11_list_variables_asks_nobody_and_tells_no_value(front: FrontEnd) -> None:
    front.run("numbers = [31337] * 12\napi_key = 'k-123456'")
    agent(front, "worker(('list_variables', {}), approval='ask')")
    assert front.run(AWAITED).status == "ok"
    told = front.run("print(x.text)").text
    assert "numbers: list, length 12\n" in told
    assert "api_key: not shown" in told
    assert "31337" not in told and "k-123456" not in told and "get_ipython" not in told and "\nIn:" not in told


# ---------------------------------------------------------------- pictures and tables


@pytest.fixture(scope="module")
def science() -> Iterator[FrontEnd]:
    """A notebook on the newest kernel, where matplotlib and pandas are."""
    pytest.importorskip("matplotlib", reason="no matplotlib here; `pip install -e '.[test]'` brings it")
    with FrontEnd(sys.executable) as front:
        assert front.run(SETUP).status == front.run(WARM).status == front.run(TOOLS).status == "ok"
        assert front.run("import matplotlib.pyplot as plt, pandas as pd", timeout=60).status == "ok"
        yield front


def test_p12_a_figure_goes_to_the_card(science: FrontEnd) -> None:
    agent(science, "python('fig = plt.figure()\\n_ = plt.plot([1, 2])')")
    cell = science.run(AWAITED, timeout=60)
    assert cell.status == "ok", cell.reply
    assert pictures(cell) == 0
    assert "data:image/png;base64," in kept(cell)["text/html"]
    assert "<Figure size 640x480 with 1 Axes> [image/png, shown to the user]" in value(science, "x.text")
    assert value(science, "plt.get_fignums()") == "[]"


def test_p12_a_figure_of_the_users_stays_in_the_cell(science: FrontEnd) -> None:
    agent(science, "python('_ = plt.figure()')")
    cell = science.run("plt.plot([3, 4]);\nx = await Runtime(agent).run(Session(), 'go')\nleft = plt.get_fignums()")
    assert cell.status == "ok", cell.reply
    assert value(science, "left") == "[1]"
    assert pictures(cell) == 1


def pictures(cell: Execution) -> int:
    """How many pictures the cell itself shows."""
    return len([m for m in cell.outputs if m["msg_type"] == "display_data" and "image/png" in m["content"]["data"]])


def test_p12_a_table_is_rich_on_the_card_and_plain_to_the_model(science: FrontEnd) -> None:
    agent(science, 'python(\'pd.DataFrame({"city": ["Oslo"], "n": [3]})\')')
    cell = science.run(AWAITED)
    assert "<table" in kept(cell)["text/html"] and "Oslo" in kept(cell)["text/html"]
    assert value(science, "x.text") == repr("   city  n\n0  Oslo  3")

"""K3, K4 and P6 where runs overlap: forms side by side, cells executed again and again, output that stays where it is.

Every wrapper that a magic can stand in is here too, with a form that is answered while it runs.
"""

from __future__ import annotations

from itertools import groupby, permutations
from pathlib import Path

import pytest

from tests.kernel.frontend import Execution, FrontEnd, Model
from tests.notebook.conftest import NOTHING, kept, kept_later, result, value
from tests.notebook.test_cell_interrupt import interrupted, said

TITLES = ("One", "Two", "Three")
ORDERS = [pytest.param(order, id="-".join(order)) for order in permutations(TITLES)]

ASKERS = """
def asker(title):
    form = {"type": "object", "properties": {"city": {"type": "string", "title": title}}, "required": ["city"]}
    async def ask_it() -> str:
        return str((await nbagent.ask(title, form)).content)
    model = ScriptedModel([ToolCall("ask_it", {}), lambda messages: messages[-1].content] * 50)
    return Agent(title.lower(), model=model, tools=[ask_it])
one, two, three = map(asker, ["One", "Two", "Three"])
"""


@pytest.fixture
def askers(front: FrontEnd) -> FrontEnd:
    """The notebook, with an agent each whose form's field is called One, Two, Three."""
    assert front.run(ASKERS).status == "ok"
    return front


def form(front: FrontEnd, title: str) -> tuple[Model, Model]:
    """The open form's field of that title and its Submit button: a form's models are made one after the other."""
    field = front.widget(description=title, name="TextModel")
    front.wait_for(lambda: _submit_of(front, field) is not None)
    submit = _submit_of(front, field)
    assert submit is not None
    front.wait_for(lambda: submit.state["disabled"])
    return field, submit


def _submit_of(front: FrontEnd, field: Model) -> Model | None:
    models = list(front.models.values())
    behind = models[models.index(field) :]
    return next((model for model in behind if model.description == "Submit" and model.name == "ButtonModel"), None)


def answer(front: FrontEnd, title: str, text: str) -> None:
    """Fill the form of that title in, and submit it."""
    field, submit = form(front, title)
    front.type(field, text)
    front.settle(field)
    front.wait_for(lambda: not submit.state["disabled"])
    front.click(submit)
    front.wait_for(lambda: field.closed)


def heard(title: str) -> str:
    """What the run of that title came to, when its form was answered with its own words."""
    return str({"city": f"for {title}"})


# ---------------------------------------------------------------- several runs at once


@pytest.mark.parametrize("order", ORDERS)
def test_k3_foreground_runs_end_in_any_order_and_leave_neither_gate_nor_handler(
    askers: FrontEnd, order: tuple[str, ...]
) -> None:
    code = """
async def run(name):
    if name == "One":
        x = %agent_run -n one go
    elif name == "Two":
        x = %agent_run -n two go
    else:
        x = %agent_run -n three go
    return x.text
texts = await asyncio.gather(*map(run, ["One", "Two", "Three"]))
"""
    cell = askers.execute(code, "three at once")
    for title in TITLES:
        form(askers, title)
    for title in order:
        assert not cell.done
        answer(askers, title, f"for {title}")
    assert askers.finish(cell).status == "ok"
    assert value(askers, "texts") == str([heard(title) for title in TITLES])
    assert value(askers, "owned()") == NOTHING
    assert (
        value(askers, "__import__('nbagent').kernel.current().port.stream._recv_callback.__module__").find("nbagent")
        < 0
    )


@pytest.mark.parametrize("order", ORDERS)
def test_p6_two_background_runs_and_a_foreground_run_are_answered_in_every_order(
    askers: FrontEnd, order: tuple[str, ...]
) -> None:
    askers.run("first = %agent_run -n -b one go", "back one")
    askers.run("second = %agent_run -n -b two go", "back two")
    cell = askers.execute("third = %agent_run -n three go\nprint('went on')", "front")
    for title in TITLES:
        form(askers, title)
    for title in order:
        assert cell.done == (title in order[order.index("Three") + 1 :])
        answer(askers, title, f"for {title}")
        if title == "Three":
            assert askers.finish(cell).text == "went on\n"
    assert value(askers, "[(await first).text, (await second).text, third.text]") == str([heard(t) for t in TITLES])
    assert "for Three" in kept(cell)["text/markdown"]
    assert value(askers, "owned()") == NOTHING


def test_k3_a_gathered_pair_of_one_function_is_interrupted_and_the_kernel_lives(front: FrontEnd) -> None:
    code = """
async def f():
    %agent_run -n asking go
await asyncio.gather(f(), f())
print('never')
"""
    for _ in range(3):
        cell = front.execute(code, "pair")
        front.wait_for(lambda: len(front.widgets(description="City", name="TextModel")) == 2)
        interrupted(front, cell)
        assert (cell.status, cell.text) == ("error", "")
        assert front.run("print('next')").text == "next\n"
        assert value(front, "owned()") == NOTHING
        assert front.widgets() == []


@pytest.mark.parametrize(
    "waits",
    [
        "async with asyncio.TaskGroup() as group:\n    group.create_task(f())\n    group.create_task(f())",
        "await asyncio.gather(f(), f(), return_exceptions=True)",
        "await asyncio.wait([asyncio.create_task(f()), asyncio.create_task(f())])",
    ],
    ids=["TaskGroup", "gather", "wait"],
)
def test_k3_who_swallows_the_end_of_an_interrupted_task_does_not_keep_the_cell_going(
    front: FrontEnd, waits: str
) -> None:
    code = f"async def f():\n    %agent_run -n asking go\n{waits}\nprint('went on')"
    cell = front.execute(code, "swallows")
    behind = front.execute("print('behind')", "behind")
    front.wait_for(lambda: len(front.widgets(description="City", name="TextModel")) == 2)
    interrupted(front, cell)
    assert (cell.status, cell.text) == ("error", "")
    assert front.finish(behind).status == "aborted"
    assert front.run("print('next')").text == "next\n"
    assert value(front, "owned()") == NOTHING


# ---------------------------------------------------------------- the same cell, again and again


@pytest.mark.parametrize("way", ["awaited", "re-entered"])
def test_k4_a_cell_executed_a_hundred_times_while_its_form_waits_asks_once_more(front: FrontEnd, way: str) -> None:
    call = "x = %agent_run -n asking go"
    code = (
        f"{call}\nprint('sent')"
        if way == "awaited"
        else f"def f():\n    {call}\n    print('sent')\n    return x\nx = f()"
    )
    first = front.execute(code, "again")
    form(front, "City")
    again = [front.execute(code, "again") for _ in range(100)]
    behind = front.execute("print('behind')", "another")
    front.wait_for(lambda: all(cell.done for cell in again[:-1]), 60)
    assert {(cell.status, cell.text) for cell in (first, *again[:-1])} == {("ok", "")}
    assert [m for cell in again[:-1] for m in cell.outputs if m["msg_type"] == "error"] == []
    answer(front, "City", "Oslo")
    assert front.finish(again[-1]).text == "sent\n"
    assert front.finish(behind).text == "behind\n"
    assert value(front, "x.text") == "\"accept {'city': 'Oslo'} \""
    assert value(front, "owned()") == NOTHING
    assert front.widgets() == []


def test_k4_a_cell_queued_twice_is_superseded_by_its_second_place_and_others_keep_theirs(front: FrontEnd) -> None:
    front.run("order = []")
    code = "order.append('in')\nx = %agent_run -n asking go\norder.append('out')"
    first = front.execute(code, "twice")
    form(front, "City")
    cells = [
        front.execute("order.append(1)", "between"),
        front.execute(code, "twice"),
        front.execute("order.append(2)", "between"),
        front.execute(code, "twice"),
    ]
    front.wait_for(lambda: cells[2].done)
    assert {cell.status for cell in (first, *cells[:3])} == {"ok"}
    answer(front, "City", "Oslo")
    front.finish(cells[3])
    assert value(front, "order") == "['in', 1, 'in', 2, 'in', 'out']"
    assert value(front, "owned()") == NOTHING


def test_k4_a_cell_queued_ten_times_behind_one_that_awaits_asks_once(front: FrontEnd) -> None:
    """What comes while a cell awaits is taken in by ipykernel, where no gate that opens later finds it."""
    front.run("import os\norder = []")
    code = "order.append('in')\nx = %agent_run -n asking go\norder.append('out')"
    there = Path(front._cwd) / "ten"
    there.unlink(missing_ok=True)
    awaits = "while not os.path.exists('ten'): await asyncio.sleep(0.01)\nfor _ in range(50): await asyncio.sleep(0)"
    before = front.execute(awaits, "awaits")
    front.wait_for(lambda: "busy" in before.states)
    cells = [front.execute(code, "ten times") for _ in range(10)]
    behind = front.execute("order.append('behind')", "another")
    there.touch()
    front.wait_for(lambda: all(cell.done for cell in cells[:-1]))
    assert {(cell.status, cell.text) for cell in cells[:-1]} == {("ok", "")}
    answer(front, "City", "Oslo")
    front.finish(behind)
    assert value(front, "order") == str(["in"] * 10 + ["out", "behind"])
    assert value(front, "owned()") == NOTHING


def test_k4_what_was_aborted_supersedes_nothing(front: FrontEnd) -> None:
    """An interrupt aborts the queue; the cell that stood in it may be executed again, once, and runs."""
    code = "x = %agent_run -n asking go\nprint('sent')"
    cell = front.execute("y = %agent_run -n sleeper go", "sleeps")
    said(front, "sleep_async")
    queued = [front.execute(code, "asks") for _ in range(3)]
    after = front.send(front.widget(name="AnyModel"), {"type": "ready"})
    front.wait_for(lambda: front.is_idle(after))  # the kernel has them all
    interrupted(front, cell)
    assert {front.finish(other).status for other in queued} == {"aborted"}
    front.run("pass")
    cell = front.execute(code, "asks")
    answer(front, "City", "Oslo")
    assert front.finish(cell).text == "sent\n"
    assert value(front, "owned()") == NOTHING


# ---------------------------------------------------------------- whose output it is

NOISY = """
go_on = asyncio.Event()
async def print_async() -> str:
    for number in range(20):
        print("async tool", number, flush=True)
        await asyncio.sleep(0)
    await go_on.wait()
    print("async tool again", flush=True)
    return "printed"

thread_goes_on = threading.Event()
def print_sync() -> str:
    print("sync tool", flush=True)
    thread_goes_on.wait(20)
    print("sync tool again", flush=True)
    return "printed"

turn = ["word " * 200, ToolCall("print_async", {}), ToolCall("print_sync", {})]
noisy = Agent("noisy", model=ScriptedModel([turn, "end"]), tools=[print_async, print_sync])
"""


def foreign(front: FrontEnd, execution: Execution, own: Execution) -> list[str]:
    """What `execution` shows that is not its own: prints, and displays other than updates of `own`'s, found by id."""
    (shown,) = {m["content"]["transient"]["display_id"] for m in own.outputs if m["msg_type"] == "display_data"}
    others = [
        m["msg_type"]
        for m in execution.outputs
        if m["msg_type"] != "update_display_data" or m["content"]["transient"]["display_id"] != shown
    ]
    return [kind for kind, _ in groupby(others)]  # the kernel may flush a line before its newline


def test_k4_a_background_runs_output_stays_in_its_cell_when_others_print(front: FrontEnd) -> None:
    front.run(NOISY)
    cell = front.run("handle = %agent_run -n -b --approve all noisy go", "noisy")
    said(front, "async tool 19")
    said(front, "sync tool")
    others = [front.execute(f"print('cell {number}', flush=True)") for number in range(10)]
    front.finish(others[-1])
    go_on = front.run("go_on.set()\nthread_goes_on.set()\nfor _ in range(50):\n    await asyncio.sleep(0)")
    ended = front.run("(await handle).reason")
    assert result(ended) == ["'completed'"]
    assert [other.text for other in others] == [f"cell {number}\n" for number in range(10)]
    assert [foreign(front, other, cell) for other in others] == [["stream"]] * 10
    assert foreign(front, go_on, cell) == []
    assert foreign(front, ended, cell) == ["execute_result"]
    assert cell.text == ""
    document = kept_later(front, cell)["text/plain"]
    assert "async tool again" in document
    assert "sync tool again" in document


def test_k4_what_ends_between_two_cells_is_told_again_in_the_next_ones_name(front: FrontEnd) -> None:
    """nbclient hears only of the cell that it waits for; no page shows the transcript there."""
    front.ready = False
    try:
        cells = [front.run(f"%agent_run -n -b {plain} sleeper go") for plain in ("", "--plain")]
        front.run("import nbagent.runtime\nfor run in nbagent.runtime.live_runs(): run.cancel('cancelled')")
        ended = [kept_later(front, cell) for cell in cells]
    finally:
        front.ready = True
    after, later = front.run("pass"), front.run("pass")
    told = {m["content"]["transient"]["display_id"]: m["content"]["data"] for m in after.outputs}
    shown = [cell.outputs[0]["content"]["transient"]["display_id"] for cell in cells]
    assert [told[display_id] for display_id in shown] == ended
    assert later.outputs == []


# ---------------------------------------------------------------- wherever a magic can stand

CALL = "get_ipython().run_line_magic('agent_run', '-n asking go')"
WRAPPERS = {
    "%time": f"%time x = {CALL}",
    "%time of the magic": "%time %agent_run -n asking go",
    "%%time": "%%time\nx = %agent_run -n asking go",
    "%timeit": f"%timeit -n1 -r1 {CALL}",
    "%%timeit": "%%timeit -n1 -r1\nx = %agent_run -n asking go",
    "%prun": f"%prun -q {CALL}",
    "%%prun": "%%prun -q\nx = %agent_run -n asking go",
    "class body": "class A:\n    x = %agent_run -n asking go",
    "lambda": f"x = (lambda: {CALL})()",
    "comprehension": f"x = [{CALL} for _ in range(1)]",
    "exec": f"exec({'x = ' + CALL!r})",
    "run_line_magic": f"x = {CALL}",
    "run_cell_magic": "x = get_ipython().run_cell_magic('agent_run', '-n asking', 'go')",
    "run_cell": "get_ipython().run_cell('x = %agent_run -n asking go')",
    "nested function": "def f():\n    x = %agent_run -n asking go\n    return x\nawait asyncio.sleep(0)\nx = f()",
    "async generator": "async def g():\n    x = %agent_run -n asking go\n    yield x\nx = [y async for y in g()]",
    "with and try": "try:\n    with open('/dev/null'):\n        x = %agent_run -n asking go\nfinally:\n    pass",
    "magic cell": "%%agent_run -n asking\ngo",
}


@pytest.mark.parametrize("autoawait", ["on", "off"])
@pytest.mark.parametrize("code", WRAPPERS.values(), ids=WRAPPERS.keys())
def test_k1_a_form_is_answered_wherever_the_magic_stands(front: FrontEnd, code: str, autoawait: str) -> None:
    if autoawait == "off" and ("await " in code or "async " in code):
        code = "x = %agent_run -n asking go"  # the cell itself could not be; a plain one still can
    front.run(f"%autoawait {autoawait}")
    try:
        cell = front.execute(f"{code}\n", "wrapped")
        behind = front.execute("print('behind')")
        answer(front, "City", "Oslo")
        assert front.finish(cell).status == "ok", cell.outputs
        assert front.finish(behind).text == "behind\n"
    finally:
        front.run("%autoawait on")
    assert "never awaited" not in cell.text
    assert value(front, "nbagent.magics._current.workspace.runs.all[-1].result.text") == "\"accept {'city': 'Oslo'} \""
    assert value(front, "owned()") == NOTHING


def test_p10_in_a_captured_cell_nobody_sees_the_form_and_it_is_declined(front: FrontEnd) -> None:
    cell = front.run("%%capture captured\nx = %agent_run -n asking go")
    assert (cell.status, cell.outputs) == ("ok", [])
    assert value(front, "x.text").startswith("'decline None no page showed the transcript")
    assert value(front, "len(captured.outputs) > 0, owned()") == f"(True, {NOTHING})"

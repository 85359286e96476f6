"""K4: a cell has one run. Executing it again supersedes the run, silently, and keeps the queue."""

from __future__ import annotations

import pytest

from tests.kernel.frontend import Execution, FrontEnd
from tests.kernel.test_gate import answer, owns_nothing, shown


def supersede(front: FrontEnd, cell: Execution, code: str) -> Execution:
    """Execute the cell `a` again while it runs, and wait for the end of the first execution."""
    again = front.execute(code, "a")
    front.finish(cell)
    return again


def test_k4_a_reexecution_supersedes_the_waiting_run(front: FrontEnd, ask: str) -> None:
    code = f"{ask}\nprint('sent', x)"
    cell = front.execute(code, "a")
    shown(front, cell)
    between = front.execute("print('between')", "b")
    again = supersede(front, cell, code)
    assert (cell.status, cell.text) == ("ok", "")
    assert [m for m in cell.outputs if m["msg_type"] == "error"] == []
    assert front.finish(between).text.strip() == "between"
    answer(front, again, "it")
    assert front.finish(again).text.strip() == "sent it"
    assert front.run("print(rig.runs[-2].log, rig.runs[-1].log)").text.strip() == "['superseded'] []"
    assert owns_nothing(front)


def test_k4_no_except_exception_catches_the_end(front: FrontEnd, ask: str) -> None:
    body = "\n".join("    " + line for line in ask.splitlines())
    code = f"try:\n{body}\nexcept Exception:\n    print('caught')\nfinally:\n    print('tidied')\nprint('sent')"
    cell = front.execute(code, "a")
    shown(front, cell)
    again = supersede(front, cell, "print('again')")
    assert (cell.status, cell.text.strip()) == ("ok", "tidied")
    assert front.finish(again).text.strip() == "again"


def test_k4_another_cell_or_one_without_an_id_waits_its_turn(front: FrontEnd, ask: str) -> None:
    cell = front.execute(ask, "a")
    shown(front, cell)
    other, nameless = front.execute("1", "b"), front.execute("2")
    assert front.ask("kernel_info_request")["status"] == "ok"
    answer(front, cell, "v")
    assert [front.finish(c).status for c in (cell, other, nameless)] == ["ok"] * 3
    assert front.run("print(rig.runs[-1].log)").text.strip() == "[]"


def test_k4_a_reexecution_between_two_runs_ends_the_second_before_it_begins(front: FrontEnd) -> None:
    code = (
        "x = %agent_run hi\nprint('pause', flush=True)\ncell = rig.attachment().cell()\n"
        "async with asyncio.timeout(15):\n    while not cell.superseded:\n        await asyncio.sleep(0.01)\n"
        "x = %agent_run form Name\nprint('never')"
    )
    cell = front.execute(code, "a")
    front.wait_for(lambda: "pause" in cell.text)
    again = supersede(front, cell, "print('again')")
    assert (cell.status, cell.text.strip()) == ("ok", "pause")
    assert front.finish(again).text.strip() == "again"
    assert owns_nothing(front)


def test_k4_a_superseded_group_of_runs_is_silent_too(front: FrontEnd) -> None:
    cell = front.execute("await asyncio.gather(rig.ask('One'), rig.ask('Two'))\nprint('never')", "a")
    front.wait_for(lambda: len(cell.data("text/plain")) == 4)
    again = supersede(front, cell, "print('again')")
    assert (cell.status, cell.text) == ("ok", "")
    assert front.finish(again).text.strip() == "again"


def test_k4_a_user_who_handles_exceptions_of_their_own_keeps_that(front: FrontEnd, ask: str) -> None:
    front.run("get_ipython().set_custom_exc((ZeroDivisionError,), lambda shell, *a, **k: print('mine'))")
    cell = front.execute(ask, "a")
    shown(front, cell)
    front.finish(supersede(front, cell, "1 / 0"))
    cell = front.run("1 / 0")
    assert cell.text.strip() == "mine"
    front.run("get_ipython().set_custom_exc((), None)")


def test_k4_supersede_wins_over_an_interrupt_so_that_the_reexecution_runs(front: FrontEnd) -> None:
    code = """
async def slow():
    with rig.attachment().foreground() as fg:
        run = rig.Waiting(); fg.attach(run)
        print('inside', flush=True)
        await run.answer
        print('cleaning', flush=True)
        while not fg.superseded:
            await asyncio.sleep(0.01)
    fg.conclude(run.reason)
await slow()
"""
    cell = front.execute(code, "a")
    front.wait_for(lambda: "inside" in cell.text)
    front.interrupt()
    front.wait_for(lambda: "cleaning" in cell.text)
    again = supersede(front, cell, "print('again')")
    assert cell.status == "ok"
    assert front.finish(again).text.strip() == "again"


def test_k4_a_cell_knows_its_request(front: FrontEnd) -> None:
    code = "c = rig.attachment().cell(); print(c.cell_id, c.allow_stdin, c.is_cell_task)"
    assert front.run(code, "a1", allow_stdin=True).text.strip() == "a1 True True"
    assert front.run(code).text.strip() == "None False True"


def test_k4_executions_differ_and_runs_of_one_execution_do_not(front: FrontEnd) -> None:
    code = (
        "one = rig.attachment().cell().execution\nasync def f(): return rig.attachment().cell().execution\n"
        "two = await asyncio.gather(f(), f())\n"
        "three = await asyncio.to_thread(lambda: rig.attachment().cell().execution)\n"
        "get_ipython().run_cell('four = rig.attachment().cell().execution')\nprint(len({one, *two, three, four}), one)"
    )
    first, second = front.run(code, "a").text.split(), front.run(code, "a").text.split()
    assert first[0] == second[0] == "1"
    assert first[1] != second[1]


def test_k4_what_outlives_its_cell_is_no_part_of_the_next(front: FrontEnd) -> None:
    code = (
        "go = asyncio.Event()\nasync def later():\n    await go.wait()\n    return rig.attachment().cell()\n"
        "task = asyncio.create_task(later())"
    )
    front.run(code, "a")
    assert front.run("go.set(); print(await task, rig.attachment().cell() is not None)", "b").text == "None True\n"


def test_k4_empty_cells_failing_callbacks_and_syntax_errors_leave_no_cell_behind(front: FrontEnd) -> None:
    front.run("   ")
    front.run("def (:")
    front.run("get_ipython().run_cell('')\nget_ipython().run_cell('1/0')")
    code = "import ipywidgets\nb = ipywidgets.Button(description='Bad')\nb.on_click(lambda _: 1/0)\ndisplay(b)"
    front.run(code)
    pressed = front.click(front.widget(description="Bad"))
    front.wait_for(lambda: front.is_idle(pressed))
    assert front.run("rig.calls.clear()\nx = %agent_run hi\nprint(rig.calls[0][0])").text.strip() == "awaited"


@pytest.mark.parametrize("magic", ["%%time", "%%capture c", "%%timeit -n1 -r1", "%%prun -q"])
def test_k4_a_superseded_run_within_another_magic_ends_it_too(front: FrontEnd, magic: str) -> None:
    begun = front.run("print(len(rig.runs))").text
    cell = front.execute(f"{magic}\nx = %agent_run form Name\nprint('never')", "a")
    front.wait_for(lambda: [m for m in front.widgets(description="Submit Name") if m.cell == cell.msg_id])
    again = supersede(front, cell, "print('again')")
    assert cell.status == "ok", cell.outputs
    assert "never" not in cell.text
    assert front.finish(again).text.strip() == "again"
    ended = front.run(f"print([r.log for r in rig.runs[{begun}:]])")
    assert ended.text.strip() == "[['superseded']]"
    assert owns_nothing(front)


def test_k2_a_run_in_a_subshells_cell_owns_nothing_and_is_answered(front: FrontEnd) -> None:
    if "kernel subshells" not in front.ask("kernel_info_request").get("supported_features", []):
        assert front.run("import ipykernel; print(ipykernel.__version__)").text.startswith("6.")
        return
    cell = front.execute(
        "x = %agent_run form Sub\nprint(rig.attachment().idle, x)", subshell_id=front.create_subshell()
    )
    field, button = shown(front, cell, "Sub")
    front.set_state(field, {"value": "below"})  # one state: ipykernel 7.4 publishes no idle here to wait for
    assert owns_nothing(front)
    front.click(button)
    assert front.finish(cell).text.strip() == "True below"

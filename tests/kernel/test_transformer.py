"""K1: `%agent_run` is awaited where it can be, and runs by re-entry wherever it cannot; no form of it is an error."""

from __future__ import annotations

from typing import Any

import pytest

from nbagent.kernel.transformer import Transformer
from tests.kernel.environments import kernels
from tests.kernel.frontend import FrontEnd

LINE = "get_ipython().run_line_magic('agent_run', 'hi')"
CELL = "get_ipython().run_cell_magic('agent_run', 'hi', 'body\\n')"


def rewrite(source: str) -> str | None:
    nothing: Any = None
    return Transformer(nothing, nothing, "entry", {"agent_run": "line_cell", "agent_list": "line"}).rewrite(source)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (LINE, "(await entry('agent_run', 'hi', None, True))"),
        (CELL, "(await entry('agent_run', 'hi', 'body\\n', True))"),
        (f"x = {LINE}", "x = (await entry('agent_run', 'hi', None, False))"),
        (f"if 1:\n    {LINE}\n", "if 1:\n    (await entry('agent_run', 'hi', None, True))\n"),
        (f"'é€😀'; x = {LINE} # é", "'é€😀'; x = (await entry('agent_run', 'hi', None, False)) # é"),
        (f"async def f():\n  return {LINE}", "async def f():\n  return (await entry('agent_run', 'hi', None, False))"),
        (f"[{LINE}, {LINE}]", "[" + ", ".join(["(await entry('agent_run', 'hi', None, False))"] * 2) + "]"),
        (
            "get_ipython().run_line_magic('agent_run',\n  'hi'); x = 1",
            "(await entry('agent_run', 'hi', None, True)\n); x = 1",
        ),
    ],
)
def test_k1_rewrites_where_await_is_legal(source: str, expected: str) -> None:
    assert rewrite(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        "x = 1",
        f"def f():\n    {LINE}",
        f"class A:\n    {LINE}",
        f"f = lambda: {LINE}",
        f"[{LINE} for _ in range(2)]",
        f"async def f():\n    def g():\n        {LINE}",
        f"def f(x={LINE[:-1]}", # does not compile
        f"return {LINE}",
        LINE.replace("agent_run", "other"),
        LINE.replace("'hi'", "hi"),
        "get_ipython().run_cell_magic('agent_list', '', '')",
        f"s = {LINE!r}",
    ],
)  # fmt: skip
def test_k1_leaves_everything_else(source: str) -> None:
    assert rewrite(source) is None


def test_k1_defaults_of_a_function_are_evaluated_outside_it() -> None:
    assert rewrite(f"def f(x={LINE}): pass") == "def f(x=(await entry('agent_run', 'hi', None, False))): pass"


AWAITED = {
    "assigned": "x = %agent_run hi\nprint(x)",
    "loop": "for _ in range(2):\n    x = %agent_run hi\nprint(x)",
    "with, try, if": "try:\n    if True:\n        x = %agent_run hi\nfinally:\n    print(x)",
    "async function": "async def f():\n    x = %agent_run hi\n    return x\nprint(await f())",
    "gathered": "async def f():\n    x = %agent_run hi\n    return x\nprint((await asyncio.gather(f(), f()))[1])",
}

REENTERED = {
    "plain function": "def f():\n    x = %agent_run hi\n    return x\nprint(f())",
    "class body": "class A:\n    x = %agent_run hi\nprint(A.x)",
    "comprehension": "print([get_ipython().run_line_magic('agent_run', 'hi') for _ in range(2)][1])",
    "exec": "exec('''x = get_ipython().run_line_magic('agent_run', 'hi')''')\nprint(x)",
    "run_line_magic": "m = get_ipython().run_line_magic\nprint(m('agent_run', 'hi'))",
    "%time": "%time x = get_ipython().run_line_magic('agent_run', 'hi')\nprint(x)",
    "%time of a magic": "y = %time %agent_run hi\nprint('hi')",
    "%%time": "%%time\nx = %agent_run hi\nprint(x)",
    "%%timeit": "%%timeit -n1 -r1\nx = %agent_run hi\nprint(x)",
    "%%capture": "%%capture c\nx = %agent_run hi\nprint(x)",
    "%%prun": "%%prun -q\nx = %agent_run hi\nprint(x)",
    "in an awaiting cell": "await asyncio.sleep(0)\ndef f():\n    x = %agent_run hi\n    return x\nprint(f())",
    "run_cell": "get_ipython().run_cell('x = %agent_run hi')\nprint(x)",
}


def how(front: FrontEnd) -> list[str]:
    """How the calls since the last `how` came in."""
    cell = front.run("print(*(c[0] for c in rig.calls)); rig.calls.clear()")
    return cell.text.split()


@pytest.mark.parametrize("code", AWAITED.values(), ids=AWAITED.keys())
def test_k1_is_awaited(front: FrontEnd, code: str) -> None:
    cell = front.run(code)
    assert (cell.status, cell.text.split()) == ("ok", ["hi"]), cell.outputs
    assert set(how(front)) == {"awaited"}


@pytest.mark.parametrize("code", REENTERED.values(), ids=REENTERED.keys())
def test_k1_runs_by_reentry_where_await_is_illegal(front: FrontEnd, code: str) -> None:
    cell = front.run(code)
    captured = front.run("print(c.stdout)").text if "%%capture" in code else cell.text
    assert cell.status == "ok", cell.outputs
    assert "hi" in captured.split()
    assert "never awaited" not in cell.text
    assert set(how(front)) == {"re-entered"}


def test_k1_autoawait_off_runs_by_reentry(front: FrontEnd) -> None:
    front.run("%autoawait off")
    try:
        cell = front.run("x = %agent_run hi\nprint(x)")
        assert (cell.status, cell.text.strip()) == ("ok", "hi")
        assert how(front) == ["re-entered"]
    finally:
        front.run("%autoawait on")
    front.run("x = %agent_run hi")
    assert how(front) == ["awaited"]


def test_k1_a_statement_echoes_nothing_and_an_expression_has_its_value(front: FrontEnd) -> None:
    assert front.run("%agent_run hi").data("text/plain") == []
    assert front.run("x = %agent_run hi\nx").data("text/plain") == ["'hi'"]
    assert front.run("%%agent_run hi\nthe body {x} $5").data("text/plain") == []
    last = front.run("print(rig.calls[-1])").text
    assert last.strip() == r"('awaited', 'hi', 'the body {x} $5\n', True)"
    how(front)


def test_k1_a_call_without_its_percent_sign_is_awaited(front: FrontEnd) -> None:
    assert front.run("agent_run hi").status == "ok"
    assert how(front) == ["awaited"]


@pytest.mark.parametrize("python", kernels())
def test_k1_runs_in_the_very_cell_that_loads_the_extension(python: str) -> None:
    with FrontEnd(python) as front:
        code = "%load_ext tests.kernel.rig\nx = %agent_run form Name\nprint(x)"
        cell = front.execute(code, "a")
        field = front.widget(description="Name")
        front.type(field, "Ada")
        front.settle(field)
        front.click(front.widget(description="Submit Name"))
        front.finish(cell)
        assert (cell.status, cell.text.strip()) == ("ok", "Ada")
        assert front.run("from tests.kernel import rig; print(rig.owned())").text.startswith("True")


def test_k1_importing_and_attaching_patches_nothing(fresh: FrontEnd) -> None:
    code = "import sys\nx = %agent_run hi\nprint('nest_asyncio2' in sys.modules, hasattr(asyncio, '_nest_patched'))"
    assert fresh.run(code).text.strip() == "False False"


def test_k1_a_reentry_inside_another_is_refused_in_one_line(front: FrontEnd) -> None:
    code = (
        "async def inner():\n    return rig.agent_run('hi')\n"
        "try:\n    rig.reentry.run(inner())\nexcept Exception as e:\n    print(type(e).__name__, e)"
    )
    cell = front.run(code)
    assert cell.text.startswith("UsageError")
    assert "await" in cell.text
    assert len(cell.text.strip().splitlines()) == 1
    assert front.run("def f():\n    %agent_run hi\nf()").status == "ok"
    how(front)


def test_k1_reentry_off_the_main_thread_is_refused(front: FrontEnd) -> None:
    code = (
        "def f():\n    try:\n        rig.agent_run('hi')\n    except Exception as e:\n        return type(e).__name__\n"
        "print(await asyncio.to_thread(f))"
    )
    assert front.run(code).text.strip() == "UsageError"
    how(front)


CALLBACK = """
import ipywidgets
def f():
    x = %agent_run form Inner
    print('got', x)
button = ipywidgets.Button(description='Start')
output = ipywidgets.Output()
@output.capture()
def start(_):
    f()
button.on_click(start)
display(button, output)
"""


def test_k1_a_callback_on_an_idle_kernel_runs_by_reentry_and_its_form_is_answered(front: FrontEnd) -> None:
    front.run(CALLBACK)
    for end in ("answer", "interrupt"):
        seen = len(front.widgets(description="Submit Inner"))
        pressed = front.click(front.widget(description="Start"))
        front.wait_for(lambda seen=seen: len(front.widgets(description="Submit Inner")) > seen)
        if end == "answer":
            field = front.widget(description="Inner")
            front.type(field, "hello")
            front.settle(field)
            front.click(front.widget(description="Submit Inner"))
        else:
            front.interrupt()
        front.wait_for(lambda pressed=pressed: front.is_idle(pressed))
        assert front.run("print(rig.owned())").text.startswith("True default_int_handler")
    assert front.run("print(rig.runs[-2].answer.result(), rig.runs[-1].log)").text.strip() == "hello ['interrupted']"
    how(front)


def test_k1_a_background_task_may_reenter_and_no_interrupt_ends_the_kernel_by_it(front: FrontEnd) -> None:
    code = "async def later():\n    await go.wait()\n    return rig.agent_run('form Later')\ngo = asyncio.Event()\n"
    front.run(code + "task = asyncio.create_task(later())", "a")
    front.run("go.set()", "b")
    field = front.widget(description="Later")
    front.interrupt()  # an idle kernel ignores it
    front.type(field, "hello")
    front.settle(field)
    front.click(front.widget(description="Submit Later"))
    assert front.run("print(await task)").text.strip() == "hello"
    how(front)

"""K3 through the magic: a real SIGINT, wherever the run is, ends the cell at once and leaves nothing behind."""

from __future__ import annotations

import time
from pathlib import Path

import nbconvert
import nbformat
import pytest

from tests.kernel.frontend import Execution, FrontEnd
from tests.notebook.conftest import NOTHING, kept, result, value

LIMIT = 0.25
"""Seconds from the signal to the kernel's idle, as promised; measured here with a margin for a busy machine."""

WHERE = {
    "form": ("asking", lambda front, cell: front.widget(description="City")),
    "streaming": ("writer", lambda front, cell: said(front, "word")),
    "async tool": ("sleeper", lambda front, cell: said(front, "sleep_async")),
    "sync tool": ("sync_sleeper", lambda front, cell: said(front, "sleep_sync")),
}


def said(front: FrontEnd, words: str) -> None:
    """Wait until the live transcript has been sent `words`."""
    front.wait_for(lambda: any(words in str(model.received) for model in front.widgets(name="AnyModel")))


def interrupted(front: FrontEnd, cell: Execution) -> float:
    """Interrupt; seconds until the cell was idle."""
    pressed = front.interrupt()
    front.finish(cell)
    assert cell.idle_at is not None
    front.run("")  # an old kernel aborts what comes in the instant after a failed cell
    return cell.idle_at - pressed


@pytest.mark.timed
@pytest.mark.parametrize("how", ["awaited", "re-entered"])
@pytest.mark.parametrize("where", WHERE)
def test_k3_an_interrupt_ends_the_cell_and_leaves_nothing(front: FrontEnd, where: str, how: str) -> None:
    agent, inside = WHERE[where]
    code = f"runtime = Runtime({agent})\n"
    call = "%agent_run runtime go"
    code += f"{call}\nprint('never')" if how == "awaited" else f"def f():\n    {call}\n    print('never')\nf()"
    cell = front.execute(code, "interrupted")
    inside(front, cell)
    took = interrupted(front, cell)
    print(f"{where}, {how}: idle {took * 1000:.0f} ms after the signal")
    assert took < 2 * LIMIT
    assert cell.error == "KeyboardInterrupt"
    assert cell.text == ""
    assert "Interrupted" in kept(cell)["text/markdown"]
    assert value(front, "runtime.bridge.current, runtime.bridge.live, runtime.bridge.pending") == "(None, (), ())"
    assert value(front, "owned()") == NOTHING
    assert front.widgets() == []
    assert front.children() == []
    assert result(front.run("x = %agent_run -n helper hi\nx.text")) == ["'Hello **you**.'"]


@pytest.mark.timed
def test_k3_an_interrupt_of_a_run_that_has_said_all_cuts_its_cleanup_short(front: FrontEnd, tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    front.run(
        "import asyncio, pathlib\n"
        "async def hanging(context):\n"
        f"    pathlib.Path({str(inside)!r}).touch()\n"
        "    await asyncio.sleep(60)\n"
        'runtime = Runtime(Agent("late", model=ScriptedModel(["All is said."]), hooks={"session_end": hanging}))'
    )
    cell = front.execute("%agent_run runtime go", "late")
    front.wait_for(inside.exists)
    assert interrupted(front, cell) < 2 * LIMIT
    assert cell.error == "KeyboardInterrupt"
    assert "All is said." in kept(cell)["text/markdown"]
    assert value(front, "owned()") == NOTHING


def test_k3_partial_text_is_kept_and_the_history_stays_paired(front: FrontEnd) -> None:
    front.run("runtime = Runtime(sleeper)")
    cell = front.execute("%agent_run -n runtime go")
    said(front, "sleep_async")
    interrupted(front, cell)
    assert "Let me see." in kept(cell)["text/markdown"]
    front.run("messages = nbagent.magics._current.workspace.sessions._by_agent['runtime'].messages")
    assert value(front, "[(m.role, m.interrupted) for m in messages]") == (
        "[('user', False), ('assistant', True), ('tool', False)]"
    )


def test_k3_cells_behind_an_interrupted_one_are_aborted(front: FrontEnd) -> None:
    cell = front.execute("%agent_run -n sleeper go")
    behind = front.execute("print('never')")
    said(front, "sleep_async")
    interrupted(front, cell)
    assert front.finish(behind).status == "aborted"


def test_k3_no_except_in_the_cell_hides_the_interrupt_from_run_all(front: FrontEnd) -> None:
    cell = front.execute("try:\n    %agent_run -n sleeper go\nexcept Exception:\n    print('caught')")
    said(front, "sleep_async")
    interrupted(front, cell)
    assert cell.error == "KeyboardInterrupt"
    assert cell.text == ""


def test_k3_an_interrupt_in_gather_ends_the_cell_and_not_the_kernel(front: FrontEnd) -> None:
    code = """
async def one(name):
    if name == "sleeper":
        %agent_run -n sleeper go
    else:
        %agent_run -n writer go
await asyncio.gather(one("sleeper"), one("writer"))
print("never")
"""
    cell = front.execute(code)
    said(front, "sleep_async")
    said(front, "word")
    interrupted(front, cell)
    assert cell.status == "error"
    assert cell.text == ""
    front.run("await asyncio.sleep(0)")
    assert value(front, "owned()") == NOTHING


def test_the_stop_button_ends_the_run_and_the_cell_goes_on(front: FrontEnd) -> None:
    cell = front.execute("x = %agent_run -n sleeper go\nprint(x.reason)")
    said(front, "sleep_async")
    front.send(front.widget(name="AnyModel"), {"type": "stop"})
    pressed = time.monotonic()
    front.finish(cell)
    assert cell.text == "cancelled\n"
    assert cell.idle_at is not None
    assert cell.idle_at - pressed < 1
    assert value(front, "owned()") == NOTHING


def test_an_interrupted_cell_is_exported_with_the_text_that_it_had(front: FrontEnd) -> None:
    cell = front.execute("%agent_run -n writer Write to me")
    said(front, "word")
    interrupted(front, cell)
    output = nbformat.v4.new_output("display_data", kept(cell))
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("%agent_run …", outputs=[output])])
    for exporter in (nbconvert.HTMLExporter(), nbconvert.MarkdownExporter()):
        page, _ = exporter.from_notebook_node(notebook)
        assert all(words in page for words in ("Write to me", "word word", "Interrupted after"))

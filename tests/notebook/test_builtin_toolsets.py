"""nbagent's own toolsets in a cell: approved in its form, shown as they run, and gone at an interrupt."""

from __future__ import annotations

from pathlib import Path

from tests.kernel.frontend import FrontEnd
from tests.notebook.conftest import NOTHING, kept, value

LIMIT = 0.5
"""Seconds from the signal to the kernel's idle, a command that ends at SIGTERM included."""


def approve(front: FrontEnd) -> None:
    front.click(front.widget(description="Approve"))


def test_k3_an_interrupt_ends_a_command_with_all_that_it_started(front: FrontEnd) -> None:
    front.run("from nbagent.toolsets import ShellToolset")
    command = "echo in''side; sleep 60 & sleep 60"
    turns = f'[ToolCall("shell", {{"cmd": "{command}"}}), "done"]'
    front.run(f'runtime = Runtime(Agent("sh", model=ScriptedModel({turns}), toolsets=[ShellToolset()]))')
    cell = front.execute("%agent_run runtime go")
    approve(front)
    front.wait_for(lambda: any("inside" in str(model.received) for model in front.widgets(name="AnyModel")))
    pressed = front.interrupt()
    front.finish(cell)
    assert cell.idle_at is not None
    assert cell.error == "KeyboardInterrupt"
    assert front.children() == []
    print(f"shell: idle {(cell.idle_at - pressed) * 1000:.0f} ms after the signal")
    assert cell.idle_at - pressed < LIMIT
    assert "inside" in kept(cell)["text/markdown"]
    assert value(front, "owned()") == NOTHING


def test_an_edit_is_approved_by_its_diff(front: FrontEnd, tmp_path: Path) -> None:
    (tmp_path / "f.txt").write_text("old\n")
    front.run("from nbagent.toolsets import FilesystemToolset")
    turns = '[ToolCall("edit_file", {"path": "f.txt", "edits": [{"oldText": "old", "newText": "new"}]}), "done"]'
    files = f"FilesystemToolset({str(tmp_path)!r})"
    front.run(f'runtime = Runtime(Agent("ed", model=ScriptedModel({turns}), toolsets=[{files}]))')
    cell = front.execute("%agent_run runtime go")
    front.widget(description="Approve")
    shown = " ".join(str(model.state.get("value", "")) for model in front.widgets(name="HTMLModel"))
    assert '<span class="gd">-old' in shown and '<span class="gi">+new' in shown
    assert (tmp_path / "f.txt").read_text() == "old\n"
    approve(front)
    assert front.finish(cell).status == "ok"
    assert (tmp_path / "f.txt").read_text() == "new\n"

"""The agent's code in JupyterLab: read, changed and approved by hand; and the cell that it adds, run by the user."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.lab import Lab

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

AGENT = """%load_ext nbagent
from nbagent import Agent, tool
from nbagent.kernel import KernelToolset
from nbagent.models import ScriptedModel, ToolCall

@tool(approve=True)
def remove(path: str) -> str:
    return f"removed {path}"

CODE = "total = 0\\nfor price in (1, 2, 3):  # all of them\\n    total += price\\nprint('total', total)"
script = [
    ToolCall("run_python", {"code": CODE}),
    ToolCall("remove", {"path": "/tmp/x"}),
    ToolCall("add_cell", {"code": "print('from the', 'agent')"}),
    "Done.",
]
worker = Agent("worker", model=ScriptedModel(script), tools=[remove], toolsets=[KernelToolset()])"""

Shot = Callable[[Page, str], Path]


def test_code_is_edited_and_approved_by_hand_and_an_added_cell_runs(lab: Lab, page: Page, shot: Shot) -> None:
    notebook = lab.open(page, lab.write("tools.ipynb", [AGENT, '%agent_run worker "Sum the prices"', "total"]))
    notebook.run(0)
    notebook.start(1)
    form = notebook.output(1)
    expect(form.locator(".nba-form-code .k").first).to_have_text("for ")
    editor = form.get_by_label("Code", exact=True)
    expect(editor).to_be_hidden()
    shot(page, "approval-code")
    form.get_by_role("button", name="Edit").click()
    expect(editor).to_be_visible()
    editor.click()
    page.keyboard.press("Control+End")
    page.keyboard.type("\ntotal = 42", delay=5)
    shot(page, "approval-code-edited")
    form.get_by_role("button", name="Approve", exact=True).click()
    expect(form.get_by_role("button", name="Always for this pattern")).to_be_visible()
    shot(page, "approval-pattern")
    form.get_by_role("button", name="Approve", exact=True).click()
    notebook.wait_idle()
    expect(form).to_contain_text("total 6")
    expect(notebook.cell(2)).to_contain_text("print('from the', 'agent')")
    notebook.run(2)
    expect(notebook.output(2)).to_have_text("from the agent")
    notebook.run(3)
    expect(notebook.output(3)).to_contain_text("42")
    shot(page, "approval-done")
    notebook.close_kernel()

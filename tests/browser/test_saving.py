"""A notebook that is saved while an agent is at work keeps what was said, and the page notices nothing of it."""

from __future__ import annotations

import pytest
from nbconvert import HTMLExporter, MarkdownExporter
from playwright.sync_api import Page, expect

from tests.browser.lab import Lab

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

ASKING = """%load_ext nbagent
import asyncio
from nbagent import Agent, ask, tool
from nbagent.models import ScriptedModel, ToolCall

@tool
async def transfer(amount: float) -> str:
    "Pay."
    async def tell():
        while True:
            print("waiting")
            await asyncio.sleep(0.3)
    telling = asyncio.create_task(tell())
    given = await ask("Who gets it?", {"type": "object", "properties": {"name": {"type": "string"}}})
    telling.cancel()
    return str(given.action)

asking = Agent("clerk", tools=[transfer],
    model=ScriptedModel([["I found **one** invoice.", ToolCall("transfer", {"amount": 412.5})], "Done so far."]))"""


def test_saved_in_mid_run_it_keeps_what_was_said_and_the_form_keeps_its_focus(either: Lab, page: Page) -> None:
    notebook = either.open(page, either.write("saving.ipynb", [ASKING, '%agent_run asking "Pay the invoice"']))
    notebook.run(0)
    notebook.start(1)
    field = notebook.output(1).get_by_role("textbox")
    field.click()
    page.keyboard.type("Ann of Ely", delay=300)  # the text comes beside the view meanwhile, more than once
    expect(field).to_have_value("Ann of Ely")
    expect(field).to_be_focused()
    saved = notebook.save()
    (output,) = saved.cells[1].outputs
    for kind in ("text/markdown", "text/plain"):
        assert "invoice" in output.data[kind] and "Who gets it?" in output.data[kind]
        assert "Ely" not in output.data[kind]
    assert "application/vnd.jupyter.widget-view+json" in output.data
    for exporter in (HTMLExporter, MarkdownExporter):
        assert "Who gets it?" in exporter().from_notebook_node(saved)[0]
    expect(field).to_have_value("Ann of Ely")
    notebook.output(1).get_by_role("button", name="Submit").click()
    expect(notebook.output(1)).to_contain_text("Done so far.")
    notebook.wait_idle()
    saved = notebook.save()
    assert "widgets" not in saved.metadata
    assert [set(output.data) for output in saved.cells[1].outputs] == [{"text/html", "text/markdown", "text/plain"}]
    notebook.close_kernel()

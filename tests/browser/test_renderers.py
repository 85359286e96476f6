"""A user's own cards in JupyterLab: drawn, kept in the saved notebook, and harmless where their code fails."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.lab import Lab

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

OWN = """%load_ext nbagent
import ipywidgets
import nbagent
from nbagent import Agent, tool
from nbagent.models import ScriptedModel, ToolCall
from nbagent.widgets import register_renderer

def forecast(day: str) -> str:
    return "sun on " + day

async def book() -> str:
    return (await nbagent.ask("For whom?")).action

def fail(call):
    raise RuntimeError("no ink")

rows = "<table><tr><th>Day</th><td>{}</td></tr></table><script>window.nbaHit = 1</script>"
register_renderer("forecast", lambda call: {"text/html": rows.format(call.arguments["day"])})
register_renderer("book", fail)
register_renderer("elicitation_request", fail)

pressed = []

def dial(call):
    button = ipywidgets.Button(description="Warmer")
    label = ipywidgets.Label("as it is")

    def press(_):
        pressed.append(1)
        label.value = f"{len(pressed)} warmer"
        1 / 0

    button.on_click(press)
    made.append(ipywidgets.VBox([button, label]))
    return made[-1], f"The dial of {call.response}"

made = []
progress = ipywidgets.IntProgress(description="calls")

def count(event):
    progress.value += 1
    return progress, f"{progress.value} calls"

@tool
def heat(room: str) -> str:
    "Heat."
    return room

register_renderer("heat", dial)
register_renderer("tool_call_response", count)
first = [ToolCall("forecast", {"day": "Sunday"}), ToolCall("heat", {"room": "kitchen"})]
script = [*first, ToolCall("book"), ToolCall("book"), "Never said."]
guide = Agent("guide", model=ScriptedModel(script), tools=[tool(forecast), tool(book), heat])"""


def test_a_tools_own_card_is_drawn_and_one_that_fails_leaves_form_and_stop_at_work(lab: Lab, page: Page) -> None:
    notebook = lab.open(
        page,
        lab.write("renderers.ipynb", [OWN, '%agent_run guide "And?"', "print(made[0].comm, made[0].children[0].comm)"]),
    )
    notebook.run(0)
    notebook.start(1)
    output = notebook.output(1)
    expect(output.get_by_role("rowheader", name="Day", exact=True)).to_be_visible()
    expect(output).not_to_contain_text("sun on Sunday")
    output.get_by_role("button", name="Warmer").click()
    expect(output).to_contain_text("1 warmer")
    output.get_by_label("Answer", exact=True).fill("Ada")
    output.get_by_role("button", name="Submit").click()
    expect(output).to_contain_text("The renderer of book failed: RuntimeError: no ink")
    expect(output).to_contain_text("accept")
    expect(output.get_by_role("button", name="Submit")).to_be_visible()
    output.get_by_role("button", name="Stop").click()
    notebook.wait_idle(10)
    expect(output).to_contain_text("Stopped")
    expect(output).not_to_contain_text("Never said.")
    expect(output.get_by_role("button", name="Warmer")).to_have_count(0)
    expect(output).to_contain_text("The dial of kitchen")
    notebook.run(2)
    expect(notebook.output(2)).to_contain_text("None None")
    html = notebook.save().cells[1].outputs[0].data["text/html"]
    assert "Sunday" in html and "no ink" in html and "nbaHit" not in html
    assert page.evaluate("window.nbaHit") is None
    notebook.close_kernel()

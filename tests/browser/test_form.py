"""The reference server's form of thirteen fields, filled in by hand in a running cell."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests import servers
from tests.browser.lab import Lab, Notebook

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

AGENT = """from nbagent import Agent
from nbagent.models import ScriptedModel, ToolCall
from nbagent.toolsets import MCPToolset
script = [
    ["I ask the server, and the server asks you.", ToolCall("trigger-elicitation-request", {{}})],
    lambda messages: "It answered:\\n\\n```\\n" + messages[-1].content + "\\n```",
]
everything = MCPToolset({command!r}, args={args!r}, name="everything")
guest = Agent("guest", model=ScriptedModel(script), toolsets=[everything])"""
RUN = '%agent_run --approve all guest "Ask me something"'
ECHO = """import json
result = %agent_run --approve all guest "Ask me something"
answer = next(message.content for message in result.messages if message.role == "tool")
print("ECHO", json.dumps(json.loads(answer.partition("Raw result: ")[2])))"""

TYPED = {
    "String": "Ada Lovelace",
    "String with default": "It was a bright cold day in April.",
    "String with email format": "ada@example.org",
    "String with uri format": "https://example.org/ada",
    "Integer": "7",
    "Number in range 1-1000": "2.5",
}
EXPECTED: dict[str, Any] = {
    "name": "Ada Lovelace",
    "check": True,
    "firstLine": "It was a bright cold day in April.",
    "email": "ada@example.org",
    "homepage": "https://example.org/ada",
    "birthdate": "1815-12-10",
    "integer": 7,
    "number": 2.5,
    "untitledSingleSelectEnum": "Joey",
    "untitledMultipleSelectEnum": ["Guitar", "Piano"],
    "titledSingleSelectEnum": "hero-2",
    "titledMultipleSelectEnum": ["fish-1", "fish-3"],
    "legacyTitledEnum": "pet-5",
}

Shot = Callable[[Page, str], Path]


def opened(lab: Lab, page: Page, name: str, *cells: str) -> Notebook:
    """A notebook whose second cell has made the agent; skipped where the server is missing."""
    found = servers.everything()
    if found is None:
        pytest.skip(servers.REMEDY)
    agent = AGENT.format(command=found[0], args=found[1])
    notebook = lab.open(page, lab.write(name, ["%load_ext nbagent", agent, *cells]))
    notebook.run(0)
    notebook.run(1)
    return notebook


def type_over(page: Page, field: Locator, text: str) -> None:
    """Replace what stands in `field`, key by key."""
    field.click()
    page.keyboard.press("Control+a")
    page.keyboard.type(text, delay=5)


def fill(page: Page, form: Locator) -> None:
    """Fill the form in as a person does."""
    for title, text in TYPED.items():
        type_over(page, form.get_by_label(title, exact=True), text)
    form.get_by_label("String with date format", exact=True).fill("1815-12-10")
    form.get_by_label("Boolean", exact=True).check()
    form.get_by_label("Untitled Single Select Enum", exact=True).select_option("Joey")
    form.get_by_label("Titled Single Select Enum", exact=True).select_option("Green Lantern")
    form.get_by_label("Legacy Titled Single Select Enum", exact=True).select_option("Reptiles")
    form.get_by_label("Untitled Multiple Select Enum", exact=True).select_option(["Guitar", "Piano"])
    form.get_by_label("Titled Multiple Select Enum", exact=True).select_option(["Tuna", "Trout"])


def test_a_form_filled_in_by_hand_reaches_the_server_and_its_echo_the_cell(lab: Lab, page: Page, shot: Shot) -> None:
    notebook = opened(lab, page, "form.ipynb", ECHO, "print('queued behind')")
    notebook.start(2)
    form = notebook.output(2)
    submit = form.get_by_role("button", name="Submit")
    expect(submit).to_be_disabled()
    shot(page, "form-empty")
    notebook.start(3)
    fill(page, form)
    expect(submit).to_be_enabled()
    shot(page, "form-filled")
    submit.click()
    notebook.wait_idle()
    printed = next(line for line in notebook.output(2).inner_text().splitlines() if line.startswith("ECHO "))
    assert json.loads(printed.removeprefix("ECHO ")) == {"action": "accept", "content": EXPECTED}
    expect(notebook.output(2)).to_contain_text("- Name: Ada Lovelace")
    expect(notebook.output(2)).to_contain_text("- Favorite Number: 2.5")
    expect(notebook.output(3)).to_have_text("queued behind")
    notebook.show(2)
    shot(page, "form-answered")
    notebook.close_kernel()


def test_the_server_takes_the_kernel_for_busy_while_a_form_waits(lab: Lab, page: Page) -> None:
    notebook = opened(lab, page, "busy.ipynb", RUN)
    notebook.start(2)
    form = notebook.output(2)
    type_over(page, form.get_by_label("String", exact=True), "Ada")
    expect(form.get_by_role("button", name="Submit")).to_be_enabled()
    assert notebook.kernel_state() == "busy"
    form.get_by_role("button", name="Cancel").click()
    notebook.wait_idle()
    assert notebook.kernel_state() == "idle"
    notebook.close_kernel()


def test_a_wrong_value_is_refused_at_its_field(lab: Lab, page: Page, shot: Shot) -> None:
    notebook = opened(lab, page, "wrong.ipynb", RUN)
    notebook.start(2)
    form = notebook.output(2)
    type_over(page, form.get_by_label("String", exact=True), "Ada")
    expect(form.get_by_role("button", name="Submit")).to_be_enabled()
    type_over(page, form.get_by_label("Integer", exact=True), "101")
    expect(form.get_by_text("Between 1 and 100.")).to_be_visible()
    expect(form.get_by_role("button", name="Submit")).to_be_disabled()
    shot(page, "form-wrong")
    type_over(page, form.get_by_label("Integer", exact=True), "100")
    expect(form.get_by_role("button", name="Submit")).to_be_enabled()
    form.get_by_role("button", name="Decline").click()
    notebook.wait_idle()
    expect(notebook.output(2)).to_contain_text("User declined")
    notebook.close_kernel()


def test_a_form_that_waits_is_interrupted_at_once_and_the_next_one_works(lab: Lab, page: Page) -> None:
    notebook = opened(lab, page, "waiting.ipynb", RUN)
    notebook.start(2)
    form = notebook.output(2)
    expect(form.get_by_role("button", name="Submit")).to_be_visible()
    notebook.interrupt()
    notebook.wait_idle(5)
    expect(notebook.output(2)).to_contain_text("KeyboardInterrupt")
    expect(form.get_by_role("button", name="Submit")).to_have_count(0)
    notebook.start(2)
    type_over(page, form.get_by_label("String", exact=True), "Ada again")
    form.get_by_role("button", name="Submit").click()
    notebook.wait_idle()
    expect(notebook.output(2)).to_contain_text("- Name: Ada again")
    notebook.close_kernel()


def test_running_the_cell_again_while_its_form_waits_gives_a_new_form_that_works(lab: Lab, page: Page) -> None:
    notebook = opened(lab, page, "again-form.ipynb", RUN)
    notebook.start(2)
    form = notebook.output(2)
    type_over(page, form.get_by_label("String", exact=True), "the old form")
    notebook.start(2)
    expect(form.get_by_label("String", exact=True)).to_have_value("")
    type_over(page, form.get_by_label("String", exact=True), "the new form")
    form.get_by_role("button", name="Submit").click()
    notebook.wait_idle()
    expect(notebook.output(2)).to_contain_text("- Name: the new form")
    notebook.close_kernel()

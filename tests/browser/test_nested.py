"""Agents that ask at once, nested and in the background: each form stands with its agent, no answer is swapped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.lab import Lab

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

TEAM = """import nbagent
from nbagent import Agent
from nbagent.models import ScriptedModel, ToolCall
async def book(city: str) -> str:
    "Book a table."
    schema = {"type": "object", "properties": {"name": {"type": "string", "title": "Name"}}, "required": ["name"]}
    answer = await nbagent.ask(f"For whom in {city}?", schema)
    return f"{city} for {answer.content}"
def knows(city):
    script = [[f"Let me see **{city}**.", ToolCall("book", {"city": city})], lambda messages: messages[-1].content]
    return Agent(city.lower(), model=ScriptedModel(script), tools=[book])
calls = [
    ToolCall("transfer_task", {"agent": "rome", "task": "Book in Rome"}),
    ToolCall("transfer_task", {"agent": "paris", "task": "Book in Paris"}),
    ToolCall("run_background_agent", {"agent": "oslo", "task": "Book in Oslo"}),
]
members = [knows("Rome"), knows("Paris"), knows("Oslo")]
chief = Agent("chief", sub_agents=members, background_agents=True, model=ScriptedModel([calls, "Both are booked."]))"""

Shot = Callable[[Page, str], Path]


def test_p7_three_agents_ask_at_once_and_no_answer_is_swapped(lab: Lab, page: Page, shot: Shot) -> None:
    notebook = lab.open(page, lab.write("nested.ipynb", ["%load_ext nbagent", TEAM, "%agent_run chief Book"]))
    notebook.run(0)
    notebook.run(1)
    notebook.start(2)
    output = notebook.output(2)
    expect(output.get_by_role("button", name="Submit")).to_have_count(3)
    for city, name in (("Oslo", "Kurt"), ("Paris", "Grace"), ("Rome", "Ada")):
        box = output.locator(".nba-ask-box.nba-open").filter(has_text=f"For whom in {city}?")
        box.get_by_label("Name", exact=True).click()
        page.keyboard.type(name, delay=5)
        if city == "Oslo":
            shot(page, "nested")
        box.get_by_role("button", name="Submit").click()
        expect(output).to_contain_text(f"{city} for {{'name': '{name}'}}")
    notebook.wait_idle()
    expect(output).to_contain_text("Both are booked.")
    expect(output).to_contain_text("rome · for chief")
    expect(output).to_contain_text("paris · for chief")
    expect(output.get_by_role("button", name="Stop")).to_have_count(0)
    notebook.close_kernel()

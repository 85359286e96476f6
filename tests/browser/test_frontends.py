"""A form in the hands of a person, in JupyterLab and in Notebook 7: answered, interrupted, run again, reloaded, in two
tabs, left over by a kernel that was restarted. What `test_form` does in JupyterLab is done here in Notebook 7 alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.lab import Lab, Notebook

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

AGENT = """import nbagent
from nbagent import Agent
from nbagent.models import ScriptedModel, ToolCall
async def book() -> str:
    "Book a table."
    fields = {"name": {"type": "string", "title": "Name"}, "guests": {"type": "integer", "title": "Guests"}}
    answer = await nbagent.ask("For whom?", {"type": "object", "properties": fields, "required": ["name"]})
    return f"{answer.action}: {answer.content}"
script = [["Let me ask.", ToolCall("book")], lambda messages: "Noted, " + messages[-1].content]
host = Agent("host", model=ScriptedModel(script), tools=[book])"""
RUN = '%agent_run host "A table, please"\nprint("moving", "on")'
STATE = """from nbagent.runtime import live_runs
print("left:", list(live_runs()))"""

Shot = Callable[[Page, str], Path]


def opened(server: Lab, page: Page, name: str) -> Notebook:
    """A new notebook that has loaded nbagent and made the agent."""
    notebook = server.open(page, server.write(name, ["%load_ext nbagent", AGENT, RUN, STATE]))
    notebook.run(0)
    notebook.run(1)
    return notebook


def type_in(page: Page, field: Locator, text: str) -> None:
    """Type over what stands in `field`, key by key."""
    field.click()
    page.keyboard.press("Control+a")
    page.keyboard.type(text, delay=5)


def name_of(form: Locator) -> Locator:
    """The form's first field."""
    return form.get_by_label("Name", exact=True)


def submit(form: Locator) -> Locator:
    """The form's button."""
    return form.get_by_role("button", name="Submit")


def test_a_form_is_answered_while_its_cell_runs(notebook_7: Lab, page: Page) -> None:
    notebook = opened(notebook_7, page, f"answer-{notebook_7.app}.ipynb")
    notebook.start(2)
    form = notebook.output(2)
    type_in(page, name_of(form), "Ada Lovelace")
    type_in(page, form.get_by_label("Guests", exact=True), "3")
    submit(form).click()
    notebook.wait_idle()
    expect(form).to_contain_text("Noted, accept: {'name': 'Ada Lovelace', 'guests': 3}")
    expect(form).to_contain_text("moving on")
    expect(submit(form)).to_have_count(0)
    notebook.close_kernel()


def test_the_toolbars_button_interrupts_a_form_and_the_next_one_works(notebook_7: Lab, page: Page) -> None:
    notebook = opened(notebook_7, page, f"interrupt-{notebook_7.app}.ipynb")
    notebook.start(2)
    form = notebook.output(2)
    type_in(page, name_of(form), "half a na")
    notebook.interrupt()
    notebook.wait_idle(5)
    expect(form).to_contain_text("KeyboardInterrupt")
    expect(form).not_to_contain_text("moving on")
    expect(submit(form)).to_have_count(0)
    notebook.run(3)
    expect(notebook.output(3)).to_contain_text("left: []")
    notebook.start(2)
    type_in(page, name_of(form), "Grace Hopper")
    submit(form).click()
    notebook.wait_idle()
    expect(form).to_contain_text("Noted, accept: {'name': 'Grace Hopper'")
    notebook.close_kernel()


def test_running_the_cell_again_gives_a_new_form_that_works(notebook_7: Lab, page: Page) -> None:
    notebook = opened(notebook_7, page, f"again-{notebook_7.app}.ipynb")
    notebook.start(2)
    form = notebook.output(2)
    type_in(page, name_of(form), "the old form")
    notebook.start(2)
    expect(name_of(form)).to_have_value("")
    expect(name_of(form)).to_have_count(1)
    type_in(page, name_of(form), "the new form")
    submit(form).click()
    notebook.wait_idle()
    expect(form).to_contain_text("Noted, accept: {'name': 'the new form'")
    notebook.close_kernel()


def test_an_open_form_comes_back_with_a_reloaded_page_and_still_works(either: Lab, page: Page, shot: Shot) -> None:
    notebook = opened(either, page, f"reload-{either.app}.ipynb")
    notebook.start(2)
    form = notebook.output(2)
    type_in(page, name_of(form), "Ada")
    expect(submit(form)).to_be_enabled()
    notebook.save()
    page.reload()
    expect(form).to_contain_text("Let me ask.")
    expect(name_of(form)).to_have_value("Ada")
    type_in(page, form.get_by_label("Guests", exact=True), "2")
    shot(page, f"reloaded-{either.app}")
    submit(form).click()
    notebook.wait_idle()
    expect(submit(form)).to_have_count(0)
    expect(form).to_contain_text("Noted, accept: {'name': 'Ada', 'guests': 2}")
    shot(page, f"reloaded-ended-{either.app}")
    notebook.run(3)
    expect(notebook.output(3)).to_contain_text("left: []")
    notebook.close_kernel()


def test_an_answer_in_one_tab_closes_the_form_in_both(either: Lab, page: Page, shot: Shot) -> None:
    notebook = opened(either, page, f"tabs-{either.app}.ipynb")
    notebook.start(2)
    first = notebook.output(2)
    expect(name_of(first)).to_be_visible()
    notebook.save()
    other = page.context.new_page()
    second = either.visit(other, notebook.path, "-2").output(2)
    type_in(other, name_of(second), "from the other tab")
    expect(name_of(first)).to_have_value("from the other tab")
    submit(second).click()
    expect(submit(first)).to_have_count(0)
    expect(submit(second)).to_have_count(0)
    expect(second).to_contain_text("Noted, accept: {'name': 'from the other tab'")
    page.bring_to_front()
    notebook.wait_idle()
    expect(first).to_contain_text("Noted, accept: {'name': 'from the other tab'")
    shot(other, f"other-tab-{either.app}")
    notebook.close_kernel()


def test_a_form_that_a_restarted_kernel_left_is_dead_and_says_so(either: Lab, page: Page, shot: Shot) -> None:
    notebook = opened(either, page, f"restart-{either.app}.ipynb")
    notebook.start(2)
    form = notebook.output(2)
    type_in(page, name_of(form), "for nobody")
    notebook.restart()
    expect(form).to_contain_text(re.compile("kernel .* (restarted|gone)", re.IGNORECASE))
    expect(submit(form)).to_be_disabled()
    expect(name_of(form)).to_be_disabled()
    expect(form.get_by_role("button", name="Stop")).to_have_count(0)
    shot(page, f"restarted-{either.app}")
    notebook.run(0)
    notebook.run(1)
    notebook.start(2)
    type_in(page, name_of(form), "after the restart")
    submit(form).click()
    notebook.wait_idle()
    expect(form).to_contain_text("Noted, accept: {'name': 'after the restart'")
    notebook.close_kernel()

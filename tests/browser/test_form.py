"""The reference server's form of thirteen fields, filled in by hand in a running cell."""

from __future__ import annotations

import json
import re
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

Shot = Callable[[Page | Locator, str], Path]


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
    notebook.expect_kernel_state("busy")
    form.get_by_role("button", name="Cancel").click()
    notebook.wait_idle()
    notebook.expect_kernel_state("idle")
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


def reach(page: Page, target: Locator, most: int = 60) -> None:
    """Press Tab until `target` has the focus."""
    expect(target).to_be_visible()
    for _ in range(most):
        if target.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not reach {target}")


WRONG = [
    ("String", "", "Required."),
    ("String with email format", "ada@", "An email address, such as name@example.org."),
    ("String with uri format", "no address", "A full address, such as https://example.org."),
    ("Integer", "101", "Between 1 and 100."),
    ("Integer", "7.5", "A whole number, written without a decimal point."),
    ("Number in range 1-1000", "1000.5", "Between 0 and 1000."),
]
"""Fields of text, what is typed first, and what stands at the field then."""


def refused(form: Locator, title: str, why: str) -> None:
    """The value is refused at its field, and the form cannot be sent."""
    field = form.get_by_label(title, exact=True)
    expect(field).to_have_accessible_description(re.compile(re.escape(why)))
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(form.get_by_role("alert").get_by_text(why, exact=True).first).to_be_visible()
    expect(form.get_by_role("button", name="Submit")).to_be_disabled()


def typed_wrongly_first(page: Page, form: Locator) -> None:
    """Fill the fields of text in by the keyboard; each refuses what is wrong before it takes what is right."""
    right = {"String": "Ada Lovelace", **TYPED}
    for title, wrong, why in WRONG:
        field = form.get_by_label(title, exact=True)
        reach(page, field)
        if not wrong:
            page.keyboard.type("x")
            expect(form.get_by_role("button", name="Submit")).to_be_enabled()
        page.keyboard.press("Control+a")
        page.keyboard.type(wrong) if wrong else page.keyboard.press("Delete")
        refused(form, title, why)
        page.keyboard.press("Control+a")
        page.keyboard.type(right[title])
        expect(field).to_have_attribute("aria-invalid", "false")
        if title == "String":
            reach(page, form.get_by_label("Boolean", exact=True))
            page.keyboard.press("Space")
            reach(page, form.get_by_label("String with default", exact=True))
            page.keyboard.press("Control+a")
            page.keyboard.type(TYPED["String with default"])
        if title == "String with uri format":
            reach(page, form.get_by_label("String with date format", exact=True))
            page.keyboard.type("12101815")


def several(page: Page, form: Locator, title: str, *moves: str) -> None:
    """Go on to a list whose first line is chosen, and change the choice of each line that the moves lead to."""
    reach(page, form.get_by_label(title, exact=True))
    for move in moves:
        page.keyboard.press(f"Control+Arrow{move}")
        page.keyboard.press("Control+Space")


def chosen_wrongly_first(page: Page, form: Locator, title: str) -> None:
    """Choose four where three are allowed, and then two."""
    several(page, form, title, "Down", "Down", "Down")
    refused(form, title, "At most 3 items, 4 so far.")
    page.keyboard.press("Control+Space")
    several(page, form, title, "Up")


def test_the_form_is_filled_in_by_the_keyboard_alone_and_refuses_what_is_wrong_at_its_field(
    either: Lab, page: Page, shot: Shot
) -> None:
    notebook = opened(either, page, f"keyboard-{either.app}.ipynb", ECHO)
    notebook.start(2)
    form = notebook.output(2)
    keys = page.keyboard
    submit = form.get_by_role("button", name="Submit")
    expect(submit).to_be_disabled(timeout=60_000)
    typed_wrongly_first(page, form)
    reach(page, form.get_by_label("Untitled Single Select Enum", exact=True))
    keys.type("Joey")  # as commands of the notebook: go to the next cell, … and make this one code
    chosen_wrongly_first(page, form, "Untitled Multiple Select Enum")
    reach(page, form.get_by_label("Titled Single Select Enum", exact=True))
    keys.type("Green")
    reach(page, form.get_by_label("Titled Multiple Select Enum", exact=True))
    page.keyboard.press("Control+ArrowDown")
    several(page, form, "Titled Multiple Select Enum", "Down")
    reach(page, form.get_by_label("Legacy Titled Single Select Enum", exact=True))
    keys.type("Rept")
    expect(submit).to_be_enabled()
    if either.app == "jupyterlab":
        pictures(notebook, shot)
        form.get_by_label("Legacy Titled Single Select Enum", exact=True).focus()
    reach(page, submit, most=2)
    keys.press("Enter")
    notebook.wait_idle()
    printed = next(line for line in notebook.output(2).inner_text().splitlines() if line.startswith("ECHO "))
    assert json.loads(printed.removeprefix("ECHO ")) == {"action": "accept", "content": EXPECTED}
    notebook.close_kernel()


def pictures(notebook: Notebook, shot: Shot) -> None:
    """The form in the light theme, in the dark one, and in a window 360 pixels wide."""
    page, form = notebook.page, notebook.output(2).get_by_role("form")
    shot(form, "form-light")
    notebook.wear("JupyterLab Dark")
    shot(form, "form-dark")
    notebook.wear("JupyterLab Light")
    folder = page.locator(".jp-SideBar.jp-mod-left .lm-TabBar-tab.lm-mod-current")
    folder.click()
    page.set_viewport_size({"width": 360, "height": 2000})
    assert form.evaluate("element => element.scrollWidth <= element.clientWidth")
    shot(form, "form-360")
    page.set_viewport_size({"width": 1100, "height": 1400})


PAYING = """%load_ext nbagent
from nbagent import Agent, tool
from nbagent.models import ScriptedModel, ToolCall

@tool(approve=True)
def pay(amount: int) -> str:
    return f"paid {amount}"

@tool(approve=True)
def thank(who: str) -> str:
    return f"thanked {who}"

calls = [ToolCall("pay", {"amount": 1}), ToolCall("pay", {"amount": 2}), ToolCall("pay", {"amount": 3}),
    ToolCall("pay", {"amount": 3}), ToolCall("thank", {"who": "Ann"}), ToolCall("thank", {"who": "Ben"})]
last = lambda messages: "Told: " + " / ".join(m.content for m in messages if m.role == "tool")
clerk = Agent("clerk", model=ScriptedModel([*calls, last]), tools=[pay, thank])"""


def test_approvals_are_given_and_refused_by_the_keyboard_alone(lab: Lab, page: Page) -> None:
    notebook = lab.open(page, lab.write("approvals.ipynb", [PAYING, '%agent_run clerk "Pay them"']))
    notebook.run(0)
    notebook.start(1)
    output = notebook.output(1)

    def press(asked: str, button: str) -> None:
        expect(output.locator(".nba-open .nba-form-args").get_by_text(asked, exact=True)).to_be_visible()
        reach(page, output.get_by_role("button", name=button, exact=True))
        page.keyboard.press("Enter")

    expect(output.locator(".nba-form-args").get_by_text("1", exact=True)).to_be_visible()
    reach(page, output.get_by_label("Reason", exact=True))
    page.keyboard.type("too dear")
    press("1", "Reject")
    press("2", "Approve")
    press("3", "Always for this pattern")
    press('"Ann"', "Approve for this session")
    notebook.wait_idle()
    told = output.get_by_text(re.compile("^Told: ")).inner_text()
    first, *others = told.removeprefix("Told: ").split(" / ")
    assert "too dear" in first
    assert others == ["paid 2", "paid 3", "paid 3", "thanked Ann", "thanked Ben"]
    notebook.close_kernel()


OWN = """import nbagent
from nbagent import Agent
from nbagent.models import ScriptedModel, ToolCall

text, cities = {"type": "string"}, [f"City {number}" for number in range(40)]
properties = {
    "nick": {**text, "title": "Nickname"},
    "city": {**text, "title": "City", "enum": cities},
    "tags": {"type": "array", "title": "Interests", "items": {"enum": ["music", "chess", "sea"]}, "minItems": 1},
    "day": {**text, "title": "Day", "format": "date", "default": "2026-05-01"},
    "mail": {**text, "title": "Email", "format": "email"},
    "seen": {"type": "array", "title": "Seen", "items": {"enum": [*cities, "Zürich"]}},
}
form = {"type": "object", "properties": properties, "required": ["mail", "city"]}
line = {"type": "object", "properties": {"name": {**text, "title": "Name", "minLength": 3}}, "required": ["name"]}

async def about() -> str:
    return str((await nbagent.ask("Who are you?", form, timeout=3600)).content)

async def named() -> str:
    return str((await nbagent.ask("Your name?", line)).content)

async def late() -> str:
    return (await nbagent.ask("Quick?", timeout=2)).note

def asking(function):
    script = [ToolCall(function.__name__), lambda messages: messages[-1].content]
    return Agent("host", model=ScriptedModel(script), tools=[function])"""


def filtered(page: Page, form: Locator) -> None:
    """Choose in a long list by its filter, by the mouse and by the keys; what is hidden keeps its choice."""
    seen, narrow = form.get_by_label("Seen", exact=True), form.get_by_label("Filter Seen")
    seen.select_option(["City 3", "City 20"])
    narrow.fill("zur")
    expect(form.get_by_text("1 of 41 shown")).to_be_visible()
    seen.locator("option:not([hidden])").click()
    expect(form.get_by_text("3 of 41 chosen: City 3, City 20, Zürich")).to_be_visible()
    narrow.fill("city 1")
    expect(form.get_by_text("13 of 41 shown")).to_be_visible()
    narrow.press("Enter")
    expect(seen).to_be_focused()
    page.keyboard.press("Control+Space")
    expect(form.get_by_text("4 of 41 chosen: City 1, City 3, City 20, Zürich")).to_be_visible()
    page.keyboard.press("ArrowDown")
    expect(form.get_by_text("4 of 41 chosen: City 3, City 10, City 20, Zürich")).to_be_visible()
    narrow.press("Escape")
    expect(narrow).to_have_value("")


def test_a_form_shows_what_is_missing_keeps_what_was_typed_and_takes_it_back(lab: Lab, page: Page, shot: Shot) -> None:
    cells = ["%load_ext nbagent", OWN, "about = asking(about)", "%agent_run about go"]
    notebook = lab.open(page, lab.write("own.ipynb", cells))
    for index in range(3):
        notebook.run(index)
    notebook.start(3)
    form = notebook.output(3)
    nick, city = form.get_by_label("Nickname", exact=True), form.get_by_label("City", exact=True)
    mail, submit = form.get_by_label("Email", exact=True), form.get_by_role("button", name="Submit")
    expect(form.get_by_role("form", name="Who are you?")).to_be_visible()
    expect(form.get_by_text("Still to fill in: City, Email.")).to_be_visible()
    expect(form.get_by_role("timer")).to_contain_text("59 min")
    nick.press("Enter")
    expect(city).to_be_focused()
    expect(city).to_have_attribute("aria-invalid", "true")
    expect(city).to_have_attribute("aria-required", "true")
    expect(city).to_have_accessible_description(re.compile("Required. 40 choices"))
    expect(form.get_by_role("alert").filter(has_text="2 fields to correct.")).to_be_visible()
    type_over(page, mail, "ada@example.org")
    type_over(page, city, "City 7 or so")
    expect(form.get_by_text("Not in the list: pick one of it.", exact=True)).to_be_visible()
    expect(submit).to_be_disabled()
    notebook.save()
    page.reload()
    expect(mail).to_have_value("ada@example.org")
    expect(city).to_have_value("City 7 or so")
    expect(submit).to_be_disabled()
    type_over(page, city, "City 7")
    expect(submit).to_be_enabled()
    form.get_by_label("Interests", exact=True).select_option(["chess", "sea"])
    expect(form.get_by_text("2 of 3 chosen, at least 1")).to_be_visible()
    filtered(page, form)
    shot(form.get_by_role("form"), "form-own")
    page.locator(".jp-SideBar.jp-mod-left .lm-TabBar-tab.lm-mod-current").click()
    expect(page.locator("#filebrowser")).to_be_hidden()
    page.set_viewport_size({"width": 360, "height": 1400})
    shot(page, "form-own-360")
    form.get_by_role("button", name="Reset").click()
    expect(form.get_by_text("0 of 41 chosen")).to_be_visible()
    for field, value in ((mail, ""), (city, ""), (form.get_by_label("Day", exact=True), "2026-05-01")):
        expect(field).to_have_value(value)
    form.get_by_role("button", name="Cancel").click()
    notebook.close_kernel()


def test_enter_sends_one_line_and_a_form_whose_time_is_over_says_so(lab: Lab, page: Page) -> None:
    cells = ["%load_ext nbagent", OWN, "named, late = asking(named), asking(late)"]
    notebook = lab.open(page, lab.write("line.ipynb", [*cells, "%agent_run named go", "%agent_run late go"]))
    for index in range(3):
        notebook.run(index)
    notebook.start(3)
    name = notebook.output(3).get_by_label("Name", exact=True)
    name.press("Enter")
    expect(notebook.output(3).get_by_text("Required.", exact=True)).to_be_visible()
    expect(name).to_be_focused()
    compose = "new KeyboardEvent('keydown', {key: 'Enter', isComposing: true, bubbles: true, cancelable: true})"
    page.keyboard.type("Ada")
    assert name.evaluate(f"input => input.dispatchEvent({compose})")  # left to the input method: not taken
    page.keyboard.type(" Lovelace")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    notebook.wait_idle()
    expect(notebook.output(3)).to_contain_text("{'name': 'Ada Lovelace'}")
    notebook.start(4)
    expect(notebook.output(4).get_by_role("timer")).to_contain_text("left to answer")
    notebook.wait_idle()
    expect(notebook.output(4)).to_contain_text("no answer within 2 s")
    notebook.close_kernel()

"""The first tutorials in JupyterLab, as a reader goes through them: every cell run, every form filled in by hand."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.lab import Lab, Notebook

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
Deed = Callable[[Notebook, Locator], None]
"""What a reader does in the output of a cell, which then comes to its end."""


def press(name: str) -> Deed:
    """Press the button of that name."""
    return lambda _, form: form.get_by_role("button", name=name, exact=True).first.click()


def fill(**values: str) -> Deed:
    """Fill fields in by their labels, `_` for a blank, and submit."""

    def deed(_: Notebook, form: Locator) -> None:
        for name, value in values.items():
            form.get_by_label(name.replace("_", " "), exact=True).fill(value)
        form.get_by_role("button", name="Submit").click()

    return deed


def choose(_: Notebook, form: Locator) -> None:
    """A base and two toppings."""
    form.get_by_label("Base", exact=True).select_option("Rye")
    form.get_by_label("Toppings", exact=True).select_option(["olives", "rocket"])
    form.get_by_role("button", name="Submit").click()


def talk(_: Notebook, form: Locator) -> None:
    """A word, and then no visit."""
    form.get_by_role("textbox").first.fill("Swordfish")
    form.get_by_role("button", name="Submit").click()
    expect(form).to_contain_text("localhost:8888/signin")
    form.get_by_role("button", name="Decline").click()


def interrupt(notebook: Notebook, form: Locator) -> None:
    """Press the toolbar's stop button once the agent has begun to write."""
    expect(form).to_contain_text("lighthouse keeper")
    notebook.interrupt()
    expect(form).to_contain_text("Interrupted after")


READERS: dict[str, dict[str, Deed]] = {
    "01_forms": {
        "%agent_run texts": fill(Name="Ada", **{"E-mail": "ada@example.org"}, Door_code="AB123"),
        "%agent_run numbers": fill(Cups="3"),
        "%agent_run choices": choose,
        "%agent_run free": talk,
        "%agent_run postman": press("Approve"),
    },
    "02_interrupts_and_reruns": {
        "story = %agent_run keeper": interrupt,
        "%agent_run clerk": fill(Room="The blue one"),
    },
    "03_tools_and_your_variables": {"done = %agent_run assistant": press("Approve")},
}


@pytest.mark.parametrize("name", READERS)
def test_a_reader_goes_through_a_tutorial(name: str, lab: Lab, page: Page) -> None:
    path = Path(shutil.copy(NOTEBOOKS / f"{name}.ipynb", lab.notebooks))
    notebook = lab.open(page, path)
    left = dict(READERS[name])
    for index, cell in enumerate(nbformat.read(path, as_version=4).cells):
        if cell.cell_type != "code":
            continue
        deed = next((left.pop(part) for part in tuple(left) if part in cell.source), None)
        notebook.start(index)
        if deed is not None:
            deed(notebook, notebook.output(index))
        prompt = notebook.cell(index).locator(".jp-InputPrompt").first
        expect(prompt).to_have_text(re.compile(r"\[\d+\]:"), timeout=30_000)
        if deed is interrupt:  # a reader runs the cell again, and lets it come to its end
            notebook.run(index)
            expect(notebook.output(index)).to_contain_text("the sea goes on by itself")
        wrong = notebook.cell(index).locator('[data-mime-type="application/vnd.jupyter.error"]')
        meant = "except KeyboardInterrupt" in cell.source
        assert meant or wrong.count() == 0, f"{cell.source}\n{wrong.all_inner_texts()}"
    assert left == {}
    notebook.close_kernel()

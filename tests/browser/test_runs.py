"""A run in a person's hands: watched, interrupted, stopped, run again, saved, opened again."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from nbconvert import HTMLExporter
from playwright.sync_api import Page, expect

from tests.browser.lab import Lab, Notebook

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

SLOW = """from nbagent import Agent
from nbagent.models import ScriptedModel
words = " ".join(f"word{n}" for n in range(2000))
slow = Agent("slow", model=ScriptedModel([words, "The second turn."], delay=0.02))"""
RUN = '%agent_run slow "Count for me"'
STATE = """from nbagent.runtime import live_runs
print("left:", list(live_runs()))"""

Shot = Callable[[Page, str], Path]


def opened(lab: Lab, page: Page, name: str, *cells: str) -> Notebook:
    """A new notebook that has loaded nbagent in its first cell and run its second."""
    notebook = lab.open(page, lab.write(name, ["%load_ext nbagent", SLOW, *cells]))
    notebook.run(0)
    notebook.run(1)
    return notebook


def test_the_toolbars_button_interrupts_and_the_next_run_works(lab: Lab, page: Page, shot: Shot) -> None:
    notebook = opened(lab, page, "interrupt.ipynb", RUN, STATE)
    notebook.start(2)
    expect(notebook.output(2)).to_contain_text("word20")
    notebook.interrupt()
    notebook.wait_idle(5)
    expect(notebook.output(2)).to_contain_text("KeyboardInterrupt")
    expect(notebook.output(2)).to_contain_text(re.compile("interrupted", re.IGNORECASE))
    expect(notebook.output(2)).to_contain_text("word20")
    shot(page, "interrupted")
    notebook.run(3)
    expect(notebook.output(3)).to_contain_text("left: []")
    notebook.start(2)
    expect(notebook.output(2)).to_contain_text("word5")
    notebook.interrupt()
    notebook.wait_idle(5)
    notebook.close_kernel()


def test_its_stop_button_ends_a_run(lab: Lab, page: Page) -> None:
    notebook = opened(lab, page, "stop.ipynb", RUN, STATE)
    notebook.start(2)
    expect(notebook.output(2)).to_contain_text("word10")
    notebook.output(2).get_by_role("button", name="Stop").click()
    notebook.wait_idle(5)
    expect(notebook.output(2)).to_contain_text("word10")
    expect(notebook.output(2).get_by_role("button", name="Stop")).to_have_count(0)
    notebook.run(3)
    expect(notebook.output(3)).to_contain_text("left: []")
    notebook.close_kernel()


def test_running_the_cell_again_supersedes_the_run(lab: Lab, page: Page) -> None:
    notebook = opened(lab, page, "again.ipynb", RUN + "\nprint('sent')", STATE)
    notebook.start(2)
    expect(notebook.output(2)).to_contain_text("word60")
    notebook.start(2)
    expect(notebook.output(2)).not_to_contain_text("word60")
    expect(notebook.output(2)).to_contain_text("word5")
    expect(notebook.output(2)).not_to_contain_text("sent")
    notebook.interrupt()
    notebook.wait_idle(5)
    notebook.run(3)
    expect(notebook.output(3)).to_contain_text("left: []")
    notebook.close_kernel()


def test_a_background_run_goes_on_in_its_own_cell_and_its_button_stops_it(lab: Lab, page: Page) -> None:
    notebook = opened(lab, page, "background.ipynb", RUN.replace("run ", "run -b "), "print('meanwhile')", STATE)
    notebook.run(2)
    notebook.run(3)
    expect(notebook.output(3)).to_have_text("meanwhile")
    expect(notebook.output(2)).to_contain_text("word30")
    notebook.output(2).get_by_role("button", name="Stop").click()
    expect(notebook.output(2).get_by_role("button", name="Stop")).to_have_count(0)
    notebook.run(4)
    expect(notebook.output(4)).to_contain_text("left: []")
    notebook.close_kernel()


def test_a_page_reloaded_in_mid_run_shows_the_whole_transcript(lab: Lab, page: Page) -> None:
    notebook = opened(lab, page, "reload.ipynb", RUN)
    notebook.start(2)
    expect(notebook.output(2)).to_contain_text("word30")
    notebook.save()
    page.reload()
    expect(notebook.output(2)).to_contain_text("word0 word1 word2")
    expect(notebook.output(2)).to_contain_text("word200")
    notebook.output(2).get_by_role("button", name="Stop").click()
    expect(notebook.output(2).get_by_role("button", name="Stop")).to_have_count(0)
    notebook.close_kernel()


def test_a_saved_notebook_reads_without_kernel_and_widgets(lab: Lab, page: Page, shot: Shot) -> None:
    story = 'told = Agent("told", model=ScriptedModel(["A **bold** word.\\n\\n| a | b |\\n|--|--|\\n| 1 | 2 |"]))'
    notebook = opened(lab, page, "saved.ipynb", f'{story}\n%agent_run told "Say it"', RUN)
    notebook.run(2)
    notebook.start(3)
    expect(notebook.output(3)).to_contain_text("word20")
    notebook.interrupt()
    notebook.wait_idle(5)
    saved = notebook.save()
    notebook.close_kernel()
    for cell in saved.cells[2:]:
        bundle = next(output.data for output in cell.outputs if output.output_type == "display_data")
        assert "application/vnd.jupyter.widget-view+json" not in bundle
    html, _ = HTMLExporter().from_notebook_node(saved)
    assert "Say it" in html
    assert "word20" in html
    page.goto("about:blank")
    again = lab.open(page, notebook.path)
    expect(again.output(2).locator("strong", has_text="bold")).to_be_visible()
    expect(again.output(2)).to_contain_text("Say it")
    expect(again.output(3)).to_contain_text("word20")
    expect(again.panel).not_to_contain_text("model not found")
    shot(page, "reopened")
    again.close_kernel()

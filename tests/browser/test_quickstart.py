"""The quickstart in JupyterLab, its form filled in by hand, light and dark; the README's picture is taken here."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from nbagent.demo.showcase import quickstart
from tests.browser.lab import Lab

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

Shot = Callable[[Page | Locator, str], Path]

LOAD, RUN = 1, 3
"""Cells of the quickstart."""


@pytest.fixture
def scale() -> float:
    """Twice the pixels, for a picture that is sharp everywhere."""
    return 2


def brightness(part: Locator) -> int:
    """How bright the text of `part` is, 0 to 765."""
    colour = part.evaluate("element => getComputedStyle(element).color")
    return sum(int(number) for number in re.findall(r"\d+", colour)[:3])


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_quickstart_in_a_persons_hands(theme: str, page: Page, shot: Shot, request: pytest.FixtureRequest) -> None:
    lab: Lab = request.getfixturevalue("lab" if theme == "light" else "dark_lab")
    path = lab.notebooks / "quickstart.ipynb"
    shutil.copy(quickstart(), path)
    notebook = lab.open(page, path)
    notebook.run(LOAD)
    notebook.start(RUN)
    form = notebook.output(RUN)
    form.get_by_label("Name on the sign").click()
    page.keyboard.type("Ada and friends", delay=10)
    form.get_by_label("Guests").fill("6")
    form.get_by_label("From", exact=True).select_option("13:00")
    expect(form.get_by_role("button", name="Submit")).to_be_enabled()
    for text in ("What you see around my words", "find_table", "Children count too."):
        assert (brightness(form.get_by_text(text).last) > 382) == (theme == "dark")
    shot(notebook.cell(RUN), f"transcript-{theme}")
    form.get_by_role("button", name="Submit").click()
    notebook.wait_idle()
    expect(notebook.output(RUN)).to_contain_text("Saturday: table 5, under the lime trees")
    expect(notebook.output(RUN)).to_contain_text("Ada and friends")
    assert (brightness(notebook.output(RUN).get_by_text("What to bring for 6")) > 382) == (theme == "dark")
    shot(notebook.cell(RUN), f"saved-{theme}")
    notebook.close_kernel()

"""One run that shows all that a transcript can, in JupyterLab; its pictures are to be looked at, in ``build/screens``.

Light and dark, a column of 360 pixels, and 200 % zoom; formulas are set by JupyterLab's own renderer, live and after
the end, and prices are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.lab import Lab

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

AGENT = r"""%load_ext nbagent
import struct, zlib
import nbagent
from nbagent import Agent, tool
from nbagent.models import ScriptedModel, ToolCall
from nbagent.ports import ReasoningDelta
from IPython.display import Image, display

class Thinking(ScriptedModel):
    async def stream(self, request):
        yield ReasoningDelta("The user wants the invoice of March, so I look for it first.")
        async for chunk in super().stream(request):
            yield chunk

def picture(width=240, height=80):
    rows = b"".join(b"\0" + bytes(v for x in range(width) for v in (x, 2 * y, 160)) for y in range(height))
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return Image(b"\x89PNG\r\n\x1a\n" + body)

@tool
def search(vendor: str, month: str) -> str:
    "Search."
    return "\n".join(f"A-{n}  {vendor}  {n}.50" for n in range(1000, 1060))

@tool
def chart() -> str:
    "Draw."
    display(picture())
    return "drawn"

@tool
def table() -> str:
    "Make a table."
    display({"text/html": "<table><tr><th>order</th><th>amount</th></tr><tr><td>A-1</td><td>9</td></tr></table>",
             "text/plain": "a table"}, raw=True)
    return "made"

@tool
def broken() -> str:
    "Fail."
    raise ValueError("the ledger is locked")

@tool(approve=True)
def transfer(amount: float, iban: str) -> str:
    "Pay."
    return "paid"

@tool
async def confirm() -> str:
    "Ask."
    print("asking")
    name = {"type": "string", "title": "Name", "minLength": 3, "description": "Who pays."}
    return (await nbagent.ask("Whose account?", {"type": "object", "properties": {"name": name}})).action

story = r'''## What I found

One open invoice from **Keller** over `EUR 412.50`, [here](https://example.org); it costs $5 and $6 more abroad.
With $a_1*b_1*c_1$ as the rate the sum is

$$
S = \sum_{k=1}^{n} \frac{a_k}{b_k}
$$

> A quotation of the order.

| order | vendor | amount | a long column that has to be scrolled in a narrow place |
|---|---|--:|---|
| A-1043 | Keller | 412.50 | unbreakable_words_of_a_very_long_cell_that_does_not_end |

```python
def answer(x: int) -> str:  # a comment that is long enough to be wider than a narrow column of the page
    return f"{x}" + str(42)
```

هذه فقرة بالعربية (Keller).

![a remote picture](https://example.org/a.png)
'''
clerk = Agent("clerk", tools=[table], model=ScriptedModel([["I count.", ToolCall("table")], "All is counted."]))
auditor = Agent("auditor", tools=[broken], sub_agents=[clerk], model=ScriptedModel([
    ["I compare.", ToolCall("broken"), ToolCall("transfer_task", {"agent": "clerk", "task": "Count"})],
    "Amount and vendor match."]))
first = [story, ToolCall("search", {"vendor": "print", "month": "2026-03"}), ToolCall("chart"),
         ToolCall("transfer_task", {"agent": "auditor", "task": "Compare"})]
second = ["Two questions.", ToolCall("transfer", {"amount": 412.5, "iban": "CH93 0076"}), ToolCall("confirm")]
keeper = Agent("bookkeeper", tools=[search, chart, transfer, confirm], sub_agents=[auditor],
               model=Thinking([first, second, "Done, but nothing was paid."], name="scripted"))"""
OVERFLOWING = """(root) => {
    const held = (e) => e !== root && (/auto|scroll|hidden|clip/.test(getComputedStyle(e).overflowX)
        || held(e.parentElement));
    const edge = root.getBoundingClientRect().right + 1;
    const wide = (e) => e.getBoundingClientRect().width && e.getBoundingClientRect().right > edge;
    return [...root.querySelectorAll(":not(mjx-assistive-mml, mjx-assistive-mml *)")]
        .filter((e) => wide(e) && !held(e.parentElement))
        .map((e) => e.outerHTML.slice(0, 120));
}"""
"""JavaScript: what in a transcript reaches beyond its right edge, and no box of its own scrolls it."""

Shot = Callable[[Page | Locator, str], Path]


def narrow(root: Locator, name: str, shot: Shot) -> None:
    """Take its picture in a narrow column, and look for what does not fit; then the same at twice the size."""
    for style in ("width: 360px", "width: 360px; zoom: 2"):
        root.evaluate("(e, style) => { e.style.cssText = style; }", style)
        assert root.evaluate(OVERFLOWING) == []
        assert root.evaluate("(e) => e.scrollWidth <= e.clientWidth + 1")
        if "zoom" not in style:
            shot(root, name)
    root.evaluate("(e) => { e.style.cssText = ''; }")


def theme(page: Page, name: str) -> None:
    """Choose a theme from the menu."""
    page.get_by_role("menuitem", name="Settings").click()
    page.locator(".lm-Menu-item", has_text="Theme").first.hover()
    page.locator(".lm-Menu-item", has_text=re.compile(f"^{name}$")).click()
    page.wait_for_function("name => document.body.dataset.jpThemeName === name", arg=name)


def test_a_run_with_everything_is_readable_everywhere(lab: Lab, page: Page, shot: Shot) -> None:
    page.set_viewport_size({"width": 1100, "height": 3200})
    notebook = lab.open(page, lab.write("look.ipynb", [AGENT, '%agent_run keeper "Pay the invoice from March"']))
    notebook.run(0)
    notebook.start(1)
    live = notebook.output(1).locator(".nba")
    expect(live.get_by_role("button", name="Approve", exact=True)).to_be_visible(timeout=60_000)
    expect(live.get_by_role("button", name="Submit")).to_be_visible()
    expect(live.locator(".nba-set mjx-container")).to_have_count(2)
    expect(live).to_contain_text("$5 and $6")
    shot(live, "look-live-light")
    narrow(live, "look-live-360", shot)
    theme(page, "JupyterLab Dark")
    shot(live, "look-live-dark")
    page.emulate_media(forced_colors="active", reduced_motion="reduce")
    shot(live, "look-live-forced-colors")
    turning = live.locator(".nba-spin").evaluate_all("all => all.map((e) => getComputedStyle(e).animationName)")
    assert set(turning) <= {"none"}
    page.emulate_media(forced_colors="none", reduced_motion="no-preference")

    live.get_by_role("button", name="Decline").click()
    live.get_by_role("button", name="Reject", exact=True).click()
    notebook.wait_idle()
    ended = notebook.output(1).locator(".nba-s")
    expect(ended).to_contain_text("Done, but nothing was paid.")
    expect(ended.locator("mjx-container")).to_have_count(2)
    expect(ended).to_contain_text("$5 and $6")
    shot(ended, "look-ended-dark")
    theme(page, "JupyterLab Light")
    shot(ended, "look-ended-light")
    narrow(ended, "look-ended-360", shot)
    notebook.close_kernel()

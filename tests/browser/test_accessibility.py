"""axe-core in JupyterLab, light and dark: no finding of WCAG's levels A and AA in what nbagent shows.

A transcript that holds everything is judged while its forms and its approval are open, and its static twin after the
end. What ipywidgets itself makes and nbagent leaves as it is stands in `THEIRS`, with the reason; nothing else is let
off.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests import servers
from tests.browser.lab import Lab, Notebook

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

AXE = "axe-core/axe.min.js"
LEVELS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
THEIRS: dict[str, str] = {}
"""Selectors of what unmodified ipywidgets makes, and why each is let off: so far nothing has to be."""

JUDGE = """async (root) => {
    const found = await axe.run({include: [root], exclude: %s}, {runOnly: {type: 'tag', values: %s}});
    return {
        passed: found.passes.map(({id}) => id),
        violations: found.violations.flatMap(({id, help, nodes}) => nodes.map((node) => (
            {id, help, where: node.target.join(' '), html: node.html.slice(0, 300), why: node.failureSummary}))),
    };
}"""
"""JavaScript: what axe finds in an element."""

ALL_IN_SIGHT = "document.body.style.height = '100vh'"
"""JavaScript: axe judges no contrast of what is scrolled away, and takes all to be so in JupyterLab's body, 0 high."""

TEAM = """%load_ext nbagent
import nbagent
from nbagent import Agent, tool
from nbagent.models import ScriptedModel, ToolCall
from nbagent.ports import ReasoningDelta
from nbagent.toolsets import MCPToolset

class Thinking(ScriptedModel):
    async def stream(self, request):
        yield ReasoningDelta("I think of a **table** first.")
        async for chunk in super().stream(request):
            yield chunk

text = {{"type": "string"}}
kinds = {{
    "nick": {{**text, "title": "Nickname", "minLength": 3}},
    "city": {{**text, "title": "City", "enum": [f"City {{number}}" for number in range(40)]}},
    "tags": {{"type": "array", "title": "Interests", "items": {{"enum": ["music", "chess", "sea"]}}, "minItems": 1}},
    "many": {{"type": "array", "title": "Places", "items": {{"enum": [f"Place {{n}}" for n in range(30)]}}}},
    "at": {{**text, "title": "Moment", "format": "date-time"}},
    "story": {{**text, "title": "Story", "maxLength": 2000, "description": "As long as you like."}},
    "deep": {{"type": "object", "title": "Nested", "properties": {{"a": {{"type": "array"}}}}}},
}}

@tool
async def about() -> str:
    "Ask with all kinds of fields."
    print("asking", "now")
    return (await nbagent.ask("Who are you?", {{"type": "object", "properties": kinds, "required": ["nick"]}},
                              timeout=3600)).action

@tool
async def visit() -> str:
    "Ask to open an address."
    return (await nbagent.ask("Sign in", url="http://xn--pple-43d.com/login?next=1")).action

@tool
def table(rows: int) -> object:
    "A table."
    import pandas
    return pandas.DataFrame({{"n": range(rows), "square": [n * n for n in range(rows)]}})

@tool(approve=True)
def pay(amount: float, to: str) -> str:
    "Pay."
    return "paid"

@tool
def fail() -> str:
    "Fail."
    raise ValueError("no luck")

story = '''# A title

Some `code`, a [link](https://example.org), **bold** and ![a picture](https://example.org/a.png).

> A quotation.

| a | b |
|---|--:|
| 1 | 2 |

```python
def answer(x: int) -> str:  # a comment
    return f"{{x}}" + str(42)
```

1. one
2. two
'''
paris = Agent("paris", tools=[about], model=ScriptedModel([["Bonjour.", ToolCall("about")], "Fini."]))
script = [
    [story, ToolCall("table", {{"rows": 60}}), ToolCall("fail")],
    ["Now I ask.", ToolCall("transfer_task", {{"agent": "paris", "task": "Ask"}}), ToolCall("visit"),
     ToolCall("pay", {{"amount": 12.5, "to": "Ann"}}), ToolCall("trigger-elicitation-request")],
    "All is said.",
]
everything = MCPToolset({command!r}, args={args!r}, name="everything")
guide = Agent("guide", model=Thinking(script), sub_agents=[paris], tools=[table, fail, visit, pay],
    toolsets=[everything])"""


def axe() -> str:
    """The script, or a skip where it is missing."""
    place = Path(
        os.environ.get("NBAGENT_NODE_MODULES") or Path(__file__).parents[2] / "build" / "node" / "node_modules"
    )
    if not (place / AXE).is_file():
        pytest.skip("axe-core is not here; `make test-deps` brings it")
    return (place / AXE).read_text(encoding="utf-8")


def judged(root: Locator) -> dict[str, Any]:
    """What axe finds in `root`, but for what is not nbagent's."""
    return root.evaluate(JUDGE % (list(THEIRS), LEVELS))


def found(root: Locator, what: str) -> list[str]:
    """The violations in `root`, a line each."""
    seen = judged(root)
    assert "color-contrast" in seen["passed"], f"{what}: nothing was judged"
    return [f"{what}: {one['id']} at {one['where']}: {one['why']}\n  {one['html']}" for one in seen["violations"]]


def everywhere(notebook: Notebook, output: Locator, what: str) -> list[str]:
    """The violations in each theme, with all that is folded opened."""
    output.locator("details").evaluate_all("all => all.forEach((one) => { one.open = true; })")
    violations: list[str] = []
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        notebook.wear(theme)
        violations += found(output, f"{what}, {theme}")
    return violations


def test_axe_finds_no_violation_in_transcript_form_approval_and_twin(lab: Lab, page: Page) -> None:
    script = axe()
    server = servers.everything()
    if server is None:
        pytest.skip(servers.REMEDY)
    cells = [TEAM.format(command=server[0], args=server[1]), '%agent_run guide "Show me all"']
    notebook = lab.open(page, lab.write("accessible.ipynb", cells))
    notebook.run(0)
    page.set_viewport_size({"width": 1100, "height": 9000})
    page.evaluate(ALL_IN_SIGHT)
    notebook.start(1)
    output = notebook.output(1)
    approve = output.get_by_role("button", name="Approve", exact=True)
    expect(approve).to_have_count(2, timeout=60_000)
    approve.last.click()
    expect(output.get_by_role("button", name="Submit")).to_have_count(2)
    expect(approve).to_have_count(1)
    expect(output.get_by_role("link", name="Open in a new tab")).to_be_visible()
    nick = output.get_by_label("Nickname", exact=True)
    nick.fill("A")
    nick.press("Enter")
    expect(output.get_by_role("alert").first).to_be_visible()
    page.evaluate(script)
    violations = everywhere(notebook, output, "running")

    approve.click()
    for name in ("Accept", "Decline", "Cancel"):
        output.get_by_role("button", name=name, exact=True).first.click()
    notebook.wait_idle()
    expect(output).to_contain_text("All is said.")
    violations += everywhere(notebook, output, "twin")
    assert violations == [], "\n".join(violations)
    notebook.close_kernel()

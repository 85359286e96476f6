"""The hostile corpus in a real JupyterLab: no script runs, no request leaves, and the page stays usable."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import Browser, Dialog, Page, expect

from tests.browser.lab import Lab, Notebook
from tests.safety.corpus import armed

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

AGENT = """%load_ext nbagent
import json
from nbagent import Agent, ask, tool
from nbagent.models import ScriptedModel, ToolCall
from pathlib import Path
texts = json.loads(Path("corpus.json").read_text())
every = "\\n\\n".join(texts)

class Shown:
    def _repr_mimebundle_(self, **_):
        return {"text/html": every, "image/svg+xml": "<svg onload='nbaHit=1'/>", "application/javascript": "nbaHit=1",
                "text/plain": every}

def field(text):
    return {"type": "string", "title": text, "description": text, "default": text}

@tool(approve=True)
async def leak(a: str) -> str:
    "Say all."
    from IPython.display import display
    print(every)
    display(Shown())
    for text in texts:
        display({"text/html": text, "text/plain": text}, raw=True)
    fields = {text: field(text) for text in texts[::4]}
    fields["one"] = {"type": "string", "oneOf": [{"const": str(n), "title": t} for n, t in enumerate(texts)]}
    await ask(every, {"type": "object", "properties": fields})
    raise ValueError(every)

script = [[every, ToolCall("leak", {"a": every})], [every, ToolCall(texts[0], {t: t for t in texts})], every]
hostile = Agent("hostile", model=ScriptedModel(script, name=texts[3]), tools=[leak])"""

FLOOD = """line = "A_line_of_the_flood,<b>marks</b>,`code`,a|pipe.\\n"  # a delta each

@tool
def flood() -> str:
    "Flood."
    print("x" * 10_000_000)
    print(line * 100_000)
    return "y" * 10_000_000

flooding = Agent("flooding", tools=[flood], model=ScriptedModel(
    [[line * 100_000, ToolCall("flood", {})], "x" * 10_000_000]))
slow = Agent("slow", model=ScriptedModel(["word " * 3000], delay=0.02))"""

WATCH = """
    window.nbaViolations = [];
    window.nbaFrames = [];
    let last = performance.now();
    const tick = (now) => { nbaFrames.push(now - last); last = now; requestAnimationFrame(tick); };
    requestAnimationFrame(tick);
"""


@pytest.fixture(scope="module")
def listener() -> Iterator[tuple[str, list[str]]]:
    """An address on loopback, and what was asked of it."""
    asked: list[str] = []

    class Listening(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(204)
            self.end_headers()

        do_POST = do_HEAD = do_OPTIONS = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            """Nowhere."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Listening)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


ACTING = """root => [...root.querySelectorAll('*')].filter((e) =>
    e.matches('script, iframe, object, embed, base, meta, link, form, svg image, math, img:not([src^="data:"])')
    || [...e.attributes].some(({name, value}) => /^on|commandlinker/i.test(name)
        || /^\\s*(javascript|data:text|vbscript)/i.test(name.match(/title|alt|aria|value/) ? '' : value))
).filter((e) => !e.closest('svg.jp-icon, [data-icon]')).map((e) => e.outerHTML.slice(0, 200))"""
"""JavaScript: the elements of an output that could act."""


def harmless(page: Page, notebook: Notebook, asked: list[str], away: list[str]) -> None:
    assert notebook.output(1).evaluate(ACTING) == []
    assert page.evaluate("window.nbaHit") is None
    assert asked == []
    assert [url for url in away if not url.startswith(("data:", "blob:", "ws:"))] == []


@pytest.fixture(scope="module")
def notebook(browser: Browser, lab: Lab, listener: tuple[str, list[str]]) -> Iterator[Notebook]:
    """One page and one kernel for all that is shown here: opening them takes longer than what is shown."""
    texts = [text.encode(errors="replace").decode() for text in armed("window.nbaHit=1", listener[0])]
    (lab.notebooks / "corpus.json").write_text(json.dumps(texts))
    cells = [AGENT, '%agent_run hostile "Say all"', FLOOD, "%agent_run flooding Go", "%agent_run slow Go"]
    context = browser.new_context(viewport={"width": 1100, "height": 1400})
    context.set_default_timeout(30_000)
    notebook = lab.open(context.new_page(), lab.write("hostile.ipynb", cells))
    notebook.run(0)
    yield notebook
    notebook.close_kernel()
    context.close()


def test_no_script_runs_and_no_request_leaves(lab: Lab, notebook: Notebook, listener: tuple[str, list[str]]) -> None:
    page, asked = notebook.page, listener[1]
    away: list[str] = []
    dialogs: list[str] = []
    own = f"127.0.0.1:{lab.port}"
    page.on("request", lambda request: away.append(request.url) if own not in request.url[:40] else None)

    def accept(dialog: Dialog) -> None:
        dialogs.append(dialog.type)
        dialog.accept()

    page.on("dialog", accept)
    page.context.on("page", lambda opened: dialogs.append(opened.url))

    notebook.start(1)
    output = notebook.output(1)
    approve = output.get_by_role("button", name="Approve", exact=True)
    expect(approve).to_be_visible()
    harmless(page, notebook, asked, away)
    approve.click()
    expect(output.get_by_role("button", name="Decline")).to_be_visible()
    output.locator("summary").evaluate_all("all => all.forEach((s) => { s.parentElement.open = true; })")
    harmless(page, notebook, asked, away)
    output.get_by_role("button", name="Decline").click()
    notebook.wait_idle(60)
    output.locator("summary").evaluate_all("all => all.forEach((s) => { s.parentElement.open = true; })")
    harmless(page, notebook, asked, away)

    notebook.save()
    lab.visit(page, notebook.path, "again")
    expect(notebook.output(1)).to_contain_text("constructor.constructor")
    notebook.output(1).locator("summary").evaluate_all("all => all.forEach((s) => { s.parentElement.open = true; })")
    harmless(page, notebook, asked, away)
    assert set(dialogs) <= {"beforeunload"}  # JupyterLab's own, as the page is left


def test_the_page_stays_usable_in_a_flood(notebook: Notebook) -> None:
    page = notebook.page
    notebook.run(2)
    page.evaluate(WATCH)
    notebook.run(3, timeout=120)
    frames = page.evaluate("nbaFrames.splice(0)")
    print("longest frames of the flood, ms:", sorted(map(round, frames))[-5:], "of", len(frames))
    assert max(frames) < 2000  # on a slow machine; 530 measured
    assert notebook.output(3).evaluate("e => e.innerText.length") < 1_000_000
    notebook.start(4)
    stop = notebook.output(4).get_by_role("button", name="Stop")
    expect(stop).to_be_visible()
    stop.click()
    notebook.wait_idle(5)
    expect(notebook.output(4)).to_contain_text("Stopped")
    assert len(notebook.save().cells[3].outputs[0].data["text/html"]) < 2_000_000

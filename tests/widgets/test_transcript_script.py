"""The transcript's script in Chromium, without Jupyter: a page, a model that records, and the kernel's own messages."""

from __future__ import annotations

import base64
import json
import shutil
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Dialog, Page, Route, sync_playwright

from nbagent import events as ev
from nbagent.widgets.assets import asset, module
from nbagent.widgets.document import Document
from nbagent.widgets.transcript import SCRIPTS
from nbagent.widgets.wire import Wire
from tests.widgets.telling import HOSTILE, Teller, hostile_story

HOME = "http://transcript.test/"

START = """
async (source) => {
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const widget = (await import(url)).default();
  const listeners = [];
  window.sent = [];
  window.removed = [];
  const view = (id) => {
    const el = document.createElement("input");
    el.id = id;
    return { el, remove() { window.removed.push(id); el.remove(); } };
  };
  const model = {
    send: (message) => window.sent.push(message),
    on: (name, listener) => { if (name === "msg:custom") listeners.push(listener); else window.die = listener; },
    widget_manager: { get_model: async (id) => id, create_view: async (id) => view(id) },
  };
  window.nbaModel = model;
  widget.initialize({ model });
  window.tell = (message) => listeners.forEach((listener) => listener(message, []));
  window.tellDeflated = (text) => {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    listeners.forEach((listener) => listener({ type: "deflated" }, [new DataView(bytes.buffer)]));
  };
  window.show = () => {
    const area = document.body.appendChild(document.createElement("div"));
    area.className = "jp-OutputArea-child";
    const el = area.appendChild(document.createElement("div"));
    const dispose = widget.render({ model, el });
    window.hide = () => { dispose(); el.remove(); };
  };
  window.show();
}
"""

READ = """
(number) => {
  const copy = document.querySelectorAll(".nba")[number].cloneNode(true);
  copy.querySelectorAll(".nba-time, .nba-took, .nba-sr").forEach((element) => element.remove());
  return copy.innerHTML.replaceAll(/<div class="nba-piece"[^>]*>|<\\/div>/g, "");
}
"""
"""What a view shows, without clocks, and without how many pieces the HTML came in."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("Chromium is missing: make test-deps")
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


class Show:
    """A page that shows one transcript, and what the page did that it should not."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.tell = Teller()
        self.document = Document()
        self.wire = Wire(self.document)
        self.requests: list[str] = []
        self.faults: list[str] = []
        page.route("**/*", self._route)
        page.on("dialog", self._dialog)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.goto(HOME)
        page.evaluate(START, module(*SCRIPTS))

    def _dialog(self, dialog: Dialog) -> None:
        self.faults.append(dialog.message)
        dialog.dismiss()

    def _route(self, route: Route) -> None:
        if route.request.url == HOME:
            route.fulfill(content_type="text/html", body=f"<style>{asset('transcript.css')}</style><body></body>")
        else:
            self.requests.append(route.request.url)
            route.abort()

    def events(self, *events: ev.Event) -> None:
        """One frame of events."""
        for event in events:
            self.document.apply(event)
        patch = self.wire.patch()
        if patch is not None:
            self.send(patch)

    def send(self, message: Any) -> None:
        """A message of the kernel's."""
        self.page.evaluate("(message) => window.tell(message)", json.loads(json.dumps(message)))

    @property
    def sent(self) -> list[dict[str, Any]]:
        """What the view sent."""
        return self.page.evaluate("window.sent")

    def read(self, number: int = 0) -> str:
        """What a view shows."""
        return self.page.evaluate(READ, number)


@pytest.fixture
def show(browser: Browser) -> Iterator[Show]:
    context = browser.new_context()
    context.set_default_timeout(10_000)
    show = Show(context.new_page())
    yield show
    assert show.faults == []
    context.close()


def story(show: Show) -> None:
    tell, child = show.tell, Teller("t2", "auditor")
    show.events(tell(ev.StreamStarted), tell(ev.UserMessage, content="Pay"))
    for piece in (
        "Some *wor",
        "ds*.\n\n- a\n- 🙂",
        "b\n\nThen `",
        "code`.\n\n```python\nx = ",
        "1\n```\n\nEnd",
        "ing.",
    ):
        show.events(tell(ev.AgentChoice, content=piece))
    show.events(tell(ev.ToolCallStarted, tool_call_id="c", name="f", arguments={"x": 1}))
    for percent in (1, 50, 100):
        show.events(tell(ev.ToolCallOutput, tool_call_id="c", content=f"\r{percent} % 🙂"))
    show.events(tell(ev.ToolCallResponse, tool_call_id="c", name="f", response="done\n" * 50, duration=0.5))
    show.events(tell(ev.SubSessionStarted, child_stream_id="t2", child_session_id="s2", child_agent="auditor"))
    show.events(child(ev.AgentChoiceReasoning, content="Hm."), child(ev.AgentChoice, content="Fine."))
    show.events(child(ev.StreamStopped, reason="completed"), tell(ev.Warning, message="Careful"))


def test_a_view_says_that_it_is_ready_and_asks_for_the_whole(show: Show) -> None:
    assert show.sent == [{"type": "sync", "plain": False}, {"type": "ready"}]


def test_patches_and_the_whole_show_the_same(show: Show) -> None:
    story(show)
    patched = show.read()
    assert "<em>words</em>" in patched and "100 % 🙂" in patched and "Careful" in patched
    show.page.reload()
    show.page.evaluate(START, module(*SCRIPTS))
    show.send(show.wire.whole())
    assert show.read() == patched
    show.events(show.tell(ev.AgentChoice, content="More."))
    assert "More." in show.read()


def test_a_second_view_shows_the_same_and_both_go_on(show: Show) -> None:
    story(show)
    show.page.evaluate("window.show()")
    assert show.read(1) == show.read(0)
    show.events(show.tell(ev.AgentChoice, content="More **text**.\n\nand"))
    assert "<strong>text</strong>" in show.read(1)
    assert show.read(1) == show.read(0)


def test_a_view_that_misses_a_patch_asks_and_is_whole_again(show: Show) -> None:
    show.send(show.wire.whole())
    show.events(show.tell(ev.UserMessage, content="One"))
    show.document.apply(show.tell(ev.UserMessage, content="Two"))
    assert show.wire.patch() is not None  # lost on the way
    before = show.sent.count({"type": "sync", "plain": False})
    show.events(show.tell(ev.UserMessage, content="Three"))
    assert "Three" not in show.read()
    show.page.wait_for_function(f"window.sent.filter((m) => m.type === 'sync').length > {before}")
    show.send(show.wire.whole())
    assert all(word in show.read() for word in ("One", "Two", "Three"))


def test_deflated_messages_keep_their_place(show: Show) -> None:
    show.document.apply(show.tell(ev.AgentChoice, content="word " * 3000))
    large = show.wire.patch()
    show.document.apply(show.tell(ev.AgentChoice, content="the end"))
    small = show.wire.patch()
    body = base64.b64encode(zlib.compress(json.dumps(large).encode())).decode()
    show.page.evaluate("([large, small]) => { tellDeflated(large); tell(small); }", [body, small])
    show.page.wait_for_function("document.querySelector('.nba-tail')?.textContent.endsWith('word the end')")


ACTING = """
() => [...document.querySelectorAll(".nba *")]
  .filter((element) => element.matches("script, iframe, svg, object, embed, form, input, base, link, meta, style")
    || [...element.attributes].some((attribute) => /^on|^style$|^id$|commandlinker/.test(attribute.name)))
  .map((element) => element.outerHTML)
"""


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_hostile_acts_in_the_page(show: Show, text: str) -> None:
    told = hostile_story(text)
    for start in range(0, len(told), 10):
        show.events(*told[start : start + 10])
    show.page.evaluate("document.querySelectorAll('details').forEach((element) => { element.open = true; })")
    show.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert show.requests == []
    acting = show.page.evaluate(ACTING)
    assert acting == []


def test_a_remote_image_is_fetched_on_a_click_alone(show: Show) -> None:
    show.events(show.tell(ev.AgentChoice, content="![chart](https://evil.example/leak.png)\n\n"))
    assert show.requests == []
    with show.page.expect_request("https://evil.example/leak.png") as request:
        show.page.get_by_role("button", name="Load image").click()
    assert "referer" not in request.value.headers


def test_stop_is_sent_once(show: Show) -> None:
    show.events(show.tell(ev.StreamStarted))
    stop = show.page.get_by_role("button", name="Stop")
    stop.click()
    assert stop.is_disabled()
    assert show.sent.count({"type": "stop"}) == 1
    show.events(show.tell(ev.StreamStopped, reason="cancelled"))
    assert not stop.is_visible()


def test_a_form_stands_in_its_place_until_it_is_answered(show: Show) -> None:
    show.wire.forms["q"] = "form-1"
    show.events(show.tell(ev.ElicitationRequest, id="q", message="Sure?", source="bank"))
    show.page.wait_for_selector(".nba-form-slot #form-1")
    show.page.evaluate("window.show()")
    show.page.wait_for_function("document.querySelectorAll('.nba-form-slot #form-1').length === 2")
    show.events(show.tell(ev.ElicitationResolved, id="q", action="accept"))
    assert show.page.query_selector("#form-1") is None
    assert show.page.evaluate("window.removed") == ["form-1", "form-1"]
    assert "answered" in show.read()


def test_a_run_whose_kernel_is_gone_says_so_and_takes_no_answer(show: Show) -> None:
    show.wire.forms["q"] = "form-1"
    show.events(show.tell(ev.StreamStarted), show.tell(ev.ElicitationRequest, id="q", message="Sure?", source="bank"))
    show.page.wait_for_selector(".nba-form-slot #form-1")
    show.page.evaluate("window.die(); window.die()")
    assert show.page.locator("#form-1").is_disabled()
    assert show.page.get_by_role("button", name="Stop").count() == 0
    assert "kernel of this run is gone" in show.page.get_by_role("alert").inner_text()
    show.page.evaluate("window.show()")
    assert show.page.get_by_role("alert").count() == 2, "a view made later says so too"


def test_an_ended_run_of_which_the_front_end_forgot_the_output_stays(show: Show) -> None:
    show.events(show.tell(ev.StreamStarted), show.tell(ev.AgentChoice, content="Kept.\n\n"))
    show.events(show.tell(ev.StreamStopped, reason="completed"))
    show.page.evaluate("window.die()")
    assert show.page.get_by_role("alert").count() == 0, "an end is no news"
    show.page.evaluate("window.hide()")
    show.page.wait_for_selector(".jp-OutputArea-child > .nba-kept >> text=Kept.")


def test_a_view_that_is_closed_in_mid_run_leaves_nothing(show: Show) -> None:
    show.events(show.tell(ev.StreamStarted), show.tell(ev.AgentChoice, content="Words.\n\n"))
    show.page.evaluate("() => { window.hide(); return new Promise((resolve) => setTimeout(resolve)); }")
    assert show.page.locator(".nba").count() == 0


def test_a_long_result_is_folded_and_opens_by_keyboard(show: Show) -> None:
    lines = "\n".join(f"line {number}" for number in range(400))
    show.events(show.tell(ev.ToolCallStarted, tool_call_id="c", name="f", arguments={}))
    show.events(show.tell(ev.ToolCallResponse, tool_call_id="c", name="f", response=lines))
    show.page.locator(".nba-card > summary").focus()
    show.page.keyboard.press("Enter")
    assert "line 399" not in show.read()
    show.page.get_by_role("button", name="Show all 400 lines").press("Enter")
    assert "line 399" in show.read()


def test_states_are_told_to_assistive_technology(show: Show) -> None:
    show.events(show.tell(ev.StreamStarted), show.tell(ev.ElicitationRequest, id="q", message="Sure?"))
    assert show.page.get_by_role("status").inner_text() == "You are asked: Sure?"
    assert show.page.get_by_role("log").count() == 1
    show.events(show.tell(ev.Error, code="model_error", message="It broke"))
    assert "It broke" in show.page.get_by_role("alert").inner_text()
    show.events(show.tell(ev.StreamStopped, reason="error"))
    assert show.page.get_by_role("status").inner_text() == "The run has ended: error."


OBSERVE = """
() => {
  window.gone = [];
  const pieces = document.querySelector(".nba-pieces");
  const watch = (changes) => changes.forEach((change) => {
    window.gone.push(...[...change.removedNodes].map((node) => node.textContent));
    if (change.type !== "childList" || change.target !== pieces) window.gone.push(change.target.textContent);
  });
  const all = { subtree: true, childList: true, characterData: true, attributes: true };
  new MutationObserver(watch).observe(pieces, all);
}
"""
CODE, TABLE = "```python\nx = 1\n\ny = 2\n```", "| a | b |\n|---|---|\n| 1 | 2 |"
LONG = f"## Head\n\nSome *words*.\n\n{CODE}\n\n{TABLE}\n\n- one\n- two\n\n$$\na\n$$\n"


def test_finished_blocks_are_never_touched_again(show: Show) -> None:
    show.events(show.tell(ev.AgentChoice, content="First.\n\n"))
    show.page.evaluate(OBSERVE)
    source = LONG * 4
    for start in range(0, len(source), 7):
        show.events(show.tell(ev.AgentChoice, content=source[start : start + 7]))
    show.events(show.tell(ev.StreamStopped, reason="completed"))
    show.page.evaluate("() => new Promise((done) => setTimeout(done))")
    assert show.page.evaluate("window.gone") == []
    assert show.page.locator(".nba-pieces table").count() == 4
    assert show.page.locator(".nba-math").count() == 4


def copied(show: Show, clipboard: str) -> tuple[str, str]:
    show.page.evaluate(f"window.copied = null; Object.defineProperty(navigator, 'clipboard', {{ value: {clipboard} }})")
    show.page.evaluate("document.addEventListener('copy', () => { window.copied = document.activeElement.value; })")
    show.events(show.tell(ev.StreamStarted), show.tell(ev.AgentChoice, content="```python\nx = 1\n\ny = 2\n```\n"))
    show.page.locator(".nba-copy").focus()
    show.page.keyboard.press("Enter")
    show.page.wait_for_function("document.querySelector('.nba-copy').textContent !== 'Copy'")
    assert show.page.evaluate("document.activeElement.className") == "nba-copy", "the keyboard stays where it was"
    return show.page.evaluate("window.copied"), show.page.get_by_role("status").inner_text()


REFUSING = "{ writeText: async () => { throw new Error('no') } }"


@pytest.mark.parametrize("clipboard", ["{ writeText: async (t) => { window.copied = t } }", "undefined", REFUSING])
def test_code_is_copied_also_where_there_is_no_clipboard(show: Show, clipboard: str) -> None:
    assert copied(show, clipboard) == ("x = 1\n\ny = 2\n", "Copied")


RENDERERS = {
    "lab": "nbaModel.widget_manager.rendermime = { latexTypesetter: { typeset: set } }",
    "mathjax 3": "window.MathJax = { typesetPromise: async ([e]) => set(e) }",
    "mathjax 2": "window.MathJax = { Hub: { Queue: ([, , e]) => set(e) } }",
}


@pytest.mark.parametrize("renderer", RENDERERS)
def test_formulas_are_set_by_the_pages_own_renderer(show: Show, renderer: str) -> None:
    setter = "window.seen = []; const set = (e) => { seen.push(e.textContent); e.innerHTML = '<i>set</i>'; };"
    show.page.evaluate(f"() => {{ {setter} {RENDERERS[renderer]}; }}")
    show.events(show.tell(ev.AgentChoice, content="Say $a_1*b_1$ or\n$$\nc\n$$\nbut not $5 and $6.\n\n"))
    show.page.wait_for_function("document.querySelectorAll('.nba-set').length === 2")
    assert show.page.evaluate("window.seen") == ["\\(a_1*b_1\\)", "\\[\nc\n\\]"]


def test_without_a_renderer_a_formula_stands_as_it_was_written(show: Show) -> None:
    show.events(show.tell(ev.AgentChoice, content="Say $a_1*b_1$ now.\n\n"))
    formula = show.page.locator(".nba-math")
    assert formula.inner_text() == "$a_1*b_1$"
    assert "mono" in formula.evaluate("e => getComputedStyle(e).fontFamily").lower()


@pytest.mark.parametrize("width", [360, 900])
def test_nothing_is_wider_than_its_column(show: Show, width: int) -> None:
    show.page.set_viewport_size({"width": width, "height": 800})
    story(show)
    wide = "word" * 60
    show.events(
        show.tell(
            ev.AgentChoice, content=f"{wide}\n\n| a | b |\n|---|---|\n| {'x ' * 80} | {wide} |\n\n```\n{wide}\n```\n\n"
        ),
        show.tell(ev.ToolCallStarted, tool_call_id="w", name=wide, arguments={"x": wide}),
        show.tell(ev.ToolCallOutput, tool_call_id="w", content=wide),
        show.tell(ev.Warning, message=wide),
    )
    assert show.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")

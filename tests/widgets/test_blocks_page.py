"""What a reader sees of a transcript's structure in Chromium, live and as the twin: rows, groups, narrow columns."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from playwright.sync_api import Page

from nbagent import events as ev
from nbagent.messages import Attachment
from nbagent.widgets.document import Document
from nbagent.widgets.static import as_html
from nbagent.widgets.wire import Wire
from tests.widgets import test_transcript_script as script
from tests.widgets.telling import Teller, hostile_story
from tests.widgets.test_transcript_script import ACTING, Show

browser, show = script.browser, script.show

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
WIDE = "word" * 60


def run(end: bool) -> list[Any]:
    """Three calls at once, then agents ten deep, of which the last asks; all ended or not."""
    tell = Teller("t0", "lead")
    told = [
        tell(ev.StreamStarted),
        tell(ev.UserMessage, content="שלום, pay", attachments=({"name": WIDE}, {"name": "b"})),
    ]
    told.append(
        tell(ev.AgentChoice, content=f"One.\n\nשלום **עולם** one\n\n| a | b |\n|--|--|\n| {WIDE} | {WIDE} |\n\n")
    )
    for name in ("first", "second", "third"):
        told.append(
            tell(ev.ToolCallStarted, tool_call_id=name, name=name, arguments={"to": "Keller", WIDE: [WIDE] * 3})
        )
    for name in ("third", "first", "second"):
        told.append(tell(ev.ToolCallResponse, tool_call_id=name, name=name, response=f"{WIDE}\n" * 40, duration=0.2))
    tellers = [tell, *(Teller(f"t{depth}", f"agent{depth}") for depth in range(1, 11))]
    for outer, inner in pairwise(tellers):
        about = {"child_stream_id": inner.stream, "child_session_id": inner.stream, "child_agent": inner.agent}
        told.append(outer(ev.SubSessionStarted, **about))
    deepest = tellers[-1]
    told.append(deepest(ev.ToolCallStarted, tool_call_id="c", name="deep", arguments={"code": WIDE}))
    told.append(deepest(ev.ElicitationRequest, id="q", message="Sure?", tool_call_id="c"))
    if end:
        told.append(deepest(ev.ElicitationResolved, id="q", action="accept"))
        told.append(deepest(ev.ToolCallResponse, tool_call_id="c", name="deep", response="deep words", duration=0.2))
        told += [one(ev.StreamStopped, reason="completed") for one in reversed(tellers)]
    return told


def fits(page: Page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


BOXES = """(selector) => [...document.querySelectorAll(selector)].map((element) => {
  const { x, y, width } = element.getBoundingClientRect();
  return [element.querySelector("b, .nba-name").textContent, Math.round(x), Math.round(y), Math.round(width)];
})"""


def side_by_side(page: Page, selector: str) -> None:
    """Three in a row where there is room, in the order of the calls; below each other at 360 px, and at 200 %."""
    page.set_viewport_size({"width": 900, "height": 800})
    boxes = page.evaluate(BOXES, selector)
    assert [name for name, *_ in boxes] == ["first", "second", "third"]
    assert len({y for _, _, y, _ in boxes}) == 1 and boxes[0][1] < boxes[1][1] < boxes[2][1]
    for width, zoom in ((360, "1"), (720, "2")):
        page.set_viewport_size({"width": width, "height": 800})
        page.evaluate("(zoom) => { document.documentElement.style.zoom = zoom; }", zoom)
        boxes = page.evaluate(BOXES, selector)
        assert len({x for _, x, _, _ in boxes}) == 1 and boxes[0][2] < boxes[1][2] < boxes[2][2]
        assert fits(page)
        for direction in ("rtl", "ltr"):
            page.evaluate("(direction) => { document.documentElement.dir = direction; }", direction)
            assert fits(page), direction
    page.evaluate("document.documentElement.style.zoom = '1'")


def test_the_live_view_has_rows_groups_and_tables_that_fit_any_column(show: Show) -> None:
    show.document = Document(
        heading="helper · in the background as r7",
        attachments=[Attachment("image/png", PNG, WIDE), Attachment("image/png", "no picture", "b")],
    )
    show.wire, page = Wire(show.document), show.page
    for event in run(end=False):
        show.events(event)
    assert page.get_by_role("heading", name="helper · in the background as r7").is_visible()
    thumb = page.locator(".nba-chip img")
    assert thumb.count() == 1 and thumb.evaluate("image => image.decode().then(() => image.naturalWidth)") == 1
    assert page.locator(".nba-chip").all_inner_texts() == [WIDE[:79] + "…", "b"]
    deep = page.locator("details.nba-sub").nth(9)
    assert deep.locator("> summary").inner_text().startswith("agent10 · for agent9\n●asks you · ")
    assert page.get_by_role("group", name="agent1 · for lead", exact=True).is_visible()
    outer = page.locator("details.nba-sub > summary").first
    outer.focus()
    page.keyboard.press("Enter")
    last = Teller("t10", "agent10")
    show.events(last(ev.ElicitationResolved, id="q", action="accept"))
    assert not deep.is_visible() and "working" in outer.inner_text()
    show.events(last(ev.ElicitationRequest, id="q2", message="Sure again?", tool_call_id="c"))
    assert deep.is_visible(), "a question opens what it stands in"
    page.keyboard.press("Enter")
    show.events(last(ev.ElicitationResolved, id="q2", action="accept"), *run(end=True)[-12:])
    assert "✓done · " in outer.inner_text() and not deep.is_visible(), "it stays as the reader left it"
    page.evaluate("document.querySelectorAll('details').forEach((element) => { element.open = true; })")
    rows = page.locator(".nba-row").first.locator(".nba-card").first.get_by_role("row")
    assert rows.first.get_by_role("rowheader").inner_text() == "to"
    assert rows.first.get_by_role("cell").inner_text() == "Keller"
    assert page.get_by_text("עולם").first.evaluate("element => getComputedStyle(element).direction") == "rtl"
    side_by_side(page, ".nba-blocks > .nba-row > .nba-card")


def test_the_twin_has_its_style_and_fits_any_column(show: Show) -> None:
    document, page = Document(), show.page
    for event in run(end=True):
        document.apply(event)
    page.set_content(f"<!doctype html>{as_html(document)}")
    card = page.locator(".d").first
    assert card.evaluate("element => getComputedStyle(element).borderTopLeftRadius") == "6px", "the style is read"
    assert page.get_by_text("עולם").evaluate("element => getComputedStyle(element.parentElement).direction") == "rtl"
    deep = page.get_by_text("deep words")
    assert not deep.is_visible()
    page.locator(".u > summary").first.focus()
    page.keyboard.press("Enter")
    page.evaluate("document.querySelectorAll('details').forEach((element) => { element.open = true; })")
    assert deep.is_visible()
    side_by_side(page, ".r > .d")


@pytest.mark.parametrize("name", ['x" onerror="alert(1)', "<img src=x onerror=alert(1)>"])
def test_a_picture_in_the_prompt_cannot_act(show: Show, name: str) -> None:
    attached = [Attachment("image/png", PNG, name), Attachment("image/png", f'{PNG}" onerror="alert(1)', name)]
    show.document = Document(attachments=attached, heading=name)
    show.wire = Wire(show.document)
    story = hostile_story(name)
    named = tuple({"name": one.name, "mime": one.mime, "size": one.size} for one in attached)
    show.events(story[0], Teller(agent=name)(ev.UserMessage, content=name, attachments=named), *story[1:])
    assert show.page.locator(".nba-chip img").count() == 1
    assert show.page.evaluate(ACTING) == [] and show.requests == []

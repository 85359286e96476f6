"""P10, who can answer: the order of the rule, and how long it takes."""

from __future__ import annotations

import asyncio

import pytest

from nbagent.notebook.attendance import Attendance, Verdict

pytestmark = pytest.mark.anyio


def attendance(
    ready: asyncio.Event | None, *, stdin: bool = False, patience: float = 0.01, interactive: str = ""
) -> Attendance:
    now = asyncio.get_running_loop().time()
    return Attendance(ready, stdin, now, patience=patience, environ={"NBAGENT_INTERACTIVE": interactive})


def ready() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


async def decide(what: Attendance) -> Verdict:
    return await asyncio.wait_for(what.verdict(), 5)


async def test_p10_a_page_that_is_there_shows_forms() -> None:
    assert (await decide(attendance(ready(), stdin=True))).how == "form"


async def test_p10_without_a_page_stdin_where_it_is_allowed_else_nobody() -> None:
    assert (await decide(attendance(asyncio.Event(), stdin=True))).how == "stdin"
    verdict = await decide(attendance(asyncio.Event()))
    assert verdict.how == "nobody"
    assert "no page showed the transcript within 0.01 s" in verdict.why


async def test_p10_a_page_that_comes_within_the_patience_wins() -> None:
    event = asyncio.Event()
    asyncio.get_running_loop().call_later(0.01, event.set)
    assert (await decide(attendance(event, stdin=True, patience=30))).how == "form"


async def test_p10_patience_counts_from_the_display_but_a_last_look_is_granted() -> None:
    event = asyncio.Event()
    late = Attendance(event, False, asyncio.get_running_loop().time() - 100, environ={})
    asyncio.get_running_loop().call_later(0.01, event.set)
    assert (await decide(late)).how == "form"


async def test_p10_without_widgets_nothing_is_waited_for() -> None:
    assert (await decide(attendance(None, stdin=True, patience=30))).how == "stdin"
    assert (await decide(attendance(None, patience=30))).how == "nobody"


async def test_p10_the_environment_overrides_both_ways() -> None:
    verdict = await decide(attendance(ready(), stdin=True, interactive="0"))
    assert verdict.how == "nobody"
    assert "NBAGENT_INTERACTIVE=0" in verdict.why
    assert (await decide(attendance(asyncio.Event(), patience=30, interactive="1"))).how == "form"
    assert (await decide(attendance(None, stdin=True, interactive="1"))).how == "stdin"

"""P6: a run's forms are taken back at its end, also where the end itself is cut short."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import pytest

from nbagent.notebook import stdin
from nbagent.notebook.attendance import Attendance
from nbagent.notebook.questions import Questions
from tests.widgets.test_forms import request

pytestmark = pytest.mark.anyio


class Place:
    """Where forms stand."""

    def __init__(self) -> None:
        self.forms: dict[str, Any] = {}
        self.shown = asyncio.Event()

    def place(self, question_id: str, widget: Any) -> None:
        self.forms[question_id] = widget
        self.shown.set()

    def remove(self, question_id: str) -> None:
        del self.forms[question_id]


class Nobody:
    """Takes no answer."""

    def answer(self, *_: Any, **__: Any) -> None: ...


async def test_p6_an_end_that_is_cut_short_leaves_no_form() -> None:
    ready, place, waits, held = asyncio.Event(), Place(), asyncio.Event(), asyncio.Event()
    ready.set()

    async def prepare() -> None:
        """What the second question waits for does not end when it is told to."""
        while place.forms:
            waits.set()
            try:
                await held.wait()
            except asyncio.CancelledError:
                closing.cancel()

    attendance = Attendance(ready, False, 0.0, environ={})
    questions = Questions(
        Nobody(), attendance, place, read=stdin.read_threaded, interrupt=lambda: None, tell=lambda _: None,
        prepare=prepare,
    )  # fmt: skip
    asked = request({"type": "object", "properties": {"a": {"type": "string"}}})
    await questions.on_event(asked)
    await place.shown.wait()
    (form,) = place.forms.values()
    await questions.on_event(dataclasses.replace(asked, id="second"))
    await waits.wait()
    closing = asyncio.ensure_future(questions.aclose())
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert place.forms == {}
    assert form.comm is None

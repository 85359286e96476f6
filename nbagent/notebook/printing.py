"""A run's text printed as it comes, for a front end that shows neither widgets nor replaced outputs: `jupyter console`.

Such a front end does not say what it is. It is taken for one where nothing has shown the transcript in time, while the
request allowed stdin and named no cell, as those of notebooks do. Used by `output.WidgetOutput`, for a run that its
cell waits for: what another cell's run printed would stand in the middle of what a person types.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from nbagent.events import Event
from nbagent.notebook.attendance import PATIENCE

if TYPE_CHECKING:
    from nbagent.notebook.plan import Plan
    from nbagent.widgets.plain import PlainTranscript

SOONER = 0.2
"""Seconds by which the text comes before the prompts that take the place of forms."""


def may_print(plan: Plan) -> bool:
    """Whether the run's front end may be one that only printing reaches."""
    cell = plan.cell
    return cell is not None and cell.cell_id is None and cell.allow_stdin and not plan.command.background


class Printing:
    """Prints one run, once it is clear that nothing shows it.

    Parameters
    ----------
    plan
        The run.
    shown
        Whether something shows it.
    write
        Takes text.
    """

    def __init__(self, plan: Plan, shown: Callable[[], bool], write: Callable[[str], None]) -> None:
        self._plan = plan
        self._shown = shown
        self._write = write
        self._earlier: list[Event] = []
        self._plain: PlainTranscript | None = None
        self._timer = asyncio.get_running_loop().call_later(PATIENCE - SOONER, self._begin)

    def take(self, event: Event) -> None:
        """Print one event, or keep it until it is clear who shows it."""
        if self._plain is not None:
            self._plain.take(event)
        elif not self._shown():
            self._earlier.append(event)

    def finish(self) -> None:
        """Print what was kept; idempotent."""
        self._timer.cancel()
        if self._plain is None:
            self._begin()

    def _begin(self) -> None:
        from nbagent.widgets.plain import PlainTranscript

        earlier, self._earlier = self._earlier, []
        if self._shown() or not earlier:
            return
        self._plain = PlainTranscript(self._write, **self._plan.about)
        for event in earlier:
            self._plain.take(event)

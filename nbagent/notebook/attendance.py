"""Who can answer a question of this run: the one rule, in the one place (a run must not wait for nobody).

In this order: `NBAGENT_INTERACTIVE=0` says nobody, `=1` says that a person is there; a transcript whose JavaScript
sent `ready` shows forms; without it, 3 seconds after the transcript was displayed, questions become prompts on stdin
where the execute_request allowed stdin, or, where the run goes on beside the cells, wait for `%agent_answer` (a prompt
would stand in the way of the next cell's); else nobody can answer, and the question is declined with a note that
names what decided.

nbclient and papermill allow no stdin and run no JavaScript; a terminal has stdin and no JavaScript; a notebook has
both. A `ready` that comes later still wins for the questions that are open then: whoever acts on a verdict watches
for it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

PATIENCE = 3.0
"""Seconds that a page has, from the display of the transcript, to say that it is there."""

LAST_LOOK = 0.5
"""Seconds granted to a `ready` that may stand in the queue, when the patience was spent by a loop that was busy."""


class Flag(Protocol):
    """An `asyncio.Event` as seen from here."""

    def is_set(self) -> bool: ...
    async def wait(self) -> object: ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """How questions are asked (`magic`: they wait for `%agent_answer`), and what decided it, in words for a model."""

    how: Literal["form", "stdin", "magic", "nobody"]
    why: str


@dataclass(slots=True)
class Attendance:
    """Decides for the questions of one run.

    Parameters
    ----------
    ready
        Set when the page showed the transcript; None where there are no widgets.
    allow_stdin
        Whether the cell's execute_request (or the terminal) allows prompts.
    displayed
        The loop's time when the transcript was displayed.
    patience
        Seconds from then that the page has.
    beside
        Whether the run goes on beside the cells now, its own having ended.
    environ
        Where `NBAGENT_INTERACTIVE` is read.
    """

    ready: Flag | None
    allow_stdin: bool
    displayed: float
    patience: float = PATIENCE
    beside: Callable[[], bool] = lambda: False
    environ: Mapping[str, str] | None = None

    async def verdict(self) -> Verdict:
        """Decide; takes as long as the page still has, and no longer."""
        override = self._override()
        if override == "0":
            return Verdict("nobody", "NBAGENT_INTERACTIVE=0 says that nobody is there to answer")
        if self.ready is not None and self.ready.is_set():
            return Verdict("form", "the page shows the transcript")
        if override == "1":
            return self._somebody()
        if self.ready is not None and await self._page_comes(self.ready):
            return Verdict("form", "the page shows the transcript")
        if self.allow_stdin and self.beside():
            return Verdict("magic", "no page showed the transcript, and %agent_answer can be typed")
        if self.allow_stdin:
            return Verdict("stdin", "no page showed the transcript, and this cell may prompt on stdin")
        return Verdict("nobody", self._absence())

    def _override(self) -> str:
        return (os.environ if self.environ is None else self.environ).get("NBAGENT_INTERACTIVE", "").strip()

    def _somebody(self) -> Verdict:
        if self.ready is None and self.beside():
            return Verdict("magic", "NBAGENT_INTERACTIVE=1")
        if self.ready is None and self.allow_stdin:
            return Verdict("stdin", "NBAGENT_INTERACTIVE=1")
        if self.ready is None:
            return Verdict("nobody", "there are no widgets here, and this cell may not prompt on stdin")
        return Verdict("form", "NBAGENT_INTERACTIVE=1")

    async def _page_comes(self, ready: Flag) -> bool:
        left = self.displayed + self.patience - asyncio.get_running_loop().time()
        try:
            await asyncio.wait_for(ready.wait(), max(left, LAST_LOOK))
        except TimeoutError:
            return ready.is_set()
        return True

    def _absence(self) -> str:
        if self.ready is None:
            return "there are no widgets here, and this cell may not prompt on stdin"
        return (
            f"no page showed the transcript within {self.patience:g} s, and this cell may not prompt on stdin "
            "(NBAGENT_INTERACTIVE=1 makes the run wait for a person)"
        )

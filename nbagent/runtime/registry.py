"""The list of live runs of this process: every run is on it before it acquires anything, until its producer has ended.

Below `run`, which enters and leaves it; `live` shows it as streams, `asking` finds the innermost. It is the second
owner of each run: who unloads, shuts down or starts anew finalizes whatever is still here. It holds the run, never the
consumer's handle, or garbage collection could not see that the handle was dropped.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from nbagent.events import StreamStopped
from nbagent.ports import Asker
from nbagent.runtime.bridge import LiveRun


class OwnedRun(LiveRun[Any], Protocol):
    """What can be asked of any run of the process, whoever has its handle."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that it runs on."""
        ...

    @property
    def on_loop_thread(self) -> bool:
        """Whether this is the thread of that loop."""
        ...

    @property
    def stopped(self) -> StreamStopped | None:
        """Its final event, or None while it is live."""
        ...

    @property
    def questions(self) -> Asker:
        """What it asks."""
        ...

    def bury(self) -> None:
        """Its loop was closed over it: record the facts, and wake nobody."""
        ...


_runs: dict[str, OwnedRun] = {}


def add(run: OwnedRun) -> None:
    """The run is about to acquire."""
    _runs[run.id] = run


def discard(run: OwnedRun) -> None:
    """The run's producer has ended; idempotent."""
    _runs.pop(run.id, None)


def owned() -> tuple[OwnedRun, ...]:
    """The runs whose producers have not ended, oldest first."""
    return tuple(_runs.values())


def bury_dead() -> None:
    """Finalize the runs whose loop was closed over them; the next run does it, as the second owner."""
    for run in owned():
        if run.loop.is_closed():
            run.bury()


def innermost() -> OwnedRun | None:
    """The run that began last and has not stopped, or None."""
    runs = reversed(owned())
    return next((run for run in runs if run.stopped is None and not run.loop.is_closed()), None)

"""The list of live runs of this process: every run is on it before it acquires anything, until its producer has ended.

It is the second owner of each run: who unloads, shuts down or starts anew finalizes whatever is still here. It holds
the run, never the consumer's handle, or garbage collection could not see that the handle was dropped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbagent.runtime.run import Run
    from nbagent.runtime.stream import Stream

_runs: dict[str, Run] = {}


def add(run: Run) -> None:
    """The run is about to acquire."""
    _runs[run.id] = run


def discard(run: Run) -> None:
    """The run's producer has ended; idempotent."""
    _runs.pop(run.id, None)


def live_runs() -> tuple[Stream, ...]:
    """The streams of this process whose producers have not ended, oldest first."""
    return tuple(run.handle for run in tuple(_runs.values()))


def bury_dead() -> None:
    """Finalize the runs whose loop was closed over them; the next run does it, as the second owner."""
    for run in tuple(_runs.values()):
        if run.loop.is_closed():
            run.bury()


def innermost() -> Run | None:
    """The run that began last and has not stopped, or None."""
    runs = reversed(tuple(_runs.values()))
    return next((run for run in runs if run.stopped is None and not run.loop.is_closed()), None)

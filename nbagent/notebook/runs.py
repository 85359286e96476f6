"""The notebook's runs: those that are live, and the last finished ones with the document that their cell kept.

`%agent_list`, `%agent_stop` and `%agent_show` read it; `cellrun` writes it. Runs have short names (r1, r2 …) that a
person can type; a stream's own id is understood as well, also that of a stream which code started without a magic.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from nbagent.errors import UsageError
from nbagent.events import StopReason, StreamStopped
from nbagent.notebook.displaying import Document, table
from nbagent.session import Result

if TYPE_CHECKING:
    from nbagent.runtime.stream import Stream

KEPT = 50
"""Finished runs whose documents can still be shown."""


class Live(Protocol):
    """A run that has not come to its end: `nbagent.notebook.showing.ShownRun`."""

    @property
    def stopped(self) -> StreamStopped | None: ...
    def cancel(self, reason: StopReason = "cancelled") -> None: ...
    async def join(self) -> None: ...

    def show(self) -> None:
        """Display it in the cell that runs now."""
        ...


@dataclass(slots=True, eq=False)
class CellRun:
    """One run that a magic started; once it has ended, what is worth keeping of it.

    Parameters
    ----------
    id
        Short, for people: r1, r2 …
    stream_id
        Its stream's identifier.
    agent
        The name of the variable; of a background agent, its own.
    prompt
        What was asked, expanded.
    cell_id, execution
        The cell and the execution of it that asked, where there was one.
    background
        Whether the cell did not wait for it.
    live
        The run itself, until it has ended.
    document, result
        Set when it has.
    """

    id: str
    stream_id: str
    agent: str
    prompt: str
    cell_id: str | None
    execution: str | None
    background: bool
    live: Live | None
    started: float = field(default_factory=time.time)
    document: Document | None = None
    result: Result | None = None

    @property
    def state(self) -> str:
        """``running`` or ``background``, then the reason of the stop."""
        if self.result is not None:
            return self.result.reason
        if self.live is not None and self.live.stopped is not None:
            return self.live.stopped.reason
        return "background" if self.background else "running"

    def cancel(self, reason: StopReason = "cancelled") -> None:
        """Stop it, also before its stream has begun; after its end this changes nothing."""
        if self.live is not None:
            self.live.cancel(reason)

    async def join(self) -> None:
        """Wait, bounded, until its producer has ended and its session is free."""
        if self.live is not None:
            await self.live.join()


class Runs:
    """The runs of one notebook."""

    def __init__(self, kept: int = KEPT) -> None:
        self._count = 0
        self._live: dict[str, CellRun] = {}
        self._finished: deque[CellRun] = deque(maxlen=kept)

    @property
    def live(self) -> tuple[CellRun, ...]:
        """The runs that have not come to their end, oldest first."""
        return tuple(self._live.values())

    @property
    def all(self) -> tuple[CellRun, ...]:
        """The finished runs that are kept, then the live ones, oldest first."""
        return (*self._finished, *self._live.values())

    def new_id(self) -> str:
        """The next short name."""
        self._count += 1
        return f"r{self._count}"

    def add(self, run: CellRun) -> None:
        """The run begins."""
        self._live[run.id] = run

    def finished(self, run: CellRun, document: Document, result: Result) -> None:
        """The run has ended and its cell keeps `document`."""
        run.document, run.result, run.live = document, result, None
        if self._live.pop(run.id, None) is not None:
            self._finished.append(run)

    def discard(self, run: CellRun) -> None:
        """The run never began."""
        self._live.pop(run.id, None)

    def of_other_execution(self, cell_id: str | None, execution: str | None) -> list[CellRun]:
        """The live runs that another execution of the same cell started."""
        if cell_id is None:
            return []
        return [run for run in self.live if run.cell_id == cell_id and run.execution != execution]

    def find(self, run_id: str | None) -> CellRun:
        """The run of that short name or stream id; without one, the newest.

        Raises
        ------
        UsageError
            There is none.
        """
        runs = self.all
        if run_id is None:
            if runs:
                return runs[-1]
            raise UsageError("nothing has run yet: %agent_run AGENT PROMPT runs an agent")
        for run in reversed(runs):
            if run_id in (run.id, run.stream_id):
                return run
        raise UsageError(f"no run {run_id}; %agent_list shows the last {self._finished.maxlen} and those that are live")

    def stop(self, run_id: str | None) -> str:
        """Cancel a live run: the one named, or the only one; what was stopped, in words.

        Raises
        ------
        UsageError
            It is not live, or without an id there is not exactly one.
        """
        stops = self._stops()
        if run_id is None and len(stops) != 1:
            raise UsageError(f"live are {', '.join(stops)}; name one: %agent_stop ID" if stops else "no run is live")
        name = run_id or next(iter(stops))
        if name not in stops:
            run = self.find(name)
            if run.id not in stops:
                raise UsageError(f"{run.id} has already ended ({run.state})")
            name = run.id
        stops[name]("cancelled")
        return name

    def _stops(self) -> dict[str, Callable[[StopReason], None]]:
        """How to stop what is live, by name: the cells' own runs, and those that code started without a magic."""
        own = {run.id: run.cancel for run in self.live if run.live is not None and run.live.stopped is None}
        return own | {stream.id: stream.cancel for stream in self._others()}

    def _others(self) -> list[Stream]:
        from nbagent.runtime.live import live_runs

        known = {run.stream_id for run in self.live}
        return [s for s in live_runs() if s.parent is None and s.stopped is None and s.id not in known]

    # ------------------------------------------------------------ as a table

    def table(self) -> Document:
        """The runs as text/plain and text/html, newest last."""
        head = ("run", "state", "agent", "prompt", "began")
        rows = [(run.id, run.state, run.agent, _short(run.prompt), _clock(run.started)) for run in self.all]
        rows += [(stream.id, "running", stream.agent_name, "", "") for stream in self._others()]
        return table(head, rows, empty="No runs yet.")


def _short(prompt: str, limit: int = 60) -> str:
    from nbagent.plaintext import plain

    line = " ".join(plain(prompt).split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def _clock(timestamp: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(timestamp))

"""A magic's run from its first step to its last: in the foreground, which the cell waits for, or in the background.

The order is the point. Everything is resolved before anything is acquired; the foreground (gate and SIGINT) is
acquired before the run begins and released after all of it has ended; only then does the statement end as the run
did. A cell has one run: what another execution of the same cell left running is superseded first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Sequence
from typing import Any

from nbagent.errors import RunError, UsageError
from nbagent.notebook.names import Names
from nbagent.notebook.parsing import RunCommand
from nbagent.notebook.plan import Plan, make_plan
from nbagent.notebook.runs import CellRun
from nbagent.notebook.showing import ShownRun
from nbagent.notebook.workspace import Workspace
from nbagent.session import Result


class RunFailed(RunError):
    """The run ended in error: the cell fails in one line, since the transcript above it has told the rest."""

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


class BackgroundRun:
    """A run that its cell did not wait for: awaited, it gives the `Result`.

    Attributes
    ----------
    id
        Its name in ``%agent_list``.
    """

    def __init__(self, run: CellRun, task: asyncio.Task[None]) -> None:
        self.id = run.id
        self._run = run
        self._task = task

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self._run.result is not None

    @property
    def result(self) -> Result | None:
        """What it came to, or None while it runs."""
        return self._run.result

    def cancel(self) -> None:
        """Stop it, as its Stop button does."""
        self._run.cancel("cancelled")

    async def _wait(self) -> Result:
        await asyncio.shield(self._task)
        assert self._run.result is not None
        return self._run.result

    def __await__(self) -> Generator[Any, None, Result]:
        return self._wait().__await__()

    def __repr__(self) -> str:
        return f"BackgroundRun({self.id!r}, agent={self._run.agent!r}, state={self._run.state!r})"


async def run_foreground(workspace: Workspace, command: RunCommand, names: Names) -> Result:
    """Run in the cell, which waits.

    Raises
    ------
    UsageError
        The command cannot be run.
    RunFailed
        The run ended in error.
    KeyboardInterrupt
        It was interrupted, and this is the cell's own task.
    """
    __tracebackhide__ = True  # IPython's traceback shows the cell alone
    plan = make_plan(workspace, command, names)
    with workspace.ground.foreground() as foreground:
        await _ended(_supersede(workspace, plan))
        shown = ShownRun(workspace, plan, background=False)
        result = await shown.play(foreground.attach)
    foreground.conclude(shown.reason)
    if result.reason == "error":
        raise _failure(shown, result)
    return result


def start_background(workspace: Workspace, command: RunCommand, names: Names) -> BackgroundRun:
    """Begin in the cell, which goes on; on the loop's thread.

    Raises
    ------
    UsageError
        The command cannot be run.
    """
    if not workspace.has_kernel:
        raise UsageError("--background needs a notebook's kernel: in a terminal nothing runs between two inputs")
    plan = make_plan(workspace, command, names)
    before = _supersede(workspace, plan)
    shown = ShownRun(workspace, plan, background=True)

    async def play() -> None:
        await _ended(before)
        await shown.play()

    return BackgroundRun(shown.run, workspace.spawn(play(), f"nbagent background {shown.run.id}"))


def _supersede(workspace: Workspace, plan: Plan) -> Sequence[CellRun]:
    """Stop what another execution of this cell left running."""
    others = workspace.runs.of_other_execution(plan.cell_id, plan.execution)
    for run in others:
        run.cancel("superseded")
    return others


async def _ended(runs: Sequence[CellRun]) -> None:
    for run in runs:
        await run.join()


def _failure(shown: ShownRun, result: Result) -> RunFailed:
    code = shown.error.code if shown.error is not None else "error"
    message = shown.error.message if shown.error is not None else "the run ended in error"
    line = " ".join(message.split())
    return RunFailed(f"{line} ({code}; run {shown.run.id}, %agent_show {shown.run.id} shows it again)", code, result)

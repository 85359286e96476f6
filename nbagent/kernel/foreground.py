"""What a run owns while its cell shows it: the comm gate and SIGINT; and how its cell ends.

Gate and signal have one owner per kernel, counted over the foreground runs: the first takes them, the last gives them
back, in whatever order they end. With one handler saved per run, two runs that overlap leave a dead one behind. Both
are taken before anything else of a run, and given back after everything else.

A run is in the foreground only within the cell that started it: at the cell's end whatever still runs is a background
run and owns neither. An interrupt or a re-execution that came before there was a run to cancel is kept for it.

`conclude` stands outside of the `with`: there it is too late to disturb a finalizer. KeyboardInterrupt is raised in the
cell's own task alone; out of any other it would end the kernel's process. Below: `gate`, `interrupts`, `cells`,
`superseding`. Above: `attachment`, `reentry`.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Generator
from typing import Any, Protocol

from nbagent.events import StopReason
from nbagent.kernel.cells import Cell, Cells
from nbagent.kernel.gate import Gate
from nbagent.kernel.interrupts import Interrupts
from nbagent.kernel.ports import KernelPort
from nbagent.kernel.queued import Queued
from nbagent.kernel.superseding import Silencer, Superseded


class Run(Protocol):
    """What a foreground needs of a stream."""

    @property
    def id(self) -> str:
        """The stream's identifier."""
        ...

    def cancel(self, reason: StopReason) -> None:
        """End it, for that reason."""
        ...

    def hurry(self) -> None:
        """Cut its cleanup short."""
        ...


class Foreground:
    """One run's share in the foreground; made by `Foregrounds.acquire`."""

    def __init__(self, cell: Cell | None, loop: asyncio.AbstractEventLoop, silencer: Silencer) -> None:
        self.cell = cell
        self.loop = loop
        self._silencer = silencer
        self._runs: list[Run] = []
        self._pressed = 0
        self._passed = 0
        self._superseded = cell is not None and cell.superseded

    @property
    def interrupted(self) -> bool:
        """Whether an interrupt came while this was in the foreground."""
        return self._pressed > 0

    @property
    def superseded(self) -> bool:
        """Whether the cell's re-execution is queued."""
        return self._superseded

    @property
    def waiting(self) -> bool:
        """Whether an interrupt came that no run has been told of."""
        return self._pressed > 0 and not self._runs

    def attach(self, run: Run) -> None:
        """Let interrupts and re-executions end `run`; one that came already ends it at once."""
        self._runs.append(run)
        if self._superseded:
            run.cancel("superseded")
        elif self._pressed:
            run.cancel("interrupted")
            self._passed = self._pressed

    def interrupt(self) -> None:
        """Note an interrupt and wake the loop; called in the signal handler."""
        self._pressed += 1
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self.loop.call_soon_threadsafe(self._pass_on)

    def inherit(self) -> None:
        """Take over an interrupt that came before this began."""
        self._pressed = 1

    def supersede(self) -> None:
        """Note the re-execution; on the loop's thread."""
        if not self._superseded:
            self._superseded = True
            for run in tuple(self._runs):
                run.cancel("superseded")

    def _pass_on(self) -> None:
        """Tell the runs what was pressed: first cancel, then hurry."""
        if not self._runs:
            return
        while self._passed < self._pressed:
            self._passed += 1
            for run in tuple(self._runs):
                if self._passed == 1:
                    run.cancel("interrupted")
                else:
                    run.hurry()

    def conclude(self, reason: StopReason = "completed") -> None:
        """End the cell as its run ended; call after the foreground was released.

        Raises
        ------
        Superseded
            The cell was executed again: no further statement is to run.
        KeyboardInterrupt
            The run was interrupted, and this is the cell's own task.
        asyncio.CancelledError
            The run was interrupted, and this is another task.
        """
        __tracebackhide__ = True  # IPython's traceback shows the cell alone
        cell = self.cell
        if cell is None or not cell.active:
            return
        if reason == "superseded" or self._superseded:
            self._silencer.arm()
            raise Superseded
        if reason == "interrupted" or self._pressed:
            if cell.is_cell_task:
                raise _keyboard_interrupt()
            raise asyncio.CancelledError("the run was interrupted")


class Foregrounds:
    """The foreground runs of one kernel, and the one owner of its gate and its SIGINT."""

    def __init__(self, cells: Cells, port: KernelPort | None, silencer: Silencer) -> None:
        self._cells = cells
        self._silencer = silencer
        self._gate = Gate(port, self._on_execute) if port is not None else None
        self._interrupts = Interrupts(self._on_interrupt)
        self._open: list[Foreground] = []
        self._queued = Queued()
        self._watched: Cell | None = None
        self._awaiting: Cell | None = None
        self._unclaimed = False

    @property
    def idle(self) -> bool:
        """Whether nothing is owned: no foreground, and (but for the cell's sake) the original receiver and handler."""
        if self._open or (self._gate is not None and self._gate.delivering):
            return False
        installed = self._gate is not None and self._gate.installed
        return self._awaiting is not None or not (installed or self._interrupts.owned)

    def running(self) -> Foreground | None:
        """The run that came to the foreground last, or None; from any thread."""
        return next((foreground for foreground in reversed(tuple(self._open))), None)

    @contextlib.contextmanager
    def acquire(self) -> Generator[Foreground]:
        """Come to the foreground of the executing cell; outside of a cell, or off the main thread, own nothing."""
        foreground = Foreground(self._cells.cell(), _loop(), self._silencer)
        try:
            self._enter(foreground)
            yield foreground
        finally:
            self._leave(foreground)

    def begin_cell(self, cell: Cell) -> None:
        """Know whether the cell is in the queue once more; own SIGINT and watch the queue all through an awaiting one.

        While a cell awaits, ipykernel takes in what comes behind it, where no gate finds it later: of a cell that was
        executed three times meanwhile, the first two would each show a form that nobody needs.

        ipykernel's handler has the cell's task cancelled some iterations of the loop later. If by then the task stands
        in a re-entry, the cancellation waits for the task's end, and takes the place of its result: the kernel sends
        no reply, publishes no idle, and (6.x) handles no request any more.
        """
        self._queued.began(cell.msg_id)
        cell.superseded = self._queued.names(cell.cell_id)
        self._close_gate()
        if _on_main_thread() and cell.task is not None and self._interrupts.cancels_instead:
            self._awaiting, self._unclaimed = cell, False
            self._interrupts.own(cell.task.get_loop())
            if self._gate is not None:
                self._gate.watch()

    def end_cell(self, cell: Cell, result: Any) -> None:
        """Whatever still runs of `cell` is in the background now."""
        for foreground in [f for f in self._open if f.cell is cell]:
            self._leave(foreground)
        if self._watched is cell:
            self._watched = None
        if self._awaiting is cell:
            self._awaiting, self._unclaimed = None, False
            self._interrupts.release()
        self._close_gate()
        self._silencer.end_cell(result)

    def close(self) -> None:
        """Give everything back."""
        for foreground in tuple(self._open):
            self._leave(foreground)
        self._watched = self._awaiting = None
        self._interrupts.release()
        self._queued.clear()
        self._close_gate()

    def _enter(self, foreground: Foreground) -> None:
        cell = foreground.cell
        if cell is None or not _on_main_thread():
            return
        self._open.append(foreground)
        self._interrupts.own(foreground.loop)
        if self._unclaimed or any(other.waiting for other in self._open):
            self._unclaimed = False
            foreground.inherit()
        if self._gate is not None:
            self._watched = cell
            self._gate.open(cell)

    def _leave(self, foreground: Foreground) -> None:
        if foreground not in self._open:
            return
        self._open.remove(foreground)
        if not self._open:
            self._end_interrupted(foreground)
            if self._gate is not None:
                self._gate.hold()
            if self._awaiting is None:
                self._interrupts.release()

    def _on_interrupt(self) -> None:
        for foreground in tuple(self._open):
            foreground.interrupt()
        if not self._open and self._awaiting is not None and self._awaiting.task is not None:
            self._unclaimed = True
            self._awaiting.task.get_loop().call_soon_threadsafe(self._cancel_cell)

    def _cancel_cell(self) -> None:
        """Cancel an awaiting cell that no run is in the foreground of; its task is suspended, and not in a re-entry."""
        if self._unclaimed and self._awaiting is not None and self._awaiting.task is not None:
            self._unclaimed = False
            self._awaiting.task.cancel()

    def _end_interrupted(self, foreground: Foreground) -> None:
        """End an awaiting cell whose run was interrupted in another task: a TaskGroup swallows that task's end."""
        cell = foreground.cell
        if foreground.interrupted and cell is not None and cell is self._awaiting and not cell.is_cell_task:
            foreground.loop.call_soon(self._cancel_awaiting, cell)

    def _cancel_awaiting(self, cell: Cell) -> None:
        """Cancel `cell`, unless it has ended, or its task stands in a re-entry, which has a foreground of its own."""
        if self._awaiting is cell and not self._open and cell.task is not None:
            cell.task.cancel()

    def _close_gate(self) -> None:
        """Put the kernel's receiver back, unless a cell needs the gate, or cells that it saw are still to begin."""
        if self._gate is not None and self._watched is None and self._awaiting is None and not self._queued:
            self._gate.close()

    def _on_execute(self, msg_id: str, cell_id: str | None) -> None:
        self._queued.came(msg_id, cell_id)
        if cell_id is not None and self._watched is not None and self._watched.cell_id == cell_id:
            self._watched.superseded = True
            for foreground in tuple(self._open):
                foreground.supersede()


def _keyboard_interrupt() -> KeyboardInterrupt:
    """A KeyboardInterrupt that IPython shows in one line.

    The frames say nothing that the transcript does not, and rendering them takes IPython some 100 ms, and ten times
    that the first time: of all that happens between the button and an idle kernel, by far the most.
    """
    error = KeyboardInterrupt("the run was interrupted")
    line = f"\x1b[31m{type(error).__name__}\x1b[39m: {error}"
    error._render_traceback_ = lambda: [line]  # type: ignore[attr-defined]  # IPython's protocol for such errors
    return error


def _on_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _loop() -> asyncio.AbstractEventLoop:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        from IPython.core.async_helpers import get_asyncio_loop

        return get_asyncio_loop()

"""What a run needs of the place where it runs: which cell this is, and the time in which an interrupt belongs to the
run.

`nbagent.kernel.Attachment` is that place, in a kernel and in a terminal's IPython alike; the rest of `notebook` knows
only these Protocols of it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol

from nbagent.events import StopReason


class Interruptible(Protocol):
    """A run, as interrupts and re-executions see it."""

    @property
    def id(self) -> str: ...
    def cancel(self, reason: StopReason) -> None: ...
    def hurry(self) -> None: ...


class Cell(Protocol):
    """One execution of one cell: `nbagent.kernel.Cell`."""

    @property
    def cell_id(self) -> str | None: ...
    @property
    def execution(self) -> str: ...
    @property
    def allow_stdin(self) -> bool: ...
    @property
    def active(self) -> bool: ...
    @property
    def parent(self) -> dict[str, Any]: ...
    @property
    def msg_id(self) -> str | None: ...


class Foreground(Protocol):
    """The time of one foreground run."""

    def attach(self, run: Interruptible) -> None: ...
    def conclude(self, reason: StopReason) -> None: ...


class Ground(Protocol):
    """The place where cells run."""

    def cell(self) -> Cell | None: ...
    def executing(self) -> Cell | None: ...
    def at_next_cell(self, callback: Callable[[], None]) -> None: ...
    def foreground(self) -> AbstractContextManager[Foreground]: ...

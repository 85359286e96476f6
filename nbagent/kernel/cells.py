"""Which cell executes: its identifier, its task, what its execute_request said.

Listens to IPython's events. A cell is known to the code that it runs by a context variable, so that a task or a worker
thread which outlives its cell is never taken for a part of the next one. What IPython nests in a cell (`%%capture`,
`run_cell` in a function) belongs to that cell; comm callbacks and silent requests fire `pre_execute` and `post_execute`
too, and are marked as executing without being cells.

`post_run_cell` is the end of a cell: whoever asked by `on_end` is told. Below: `ports`. Above: `foreground`,
`transformer`.
"""

from __future__ import annotations

import asyncio
import inspect
import signal
import sys
import threading
import uuid
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass, field
from typing import Any

from nbagent.kernel.ports import KernelPort, Message


@dataclass(eq=False, slots=True)
class Cell:
    """One execution of one cell.

    Parameters
    ----------
    cell_id
        What the front end calls the cell (the request's ``cellId``), or None where it names none.
    execution
        A token of this execution: two executions of one cell differ, two runs within one execution do not.
    allow_stdin
        Whether the front end answers ``input()``.
    parent
        The execute_request.
    context
        The context that the cell's code runs in; widgets' callbacks run in a copy of it.
    active
        False once the cell has ended.
    superseded
        Its re-execution is queued.
    """

    cell_id: str | None
    allow_stdin: bool
    parent: Message
    task: asyncio.Task[Any] | None
    execution: str = field(default_factory=lambda: uuid.uuid4().hex)
    thread: int = field(default_factory=threading.get_ident)
    context: Context = field(default_factory=copy_context)
    active: bool = True
    superseded: bool = False
    tasks: set[asyncio.Task[Any]] = field(default_factory=set[asyncio.Task[Any]])

    @property
    def is_cell_task(self) -> bool:
        """Whether this is running in the cell's own task: the only one where KeyboardInterrupt ends just the cell."""
        if threading.get_ident() != self.thread:
            return False
        task = current_task()
        return task is self.task or task in self.tasks

    @property
    def msg_id(self) -> str | None:
        """The execute_request's identifier."""
        return self.parent.get("header", {}).get("msg_id")


_executing: ContextVar[Cell | None] = ContextVar("nbagent_cell", default=None)


def current_task() -> asyncio.Task[Any] | None:
    """The running task, or None where no loop runs."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


@dataclass(eq=False, slots=True)
class _Entry:
    """One level of what IPython executes on a thread: a cell and its ExecutionInfo, or neither for other code."""

    msg_id: str | None
    cell: Cell | None = None
    info: Any = None


class Cells:
    """Follows the cells of one shell."""

    def __init__(self, shell: Any, port: KernelPort | None) -> None:
        self._shell = shell
        self._port = port
        self._stacks: dict[int, list[_Entry]] = {}
        self._on_begin: list[Callable[[Cell], None]] = []
        self._on_end: list[Callable[[Cell, Any], None]] = []
        self._on_next: list[Callable[[], None]] = []
        self._hooks = {
            "pre_execute": self._pre_execute,
            "pre_run_cell": self._pre_run_cell,
            "post_execute": self._post_execute,
            "post_run_cell": self._post_run_cell,
        }

    def attach(self) -> None:
        """Listen, beginning with the cell that executes already."""
        for event, hook in self._hooks.items():
            self._shell.events.register(event, hook)
        if _code_is_running():
            self._stack().append(_Entry(self._msg_id(), self._begun()))

    def detach(self) -> None:
        """Stop listening."""
        for event, hook in self._hooks.items():
            with suppress(ValueError):  # somebody has cleared the list
                self._shell.events.unregister(event, hook)
        for stack in self._stacks.values():
            for entry in stack:
                if entry.cell is not None:
                    entry.cell.active = False
        self._stacks.clear()

    def on_begin(self, callback: Callable[[Cell], None]) -> None:
        """Call `callback(cell)` at the beginning of each cell, in its own task."""
        self._on_begin.append(callback)

    def on_next(self, callback: Callable[[], None]) -> None:
        """Call `callback()` once, at the beginning of the next cell."""
        self._on_next.append(callback)

    def on_end(self, callback: Callable[[Cell, Any], None]) -> None:
        """Call `callback(cell, result)` at the end of each cell."""
        self._on_end.append(callback)

    def cell(self) -> Cell | None:
        """The executing cell that the calling code is a part of, or None."""
        cell = _executing.get()
        return cell if cell is not None and cell.active else None

    def executing_cell(self) -> Cell | None:
        """The cell that executes on this thread, also where the caller is no part of it; None between cells."""
        stack = self._stacks.get(threading.get_ident(), ())
        return next((entry.cell for entry in stack if entry.cell is not None and entry.cell.active), None)

    def executing(self) -> bool:
        """Whether IPython executes something on this thread, for the request that is being handled.

        A comm callback that raises never fires its `post_execute`: what another request left behind does not count.
        """
        msg_id = self._msg_id()
        return any(entry.msg_id == msg_id for entry in self._stacks.get(threading.get_ident(), ()))

    def _msg_id(self) -> str | None:
        return _msg_id(self._port.parent()) if self._port is not None else None

    @contextmanager
    def request(self) -> Generator[None]:
        """Where a request that is no cell is handled by this code: treat it as a cell, until this is left.

        During a request, and only then, ipykernel lets SIGINT raise, and a KeyboardInterrupt ends just the request.
        """
        handles = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if self.cell() is not None or self._port is None or not handles or current_task() is None:
            yield
            return
        before = _executing.get()
        entry = _Entry(self._msg_id(), self._new_cell())
        try:
            yield
        finally:
            self._ended(entry, None)
            _executing.set(before)

    def _stack(self) -> list[_Entry]:
        return self._stacks.setdefault(threading.get_ident(), [])

    def _begun(self) -> Cell:
        cell = self._new_cell()
        for callback in self._on_begin:
            callback(cell)
        waiting, self._on_next = self._on_next, []
        for callback in waiting:
            callback()
        return cell

    def _new_cell(self) -> Cell:
        parent = self._port.parent() if self._port is not None else {}
        content: Message = parent.get("content") or {}
        metadata: Message = parent.get("metadata") or {}
        allow = content.get("allow_stdin", False) if self._port is not None else sys.stdin.isatty()
        cell = Cell(metadata.get("cellId"), bool(allow), parent, current_task())
        _executing.set(cell)
        cell.context = copy_context()
        return cell

    def _pre_execute(self) -> None:
        self._stack().append(_Entry(self._msg_id()))

    def _pre_run_cell(self, info: Any) -> None:
        stack = self._stack()
        own = stack[-1] if stack else _Entry(self._msg_id())
        outer = stack[0].cell if len(stack) > 1 else None
        if outer is None or outer.msg_id != self._msg_id():
            for stale in stack[:-1]:  # its end was never told
                self._ended(stale, None)
            stack[:] = [own]
            own.cell = self._begun()
        else:
            own.cell = outer
        own.info = info

    def _post_execute(self) -> None:
        stack = self._stack()
        if stack and stack[-1].cell is None:
            stack.pop()

    def _post_run_cell(self, result: Any) -> None:
        stack = self._stack()
        info = getattr(result, "info", None)
        at = next((i for i, entry in enumerate(stack) if info is not None and entry.info is info), None)
        adopted = bool(stack) and stack[0].cell is not None and stack[0].info is None
        if at is None and result is not None and not adopted:
            return  # an empty cell, which was never begun
        outer = stack[: at or 0]
        for entry in reversed(stack[at or 0 :]):
            if not any(entry.cell is other.cell for other in outer):
                self._ended(entry, result)
        del stack[at or 0 :]  # last: what an interrupt leaves here the next cell ends

    def _ended(self, entry: _Entry, result: Any) -> None:
        if entry.cell is None or not entry.cell.active:
            return
        for callback in self._on_end:
            callback(entry.cell, result)
        entry.cell.active = False


def _msg_id(parent: Message) -> str | None:
    return parent.get("header", {}).get("msg_id")


def _code_is_running() -> bool:
    """Whether IPython's run_code is on this thread's stack: a cell executes whose beginning nobody told us."""
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code.co_name == "run_code" and frame.f_globals.get("__name__") == "IPython.core.interactiveshell":
            return True
        frame = frame.f_back
    return False

"""Awaiting from code that cannot: a magic in a plain function, in `%%time`, in the very cell that loads the extension.

The loop runs already, and the cell's own frames stand in it, so it is entered once more. nest-asyncio2 makes that
possible; it patches asyncio, so it is applied when, and only when, something is re-entered. (nest-asyncio 1.6 under
the same API loses the cells that are queued behind a re-entered one on ipykernel 7.)

Re-entries end last in, first out: the outer one cannot return before the inner one does. One inside another would wait
for what it keeps from happening, so it is refused. An outcome is carried across the loop as a value: a
KeyboardInterrupt that left a task would fall through the whole loop. Below: `attachment`, `foreground`. Above:
`magics`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from nbagent.errors import UsageError
from nbagent.kernel.attachment import current
from nbagent.kernel.cells import Cell
from nbagent.kernel.foreground import Foreground

T = TypeVar("T")


@dataclass(slots=True)
class _Outcome(Generic[T]):
    value: T | None = None
    error: BaseException | None = None


_local = threading.local()
"""`entered`: the task for which the loop of this thread is re-entered."""


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run `coroutine` to its end on this thread's loop, from code that does not await.

    Raises
    ------
    UsageError
        Another re-entry is under way on this thread, or its loop cannot be re-entered.
    """
    try:
        loop = _loop_to_enter()
    except BaseException:
        coroutine.close()
        raise
    foreground: Foreground | None = None
    with ExitStack() as stack:  # SIGINT is owned around the loop too: no interrupt falls between the loop's own frames
        attachment = current()
        if attachment is not None:
            stack.enter_context(attachment.request())
            foreground = stack.enter_context(attachment.foreground())
        outcome = _enter(loop, coroutine, attachment.cell() if attachment is not None else None)
        if outcome.error is None and foreground is not None and foreground.interrupted:
            outcome = _concluded(foreground)
    if outcome.error is not None:
        raise outcome.error
    return outcome.value  # type: ignore[return-value]


def _enter(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, T], cell: Cell | None) -> _Outcome[T]:
    task = loop.create_task(_captured(coroutine))
    if cell is not None and cell.is_cell_task:
        cell.tasks.add(task)
    _local.entered = task
    try:
        return loop.run_until_complete(task)
    finally:
        _local.entered = None
        if cell is not None:
            cell.tasks.discard(task)


async def _captured(coroutine: Coroutine[Any, Any, T]) -> _Outcome[T]:
    try:
        return _Outcome(await coroutine)
    except BaseException as error:
        return _Outcome(error=error)


def _concluded(foreground: Foreground) -> _Outcome[Any]:
    """The end of a cell whose interrupt met no run."""
    try:
        foreground.conclude()
    except BaseException as error:
        return _Outcome(error=error)
    return _Outcome()


def _loop_to_enter() -> asyncio.AbstractEventLoop:
    """This thread's loop, patched for re-entry where it runs already."""
    entered: asyncio.Task[Any] | None = getattr(_local, "entered", None)
    if entered is not None and not entered.done():
        raise UsageError("this thread waits for another run already, without await: await this one (`await f()`)")
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return _idle_loop()
    import nest_asyncio2

    untyped: Any = nest_asyncio2
    try:
        untyped.apply(loop)
    except ValueError:  # uvloop
        raise UsageError(f"{type(loop).__name__} cannot be re-entered: await the run at the top of a cell") from None
    return loop


def _idle_loop() -> asyncio.AbstractEventLoop:
    """Where no loop runs: in a terminal, IPython's own, which awaited cells use too."""
    if threading.current_thread() is not threading.main_thread():
        raise UsageError("no loop runs in this thread: start the run from a cell")
    from IPython.core.async_helpers import get_asyncio_loop

    return get_asyncio_loop()

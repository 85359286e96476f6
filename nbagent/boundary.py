"""Where user code runs on the loop's thread: the only places in which an interrupt may raise.

The runtime calls tools, hooks, `answers=` functions and scripted turns through `call` and `drive`. While such code has
the thread, `active()` is true, and a handler of SIGINT that finds it so may raise KeyboardInterrupt; everywhere else it
must not, or a finalizer could be cut in half. KeyboardInterrupt never leaves a boundary: it becomes
`nbagent.errors.Interrupted`, which ends the run that the code belongs to.

Signal handlers run between two bytecodes of the main thread, so the flag is set as the last thing before the code and
cleared as the first thing after it, inside the `try` that catches. Below: `errors`. Above: `runtime`, `kernel`.
"""

from __future__ import annotations

import asyncio
import threading
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, ParamSpec, TypeVar

from nbagent.errors import Interrupted

P = ParamSpec("P")
T = TypeVar("T")

_active = False
_main_thread = threading.main_thread().ident


def active() -> bool:
    """Whether user code has the loop's thread right now."""
    return _active


def suspend() -> bool:
    """Mark the thread as ours again (the loop is being re-entered from user code); `restore` with what this returns."""
    global _active
    before, _active = _active, False
    return before


def restore(before: bool) -> None:
    """Undo `suspend`."""
    global _active
    _active = before


def call(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call user code that does not await.

    Raises
    ------
    Interrupted
        An interrupt stopped it.
    """
    global _active
    if threading.get_ident() != _main_thread:  # no signal handler runs there
        return function(*args, **kwargs)
    before = _active
    try:
        _active = True
        result = function(*args, **kwargs)
        _active = before
        return result
    except KeyboardInterrupt:
        _active = before
        raise Interrupted from None
    finally:
        _active = before


def is_failure(error: BaseException) -> bool:
    """Whether what user code raised is a failure of that code alone, SystemExit included.

    It is none where an interrupt struck, or where the task that drives the code is being cancelled. A CancelledError of
    the code's own making is a failure too: let through, it would pass for the end of the whole run.
    """
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is None or not task.cancelling()
    return not isinstance(error, Interrupted | KeyboardInterrupt | GeneratorExit)


def told(error: BaseException) -> str:
    """The error's type and text, as events and models are told them; also where its own ``__str__`` fails."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # the user's code
        return type(error).__name__


@types.coroutine
def _steps(coroutine: Coroutine[Any, Any, T]) -> Generator[Any, Any, T]:
    step: Callable[[], Any] = lambda: coroutine.send(None)  # noqa: E731
    while True:
        try:
            awaited = call(step)
        except StopIteration as stop:
            return stop.value
        try:
            sent = yield awaited
            step = lambda sent=sent: coroutine.send(sent)  # noqa: E731
        except GeneratorExit:
            coroutine.close()
            raise
        except BaseException as error:  # thrown in from outside: handed on to the user's coroutine
            step = lambda error=error: coroutine.throw(error)  # noqa: E731


async def drive(awaitable: Awaitable[T]) -> T:
    """Await user code, so that only its own steps, and none of the loop's, are inside the boundary.

    Raises
    ------
    Interrupted
        An interrupt stopped one of its steps.
    """

    async def wrapped() -> T:
        return await awaitable

    return await _steps(wrapped())

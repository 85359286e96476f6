"""Where user code runs on the loop's thread: the only places in which an interrupt may raise.

The runtime calls tools, hooks, `answers=` functions and scripted turns through `call` and `drive`. A handler of SIGINT
asks `strike`, which raises KeyboardInterrupt where the interrupted frame is user code, and nowhere else, or a finalizer
could be cut in half. KeyboardInterrupt never leaves a boundary: it becomes `nbagent.errors.Interrupted`, which ends the
run that the code belongs to.

What does not work: a flag that is set while user code has the thread. User code calls nbagent (`nbagent.ask`, a nested
stream, `print` in a tool), which then has the flag set over its own frames: an event was numbered and never sent. So
the frames tell: from the interrupted one outwards to `call` there is none of nbagent's. Only for the frame of `call`
itself a flag is needed, which is down before the code is left by an interrupt: a second one cannot escape from there.

Signal handlers run between two bytecodes of the main thread. Below: `errors`. Above: `runtime`, `kernel`.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
import types
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import suppress
from functools import partial
from types import CodeType, FrameType
from typing import Any, ParamSpec, TypeVar

from nbagent.errors import Interrupted

P = ParamSpec("P")
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

_armed = False
"""The innermost `call` is about to enter user code, or has just left it."""
_missed = False
"""An interrupt hit nbagent's own code within user code."""
_main_thread = threading.main_thread().ident
_transparent: set[CodeType] = set()


def transparent(function: F) -> F:
    """Mark a function of nbagent's that an interrupt may leave at any instant: user code that it calls is user code."""
    _transparent.add(function.__code__)
    return function


def active() -> bool:
    """Whether an interrupt would raise here: the calling code is user code."""
    return threading.get_ident() == _main_thread and _hits(_caller(1))


def strike(frame: FrameType | None) -> None:
    """An interrupt hit `frame`: raise if that is user code; called by handlers of SIGINT.

    Raises
    ------
    KeyboardInterrupt
        To be caught by `call`.
    """
    global _armed, _missed
    if _hits(frame):
        _armed = False
        raise KeyboardInterrupt
    _missed = True


def checkpoint() -> None:
    """Raise the interrupt that hit a function of nbagent's, where that is about to return to user code.

    Without it, code that mostly prints would mostly be missed.

    Raises
    ------
    KeyboardInterrupt
        To be caught by `call`.
    """
    global _missed
    if _missed and threading.get_ident() == _main_thread and _hits(_caller(2)):
        _missed = False
        raise KeyboardInterrupt


def _caller(depth: int) -> FrameType | None:
    """The frame that called the function which calls this; its caller, with a depth of 2."""
    frame = inspect.currentframe()
    for _ in range(depth + 1):
        frame = frame.f_back if frame is not None else None
    return frame


def _hits(frame: FrameType | None) -> bool:
    """Whether `frame` is user code: below it, down to `call`, there is no frame of nbagent's.

    What `call` was given is user code, be it of nbagent's (the demo's tools, the rendering of results): its package is.
    A finalizer of the standard library's counts as nbagent's: what it raises is printed, and lost.
    """
    struck, outermost = frame, frame
    ours: set[str] = set()
    while frame is not None and frame.f_code is not call.__code__:
        module = str(frame.f_globals.get("__name__"))
        if module.partition(".")[0] in ("nbagent", "weakref") and frame.f_code not in _transparent:
            ours.add(_package(frame))
        frame, outermost = frame.f_back, frame
    if frame is None or outermost is None:
        return False
    return _armed if frame is struck else ours <= {_package(outermost)}


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__package__") or frame.f_globals.get("__name__"))


def call(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call user code that does not await.

    Raises
    ------
    Interrupted
        An interrupt stopped it.
    """
    global _armed, _missed
    if threading.get_ident() != _main_thread:  # no signal handler runs there
        return function(*args, **kwargs)
    made = defaultdict[None, T](partial(function, *args, **kwargs))
    try:
        try:
            _missed = False
            _armed = True
            return made[None]  # in C: no interrupt falls between what was made and its being kept
        finally:
            _armed = False
    except KeyboardInterrupt:
        for value in made.values():
            if inspect.iscoroutine(value):  # nobody will await it
                value.close()
        raise Interrupted from None


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
def _steps(coroutine: Coroutine[Any, Any, T], call: Callable[..., Any]) -> Generator[Any, Any, T]:
    step: tuple[Callable[..., Any], Any] = (coroutine.send, None)
    while True:
        try:
            awaited = call(*step)
        except StopIteration as stop:
            return stop.value
        except Interrupted:
            if not _lives(coroutine):
                raise
            step = (coroutine.throw, KeyboardInterrupt())  # it struck between two steps: the code has yet to hear of it
            continue
        try:
            step = (coroutine.send, (yield awaited))
        except GeneratorExit:
            with suppress(Interrupted):
                call(coroutine.close)
            raise
        except BaseException as error:  # thrown in from outside: handed on to the user's coroutine
            step = (coroutine.throw, error)


def _lives(coroutine: Coroutine[Any, Any, Any]) -> bool:
    return inspect.iscoroutine(coroutine) and inspect.getcoroutinestate(coroutine) != inspect.CORO_CLOSED


async def drive(awaitable: Awaitable[T], call: Callable[..., Any] = call) -> T:
    """Await user code, so that only its own steps, and none of the loop's, are inside the boundary.

    Parameters
    ----------
    awaitable
        What user code returned.
    call
        Makes each step: `call` of this module, or a function that calls it.

    Raises
    ------
    Interrupted
        An interrupt stopped one of its steps.
    """
    return await _steps(awaitable if inspect.iscoroutine(awaitable) else _awaiting(awaitable), call)


async def _awaiting(awaitable: Awaitable[T]) -> T:
    return await awaitable

"""The user code of one call, step by step: where an interrupt may raise, and what is put back after each step.

A step is what runs between two awaits, so nothing else has the thread meanwhile. For its time `sys.displayhook`, the
shell's `ask_exit` and its way of showing tracebacks are the call's own: what code evaluates, and what IPython would
publish as a cell's error, goes to the card, and `exit()` ends the code and not the kernel. What the code itself leaves
in place of the standard streams, or of the display publisher, is undone when the call ends.

A background run's code may have the thread of an idle kernel, which ignores SIGINT, or of one that is about to end an
awaiting cell, where ipykernel's handler cancels a future and raises nothing: code that loops could then be stopped by
nothing but a restart. So for the step SIGINT raises where it hits that code, after the handler in force has heard of
it; unless that is Python's own or `nbagent.kernel.interrupts`, which raise there anyway. Below: `boundary`. Above:
`execution`.
"""

from __future__ import annotations

import inspect
import signal
import sys
import threading
import types
from collections.abc import Callable, Coroutine, Generator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import Any, ParamSpec, TypeVar

from nbagent import boundary
from nbagent.kernel.attachment import current
from nbagent.kernel.displays import Displays
from nbagent.kernel.interrupts import Interrupts
from nbagent.kernel.toolset.printed import Printed
from nbagent.toolsets.bounded import as_shown

P = ParamSpec("P")
T = TypeVar("T")

_ABSENT: Any = object()


class Steps:
    """Runs one call's user code on this thread.

    Parameters
    ----------
    shell
        IPython's.
    printed
        Takes what the code shows.

    Attributes
    ----------
    failed
        IPython caught an exception of the code's (in a repr, in a cell within the code) and showed its traceback.
    """

    def __init__(self, shell: Any, printed: Printed) -> None:
        self._shell = shell
        self._printed = printed
        self._watched = ((sys, "stdout"), (sys, "stderr"), (shell, "display_pub"))
        self._replaced: dict[int, tuple[Any, Any]] = {}
        self._displays = Displays(shell) if current() is None else None
        self.failed = False
        self._for_steps = (
            (sys, "displayhook", self.display),
            (shell, "ask_exit", _ask_exit),
            (shell, "_showtraceback", self._show_traceback),
        )

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call user code that does not await.

        Raises
        ------
        Interrupted
            An interrupt stopped it.
        """
        with self._step():
            return boundary.call(function, *args, **kwargs)

    async def drive(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Await user code, each of its steps as `call` does."""
        return await boundary.drive(coroutine, self.call)

    def display(self, value: Any) -> None:
        """Show a value as a cell shows its last: rich on the card, and its plain text to the model."""
        if value is None:
            return
        data, _ = self._shell.display_formatter.format(value)
        if data.keys() - {"text/plain"}:
            self._printed.write("", data)
        elif data:
            self._printed.line(data["text/plain"])

    def restore(self) -> None:
        """The call has ended: undo what its code left in place of what it found, unless others have replaced that."""
        for index, (found, left) in self._replaced.items():
            owner, name = self._watched[index]
            if getattr(owner, name) is left:
                setattr(owner, name, found)
        self._replaced.clear()

    def _show_traceback(self, kind: Any, value: Any, lines: list[str]) -> None:
        self.failed = True
        self._printed.line(as_shown("\n".join(lines)))

    @contextmanager
    def _step(self) -> Generator[None]:
        with ExitStack() as stack:
            stack.callback(self._watch, [getattr(owner, name) for owner, name in self._watched])
            stack.enter_context(self._shell.builtin_trap)
            stack.enter_context(self._shell.display_trap)  # a cell within the code then finds ours, and sets no other
            for owner, name, ours in self._for_steps:
                stack.enter_context(_put(owner, name, ours))
            if self._displays is not None:
                self._displays.attach()
                stack.callback(self._displays.detach)
            stack.enter_context(_interruptible())
            yield

    def _watch(self, before: list[Any]) -> None:
        """Note what a step has replaced, and what it found."""
        for index, found in enumerate(before):
            left = getattr(*self._watched[index])
            if left is not found:
                self._replaced[index] = (self._replaced.get(index, (found, None))[0], left)


@contextmanager
def _put(owner: Any, name: str, ours: Any) -> Generator[None]:
    """Set an attribute of the object itself, and then put back what it had there, which may be nothing."""
    own: dict[str, Any] = owner.__dict__
    found = own.get(name, _ABSENT)
    setattr(owner, name, ours)
    try:
        yield
    finally:
        if found is not _ABSENT:
            setattr(owner, name, found)
        elif name in own:
            delattr(owner, name)


def _ask_exit() -> None:
    raise SystemExit


@contextmanager
def _interruptible() -> Generator[None]:
    """Let SIGINT raise in user code, where the handler in force would not."""
    found = signal.getsignal(signal.SIGINT) if threading.current_thread() is threading.main_thread() else None
    if found is None or found is signal.default_int_handler or isinstance(getattr(found, "__self__", None), Interrupts):
        yield
        return

    def handler(signum: int, frame: FrameType | None) -> None:
        if callable(found):
            found(signum, frame)
        boundary.strike(frame)

    signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is handler:
            signal.signal(signal.SIGINT, found)


def awaits(code: types.CodeType) -> bool:
    """Whether evaluating `code` gives a coroutine: it awaits at its top."""
    return bool(code.co_flags & inspect.CO_COROUTINE)

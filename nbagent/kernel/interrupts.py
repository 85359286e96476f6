"""SIGINT: who owns it, and where it may raise.

ipykernel turns an interrupt of an awaiting cell into a cancelled future, but the loop notices only when it next wakes:
for a form that nobody answers, never. And where the cell stands in a re-entry by then, the cancellation costs the
request its reply. So a foreground run, and the whole of an awaiting cell, own the signal, and the handler wakes the
loop.

The handler never raises inside nbagent's frames. A finalizer that a KeyboardInterrupt cuts in half leaves a dead
stream in the bridge, and no `with` prevents it: between `__enter__`'s return and the block, and within `__exit__`, the
signal may strike as well. It raises only where it hits user code, which `boundary` tells by the interrupted frame.

Signals belong to the main thread: elsewhere nothing is touched. A forked child gets Python's default handler back,
since the run, the loop and the person who pressed the button are its parent's. Below: `boundary`. Above: `foreground`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from nbagent import boundary
from nbagent.kernel.wakeup import Wakeup

Handler = Callable[[int, FrameType | None], Any] | int | signal.Handlers | None


class Interrupts:
    """The ownership of SIGINT.

    Parameters
    ----------
    on_interrupt
        Called by the handler, between two bytecodes of the main thread: it must neither raise nor block.
    """

    def __init__(self, on_interrupt: Callable[[], None]) -> None:
        self._on_interrupt = on_interrupt
        self._handler = self._handle
        self._previous: Handler = None
        self._wakeup = Wakeup()

    @property
    def owned(self) -> bool:
        """Whether the handler in force is ours."""
        return signal.getsignal(signal.SIGINT) is self._handler

    def own(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take SIGINT, and let it wake `loop`; the handler in force now is the one that `release` puts back."""
        if threading.current_thread() is not threading.main_thread() or self._previous is not None:
            return
        previous = signal.getsignal(signal.SIGINT)
        if previous is None:  # installed from C: it could not be put back
            return
        _watch_forks()
        self._previous = previous
        _owners.add(self)
        signal.signal(signal.SIGINT, self._handler)
        self._wakeup.open(loop)

    @property
    def cancels_instead(self) -> bool:
        """Whether the handler in force raises nothing, but has ipykernel cancel the awaiting cell some time later."""
        handler = signal.getsignal(signal.SIGINT)
        return callable(handler) and handler is not signal.default_int_handler

    def release(self) -> None:
        """Put the previous handler back, unless somebody has set another since."""
        self._wakeup.close()
        previous, self._previous = self._previous, None
        _owners.discard(self)
        if previous is not None and self.owned:
            signal.signal(signal.SIGINT, previous)

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        self._on_interrupt()
        boundary.strike(frame)

    def forget(self) -> None:
        """In a forked child: Python's own handler again."""
        if self.owned:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        self._wakeup.forget()
        self._previous = None


_owners: set[Interrupts] = set()
_watching = False


def _watch_forks() -> None:
    global _watching
    if not _watching and hasattr(os, "register_at_fork"):
        _watching = True
        os.register_at_fork(after_in_child=_after_fork)


def _after_fork() -> None:
    for owner in tuple(_owners):
        owner.forget()
    _owners.clear()

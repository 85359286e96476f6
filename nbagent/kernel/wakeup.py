"""A signal wakes the loop, also in the instant before it goes to sleep.

Python runs a signal's handler between two bytecodes of the main thread. A signal that arrives after the last of them
and before the selector's system call interrupts nothing: the loop sleeps, and the handler waits with it until
something else comes (seen: once in some thousand interrupts, for ever). Python's C handler writes a byte to the wakeup
descriptor at once, whatever the thread; a socket that the loop listens to makes it wake. A descriptor that somebody
else has set is left alone: it is the loop's own (`add_signal_handler`, Windows), and wakes it too. Above:
`interrupts`.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket


class Wakeup:
    """The wakeup descriptor, for one loop at a time; on the main thread."""

    def __init__(self) -> None:
        self._ends: tuple[socket.socket, socket.socket] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let every signal wake `loop`."""
        if self._ends is not None:
            return
        before = signal.set_wakeup_fd(-1)
        if before != -1:
            signal.set_wakeup_fd(before, warn_on_full_buffer=False)
            return
        self._ends, self._loop = socket.socketpair(), loop
        for end in self._ends:
            end.setblocking(False)
        loop.add_reader(self._ends[0].fileno(), self._drain, self._ends[0])
        signal.set_wakeup_fd(self._ends[1].fileno(), warn_on_full_buffer=False)

    def close(self) -> None:
        """Put back that there is none."""
        ends, self._ends = self._ends, None
        if ends is None or self._loop is None:
            return
        with contextlib.suppress(ValueError):  # off the main thread
            signal.set_wakeup_fd(-1)
        if not self._loop.is_closed():
            self._loop.remove_reader(ends[0].fileno())
        for end in ends:
            end.close()

    def forget(self) -> None:
        """In a forked child, which shares the loop's selector with its parent: touch the descriptor alone."""
        if self._ends is not None:
            signal.set_wakeup_fd(-1)
            self._ends = None

    @staticmethod
    def _drain(end: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            end.recv(4096)

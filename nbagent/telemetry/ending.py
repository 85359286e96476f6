"""Ends spans on a thread of its own, in order, since ending is where an exporter may wait for its network.

Below `otel`. It guarantees: `soon` never waits and never raises; `settled` waits no longer than it is told; the thread
lasts as long as there is something to end; at the interpreter's exit, what is left is waited for, boundedly.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import threading
from collections import deque
from collections.abc import Callable

import anyio

AT_EXIT = 1.0
"""Seconds that the interpreter's exit waits for spans to end."""
LINGER = 0.1
"""Seconds that the thread waits for more."""

_lock = threading.Lock()
_queue: deque[Callable[[], None]] = deque()
_filled = threading.Event()
_thread: threading.Thread | None = None
_registered = False


def soon(work: Callable[[], None]) -> None:
    """Do it on the thread, after what came before; from any thread."""
    global _thread, _registered
    with _lock:
        _queue.append(work)
        _filled.set()
        if _thread is None or not _thread.is_alive():  # a fork leaves a dead one
            _thread = threading.Thread(target=_run, name="nbagent spans", daemon=True)
            with contextlib.suppress(RuntimeError):  # the interpreter exits, or has no thread left
                _thread.start()
        if not _registered:
            _registered = True
            atexit.register(_last)


def _run() -> None:
    global _thread
    while True:
        while _queue:
            with contextlib.suppress(Exception):  # the outermost edge of the thread; the work tells of its own failures
                _queue.popleft()()
        _filled.clear()
        if _queue:  # filled just now
            continue
        if not _filled.wait(LINGER):
            with _lock:
                if not _queue:
                    _thread = None
                    return


async def settled(seconds: float) -> None:
    """Wait until all that came before has ended, or for as many seconds."""
    loop = asyncio.get_running_loop()
    done = asyncio.Event()

    def tell() -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(done.set)

    soon(tell)
    with anyio.move_on_after(seconds):
        await done.wait()


def _last() -> None:
    ended = threading.Event()
    soon(ended.set)
    ended.wait(AT_EXIT)

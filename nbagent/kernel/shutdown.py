"""The last second of a kernel: runs are finalized while their loop still runs.

A shutdown_request is handled on the control thread, which then stops the main loop; by `atexit` no loop runs, and
nothing can be awaited. So the kernel's `do_shutdown` first runs the callbacks on the main loop. SIGTERM's default
kills the process between two instructions; its handler runs the callbacks first, and a watchdog sees to it that a
blocked loop does not outlive the signal. `exit` in a cell stops the loop a moment later, whatever still runs on it:
the callbacks begin at once, and what they have not done by then is done at exit. All are bounded to a second.
Below: `ports`. Above: `attachment`.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import contextlib
import inspect
import logging
import os
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from nbagent.kernel.ports import KernelPort

logger = logging.getLogger(__name__)

LIMIT = 1.0
"""Seconds that the callbacks have together."""

_LEAVING = 0.05
"""Seconds in which ZMQ's own thread sends what it was given, before the process ends without closing its sockets."""

Callback = Callable[[], Awaitable[None]]


class Shutdown:
    """Runs callbacks when the kernel of `port` is shut down."""

    def __init__(self, port: KernelPort) -> None:
        self._port = port
        self._kernel = port.kernel
        self._callbacks: list[Callback] = []
        self._original: Any = None
        self._wrapper = self._do_shutdown
        self._on_sigterm = self._handle_sigterm
        self._on_exit = self._handle_exit
        self._done = False
        self._pid = os.getpid()

    def attach(self) -> None:
        """Stand in front of `do_shutdown`, and of SIGTERM where nobody handles it."""
        self._original = self._kernel.do_shutdown
        self._kernel.do_shutdown = self._wrapper
        if _on_main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, self._on_sigterm)
        self._kernel.shell.observe(self._on_exit, "exit_now")

    def detach(self) -> None:
        """Put both back."""
        if self._kernel.__dict__.get("do_shutdown") is self._wrapper:
            del self._kernel.do_shutdown
            if self._kernel.do_shutdown != self._original:
                self._kernel.do_shutdown = self._original
        if _on_main_thread() and signal.getsignal(signal.SIGTERM) is self._on_sigterm:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        self._kernel.shell.unobserve(self._on_exit, "exit_now")

    def add(self, callback: Callback) -> Callable[[], None]:
        """Run `callback` at shutdown, the latest first; what is returned takes it off the list again."""
        self._callbacks.append(callback)

        def remove() -> None:
            with contextlib.suppress(ValueError):
                self._callbacks.remove(callback)

        return remove

    async def finalize(self) -> None:
        """Run the callbacks, once, within `LIMIT`; on the main loop."""
        if self._done:
            return
        self._done = True
        try:
            async with asyncio.timeout(LIMIT):
                for callback in reversed(self._callbacks):
                    await _guarded(callback)
        except TimeoutError:
            logger.warning("shutdown: not everything ended within %s s", LIMIT)

    async def _do_shutdown(self, restart: bool) -> Any:
        loop = self._port.loop
        if loop is asyncio.get_running_loop():
            await self.finalize()
        elif loop is not None and loop.is_running():
            finalized = asyncio.run_coroutine_threadsafe(self.finalize(), loop)
            await asyncio.wait({asyncio.ensure_future(asyncio.wrap_future(finalized))}, timeout=LIMIT)
        reply = self._original(restart)
        return await reply if inspect.isawaitable(reply) else reply

    def _handle_exit(self, change: Mapping[str, Any]) -> None:
        """`exit` was called in a cell; ``keep_kernel=True`` changes nothing."""
        loop = self._port.loop
        if change["new"] and loop is not None and loop.is_running():
            atexit.register(_complete, loop, asyncio.run_coroutine_threadsafe(self.finalize(), loop))

    def _handle_sigterm(self, signum: int, frame: Any) -> None:
        if os.getpid() != self._pid:  # a forked child, whose loop does not run
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)
            return
        threading.Thread(target=self._terminate, name="nbagent-sigterm", daemon=True).start()

    def _terminate(self) -> None:
        """Finalize on the loop, then end the process; on a thread, so that a blocked loop cannot stop it."""
        finalized = threading.Event()
        loop = self._port.loop
        if loop is not None and loop.is_running():
            future = asyncio.run_coroutine_threadsafe(self.finalize(), loop)
            future.add_done_callback(lambda _: finalized.set())
            finalized.wait(LIMIT)
            self._flush()
        os._exit(128 + signal.SIGTERM)

    def _flush(self) -> None:
        """Let what was shown last leave the process: it is sent by ipykernel's thread, and then by ZMQ's."""
        sent = threading.Event()
        self._kernel.iopub_thread.schedule(sent.set)
        if sent.wait(LIMIT):
            time.sleep(_LEAVING)


def _complete(loop: asyncio.AbstractEventLoop, finalizing: concurrent.futures.Future[None]) -> None:
    """Do the rest on a loop that was stopped; at exit, before ipykernel closes its sockets."""
    if not (finalizing.done() or loop.is_running() or loop.is_closed()):
        loop.run_until_complete(asyncio.wrap_future(finalizing, loop=loop))


async def _guarded(callback: Callback) -> None:
    try:
        await callback()
    except Exception:
        logger.exception("a shutdown callback failed")


def _on_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()

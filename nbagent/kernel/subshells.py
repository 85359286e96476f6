"""Busy again: a comm message that a subshell handles does not make the kernel look idle while a run waits.

JupyterLab sends widget messages over a subshell where the kernel has some (ipykernel 7). They reach the widget at once,
on the subshell's thread, and the kernel says idle after each. A server takes the last status for the kernel's, and may
cull a kernel whose cell waits for the very form that is typed into. The gate says busy again for what it hands on; this
does for what passes it by.

It guarantees: busy is said on the main loop, by whoever sees the cell still running there, so that it never comes after
the cell's own idle. Below: `ports`. Above: `attachment`.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any

from nbagent.kernel.cells import Cell
from nbagent.kernel.foreground import Foreground
from nbagent.kernel.ports import KernelPort


class BusyAgain:
    """Says busy under the running cell's header after what a subshell has handled.

    Parameters
    ----------
    port
        The kernel.
    running
        The run that is in the foreground, or None.
    """

    def __init__(self, port: KernelPort, running: Callable[[], Foreground | None]) -> None:
        self._port = port
        self._running = running
        self._wrapper = self._publish
        self._original: Callable[..., Any] | None = None

    def attach(self) -> None:
        """Look at each idle from now on; a kernel without subshells is left alone."""
        kernel = self._port.kernel
        if getattr(kernel, "shell_channel_thread", None) is not None:
            self._original = kernel._publish_status_and_flush
            kernel._publish_status_and_flush = self._wrapper

    def detach(self) -> None:
        """Look no more."""
        kernel = self._port.kernel
        if self._original is not None and kernel._publish_status_and_flush is self._wrapper:
            del kernel._publish_status_and_flush
        self._original = None

    def _publish(self, status: str, channel: str, *arguments: Any, **options: Any) -> None:
        if self._original is not None:
            self._original(status, channel, *arguments, **options)
        else:  # detached, while a thread was on its way here
            self._port.kernel._publish_status_and_flush(status, channel, *arguments, **options)
        if status != "idle" or channel != "shell" or threading.current_thread() is threading.main_thread():
            return
        foreground = self._running()
        if foreground is not None and foreground.cell is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                foreground.loop.call_soon_threadsafe(self._busy, foreground.cell)

    def _busy(self, cell: Cell) -> None:
        if cell.active:
            self._port.publish_status("busy", cell.parent)

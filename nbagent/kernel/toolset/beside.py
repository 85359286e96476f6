"""Work that calls the user's objects, on a daemon thread, where one that hangs holds neither the loop nor the process.

A repr may be anybody's code. It has a few seconds; then the model is told, and the thread is told to end, which it
does at its next bytecode. What it prints is no output. Below: `nbagent.toolsets.threads`. Above: `toolset`.
"""

from __future__ import annotations

import asyncio
import ctypes
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from nbagent.errors import ToolError
from nbagent.ports import ToolContext, ToolResult
from nbagent.toolsets.threads import run_tool

PATIENCE = 5.0
"""Seconds that the objects' own code may take."""


async def beside(work: Callable[[], str], context: ToolContext) -> ToolResult:
    """Run what may call the user's objects on a daemon thread, where one that hangs holds nothing.

    Raises
    ------
    ToolError
        It took too long, and was told to end.
    """
    threads: list[int] = []

    def on_thread() -> str:
        threads.append(threading.get_ident())
        try:
            return work()
        finally:
            threads.clear()

    quiet = replace(context, emit_output=_nowhere)
    try:
        async with asyncio.timeout(PATIENCE):
            return ToolResult(await run_tool(on_thread, quiet))
    except TimeoutError:
        end(threads)
        raise ToolError(
            f"This took more than {PATIENCE:.0f} s and was given up: the objects' own code hangs."
        ) from None
    except asyncio.CancelledError:
        end(threads)
        raise


def end(threads: Sequence[int]) -> None:
    """Raise SystemExit, of which a thread dies in silence, at the thread's next bytecode (C API, "Thread state")."""
    for thread in threads:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(SystemExit))


def _nowhere(text: str, data: Mapping[str, Any] | None) -> None:
    """Drop what is printed."""

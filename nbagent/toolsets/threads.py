"""Work on a daemon thread of its own, first of all a synchronous tool.

Not in a pool: anyio's and the standard library's are joined when the interpreter exits, and a tool that cannot be
stopped would hold the process (P12). The thread copies the caller's context, so that `nbagent.cancelled()`,
`nbagent.ask_sync()` and `print` find the call that they belong to. When the awaiting task is cancelled, it ends at
once: the thread is abandoned, told so by `ToolContext.stop`, and its late result is dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable
from typing import TypeVar, cast

import anyio

from nbagent.errors import ToolError
from nbagent.ports import ToolContext
from nbagent.processes.process import GRACE, Ended, Process
from nbagent.toolsets.capture import captured

T = TypeVar("T")


async def on_daemon(work: Callable[[], T], name: str) -> T:
    """Call `work` on a daemon thread called `name`, in a copy of this context; its value or exception.

    Raises
    ------
    asyncio.CancelledError
        The caller was cancelled; the thread goes on, and nobody hears of it any more.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[tuple[T | None, BaseException | None]] = loop.create_future()

    def deliver(value: T | None, error: BaseException | None) -> None:
        if not outcome.done():
            outcome.set_result((value, error))

    def body() -> None:
        value, error = None, None
        try:
            value = work()
        except BaseException as caught:  # the thread's outermost edge: handed to the awaiting task
            error = caught
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(deliver, value, error)

    threading.Thread(target=contextvars.copy_context().run, args=(body,), name=name, daemon=True).start()
    value, error = await outcome
    if error is not None:
        raise error
    return cast("T", value)


async def run_tool(work: Callable[[], T], context: ToolContext) -> T:
    """Call a tool's `work` on a daemon thread; what it prints goes to its call's card.

    Raises
    ------
    asyncio.CancelledError
        The call was cancelled; where the thread still runs, `context` says that it was abandoned.
    """

    def captured_work() -> T:
        try:
            with captured(context.emit_output):
                return work()
        except asyncio.CancelledError as error:  # the tool's own; it must not pass for a cancellation of the call
            raise ToolError("the tool's own work was cancelled") from error
        finally:
            context.on_thread = False

    context.on_thread = True
    try:
        return await on_daemon(captured_work, f"nbagent-{context.tool_name}")
    except asyncio.CancelledError:
        context.abandoned = context.on_thread
        context.stop.set()
        raise


async def run_process(process: Process, name: str) -> Ended:
    """Run a process from a daemon thread; a caller that is cancelled gives it up, and waits until it is gone.

    Raises
    ------
    OSError
        It cannot be started.
    """
    running = asyncio.get_running_loop().create_task(on_daemon(process.run, name))
    try:
        return await asyncio.shield(running)
    except BaseException as error:
        process.stop()
        if isinstance(error, asyncio.CancelledError):
            with anyio.CancelScope(shield=True):
                await asyncio.wait([running], timeout=GRACE + 1.0)
        raise
    finally:
        if not running.done():
            with contextlib.suppress(RuntimeError):  # the loop is closed: the thread ends the command by itself
                running.cancel()

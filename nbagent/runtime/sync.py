"""`nbagent.run_sync`: one run for code that cannot await, with or without a running event loop.

Without one it is `asyncio.run`. With one (a notebook's cell) the run gets a loop of its own on another thread, and this
thread waits: no loop is re-entered, so the cells queued behind keep their order. An interrupt cancels the run, also
where the handler in force does not raise KeyboardInterrupt but cancels the task that waits here, as that of
`asyncio.run` does, and ipykernel's in a cell that awaits. And it stops the user's own code that has the loop's thread,
such as a hook that sleeps, which `asyncio.run` by itself would wait for.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Coroutine, Generator
from types import FrameType
from typing import Any

from nbagent import boundary
from nbagent.agent import Agent, Team
from nbagent.runtime.runtime import Runtime
from nbagent.session import Result, Session

POLL = 0.05
"""Seconds between two looks at whether the task that waits was cancelled; its loop stands still and cannot tell."""


def run_sync(
    agent_or_runtime: Agent | Team | Runtime, prompt: str, *, session: Session | None = None, **options: Any
) -> Result:
    """Run one turn to its end and return what it came to.

    Parameters
    ----------
    agent_or_runtime
        Who answers.
    prompt
        The user's words.
    session
        The conversation to go on with; a fresh one where None.
    options
        Those of `Runtime.run`. Without ``answers=`` every question is declined at once.

    Returns
    -------
    Result
        Text, messages, reason and usage.

    Raises
    ------
    RunError
        The stream ended in error.
    SessionBusy
        The session has a turn under way.

    Examples
    --------
    >>> from nbagent.models import ScriptedModel
    >>> run_sync(Agent("greeter", model=ScriptedModel(["Hello!"])), "hi").text
    'Hello!'
    """
    main = _main(agent_or_runtime, prompt, session or Session(), options)
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(_struck(main))
    return _on_thread(main)


async def _main(given: Agent | Team | Runtime, prompt: str, session: Session, options: dict[str, Any]) -> Result:
    if isinstance(given, Runtime):
        return await given.run(session, prompt, **options)
    runtime = Runtime(given)
    try:
        return await runtime.run(session, prompt, **options)
    finally:
        await runtime.aclose()


async def _struck(main: Coroutine[Any, Any, Result]) -> Result:
    with _striking():
        return await main


@contextlib.contextmanager
def _striking() -> Generator[None]:
    """Let an interrupt stop user code too, once the handler in force, that of `asyncio.run`, has cancelled the task."""
    known = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(known):
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        known(number, frame)
        boundary.strike(frame)

    signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is handle:
            signal.signal(signal.SIGINT, known)


@boundary.transparent
def _on_thread(main: Any) -> Result:
    waiting = asyncio.current_task()
    cancelling = waiting.cancelling() if waiting is not None else 0
    results: list[Result] = []
    errors: list[BaseException] = []
    loop = asyncio.new_event_loop()
    task = loop.create_task(main)

    def body() -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                results.append(runner.run(_awaited(task)))
        except BaseException as error:  # the thread's outermost edge: raised again below
            errors.append(error)

    thread = threading.Thread(target=body, name="nbagent-run_sync", daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(POLL)
            if waiting is not None and waiting.cancelling() > cancelling:
                raise asyncio.CancelledError
    except (KeyboardInterrupt, asyncio.CancelledError):
        with contextlib.suppress(RuntimeError):  # it ended at the same moment, and its loop is closed
            loop.call_soon_threadsafe(task.cancel)
        thread.join(1.0)
        raise
    if errors:
        raise errors[0]
    return results[0]


async def _awaited(task: asyncio.Task[Result]) -> Result:
    return await task

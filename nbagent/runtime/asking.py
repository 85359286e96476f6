"""How a tool or a hook asks the user: `nbagent.ask`, `nbagent.ask_sync` and `nbagent.cancelled`.

They find the stream that called them by context variables, which tasks and tool threads inherit; code outside of any
call asks through the innermost live stream; where none is live the question is declined at once (P5).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from nbagent import boundary
from nbagent.ports import ElicitationResult, current_call
from nbagent.runtime import registry
from nbagent.runtime.run import current_run

NO_STREAM = ElicitationResult("decline", note="no agent is running, so there is nobody to ask")


def _asking() -> tuple[registry.OwnedRun | None, str | None]:
    """The run that asks and the call, if it is one."""
    call = current_call.get()
    run = current_run.get() or registry.innermost()
    return run, call.tool_call_id if call is not None else None


async def ask(
    message: str, schema: Mapping[str, Any] | None = None, *, url: str | None = None, timeout: float | None = None
) -> ElicitationResult:
    """Ask the user through the stream that called this tool or hook, and wait for the answer.

    Parameters
    ----------
    message
        What is asked, in plain text.
    schema
        The JSON schema of the answer: an object whose properties are the form's fields. None: free text, in
        ``content["answer"]``.
    url
        Ask the user to go to this address instead of filling in a form.
    timeout
        Seconds that the user has; the form counts them down, and after them the answer is ``cancel``, with a note that
        the model reads. None: as long as it takes.

    Returns
    -------
    ElicitationResult
        `action` is ``accept``, ``decline`` or ``cancel``; `content` holds the values of an accepted form.

    Examples
    --------
    ::

        answer = await nbagent.ask("Which city?", {"type": "object", "properties": {"city": {"type": "string"}}})
        if answer.action == "accept":
            print(answer.content["city"])
    """
    run, call_id = _asking()
    if run is None or run.loop.is_closed():
        return NO_STREAM
    if run.loop is asyncio.get_running_loop():
        return await run.questions.ask(message, schema, url=url, tool_call_id=call_id, timeout=timeout)
    asked = asyncio.run_coroutine_threadsafe(
        run.questions.ask(message, schema, url=url, tool_call_id=call_id, timeout=timeout), run.loop
    )
    return await asyncio.wrap_future(asked)


def ask_sync(
    message: str, schema: Mapping[str, Any] | None = None, *, url: str | None = None, timeout: float | None = None
) -> ElicitationResult:
    """`ask` for a synchronous tool, which runs on a thread of its own.

    Raises
    ------
    RuntimeError
        Called on the thread of the event loop, where waiting would stop the very loop that brings the answer.
    """
    run, call_id = _asking()
    if run is None or run.loop.is_closed():
        return NO_STREAM
    if run.on_loop_thread:
        raise RuntimeError(
            "ask_sync() would block the event loop; use `await nbagent.ask(…)` here, or a synchronous tool"
        )
    asked = asyncio.run_coroutine_threadsafe(
        run.questions.ask(message, schema, url=url, tool_call_id=call_id, timeout=timeout), run.loop
    )
    return asked.result()


def cancelled() -> bool:
    """Whether the call that this code runs for was cancelled; a long synchronous tool asks it now and then."""
    boundary.checkpoint()
    call = current_call.get()
    return call is not None and call.stop.is_set()

"""The tool calls of one run: checked, approved, made in parallel, and each answered exactly once.

Between `loop` (which hands over a message's calls) and the tools. Each call is a plain asyncio task of its own, and not
a child of an anyio task group: a cancelled tool gets one CancelledError and may then await its cleanup, within the
grace that `run` grants, where an anyio scope would cancel each await of that cleanup too.

It guarantees: one `tool_call_response` for each `tool_call`, recorded by the tool's end or by the finalizer,
whichever is first; what a tool raises ends its call and never the run, save an interrupt; a note on why nobody
answered reaches the model with the call's result.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from nbagent import boundary
from nbagent.errors import Interrupted, ToolError
from nbagent.events import Error, ToolCallOutput, ToolCallResponse, ToolCallStarted
from nbagent.messages import CUT_SHORT
from nbagent.ports import Tool, ToolContext, ToolResult, current_call
from nbagent.runtime.approval import Approvals, Refused
from nbagent.runtime.hooking import fire
from nbagent.runtime.life import Life
from nbagent.runtime.output import CallOutput
from nbagent.runtime.toolbox import missing
from nbagent.session import ToolCall
from nbagent.telemetry import ToolWork
from nbagent.toolsets.pictures import of_result

ABANDONED = "This call was cut short: the tool runs on a thread that cannot be stopped, and its late result is dropped."
CANCELLED_ITSELF = "The tool cancelled itself."


@dataclass(slots=True)
class _Call:
    call: ToolCall
    tool: Tool | None
    context: ToolContext
    output: CallOutput
    begun: float
    work: ToolWork
    notes: list[str] = field(default_factory=list[str])
    failure: str = ""


class Calls:
    """One run's tool calls."""

    def __init__(self, run: Life) -> None:
        self._run = run
        self._open: dict[str, _Call] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._forgotten: tuple[asyncio.Task[None], ...] = ()
        self._approvals = Approvals(run)

    async def make(self, calls: list[ToolCall], toolbox: dict[str, Tool]) -> None:
        """Make the calls of one message, in parallel, until each has its response."""
        opened: list[_Call] = []
        for call in calls:
            tool = toolbox.get(call.name)
            await self._run.emit(
                ToolCallStarted,
                tool_call_id=call.id,
                name=call.name,
                arguments=call.arguments,
                toolset=tool.toolset if tool else "",
            )
            opened.append(self._begin(call, tool))
        tasks = [self._run.loop.create_task(self._perform(one, toolbox)) for one in opened]
        self._tasks.update(tasks)
        for task in tasks:
            task.add_done_callback(self._tasks.discard)
        await asyncio.wait(tasks)
        for one, task in zip(opened, tasks, strict=True):
            if task.cancelled() and self._run.stopped is None:  # by its own code, since the run goes on
                self._respond(one, ToolResult(CANCELLED_ITSELF, is_error=True), "failed")
            else:
                task.result()

    def note(self, tool_call_id: str | None, note: str) -> None:
        """Add a note that the model reads with the call's result; without an id, with the latest open call's."""
        if note and self._open:
            call = self._open.get(tool_call_id or "") or next(reversed(self._open.values()))
            call.notes.append(note)

    # ------------------------------------------------------------ the end of the run

    def stop(self) -> None:
        """Cancel what runs; threads are told, and read it by `nbagent.cancelled()`."""
        for one in self._open.values():
            one.context.stop.set()
        for task in self._tasks:
            task.cancel()

    def record_missing(self) -> None:
        """Record a response for every call that has none."""
        for one in tuple(self._open.values()):
            on_thread = one.context.on_thread
            one.context.abandoned = on_thread
            text, state = (ABANDONED, "abandoned") if on_thread else (CUT_SHORT, "cancelled")
            self._respond(one, ToolResult(text, is_error=True), state)

    def forget(self) -> None:
        """The loop is closed: its tasks end no more, and none of them can be cancelled."""
        self._forgotten = tuple(self._tasks)
        self._tasks.clear()

    def end_forgotten(self) -> None:
        """End the coroutines of these tasks, as the garbage collector would some time later; after the run's end.

        A tool that waits holds what it has taken from the process, such as `sys.stdout`.
        """
        for task in self._forgotten:
            with contextlib.suppress(Exception):  # what the tool's own cleanup makes of it is nobody's any more
                task.get_coro().close()

    async def ended(self) -> None:
        """Wait until no call's task is left."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    # ------------------------------------------------------------ one call

    def _begin(self, call: ToolCall, tool: Tool | None) -> _Call:
        run = self._run

        def emit(text: str, data: Mapping[str, Any] | None) -> None:
            run.record(ToolCallOutput, tool_call_id=call.id, content=text, data=data)

        output = CallOutput(run.loop, emit)
        context = ToolContext(run.questions, call.id, call.name, run.agent.name, run.session, output.write)
        one = _Call(call, tool, context, output, time.monotonic(), run.trace.tool(run.agent.name, call, tool))
        self._open[call.id] = one
        return one

    async def _perform(self, one: _Call, toolbox: dict[str, Tool]) -> None:
        current_call.set(one.context)
        with one.work:
            await self._answer(one, toolbox)

    async def _answer(self, one: _Call, toolbox: dict[str, Tool]) -> None:
        try:
            result = await self._made(one, toolbox)
            state = "failed" if result.is_error else "ok"
        except Refused as refused:
            result, state = ToolResult(str(refused), is_error=True), "refused"
        except Interrupted:
            self._run.cancel("interrupted")
            return
        except BaseException as error:  # whatever is raised ends its call alone
            result, state = self._failure(one, error), "failed"
        self._respond(one, result, state)

    async def _made(self, one: _Call, toolbox: dict[str, Tool]) -> ToolResult:
        call, tool = one.call, one.tool
        if tool is None:
            raise ToolError(missing(toolbox, call.name))
        if isinstance(call.arguments, str):
            raise ToolError(
                f"The arguments are not a JSON object: {call.arguments[:200]!r}. Call {call.name} again with one."
            )
        given = copy.deepcopy(call.arguments)  # a hook or tool that changes them in place changes no history
        fields = {"prompt": self._run.prompt, "tool_name": call.name, "tool_call_id": call.id}
        before = await fire(self._run, "pre_tool_use", arguments=given, **fields)
        if before.block:
            raise Refused(f"The call was blocked: {before.reason}")
        arguments = before.updated_input if before.updated_input is not None else given
        _check(tool, arguments)
        arguments = await self._approvals.approve(call, tool, arguments, before.permission)
        result = await self._called(one, tool, arguments)
        after = await fire(
            self._run, "post_tool_use", arguments=arguments, response=result.text, is_error=result.is_error, **fields
        )
        if after.block:
            return ToolResult(f"The result was withheld: {after.reason}", is_error=True)
        added = "\n\n".join(text for text in (before.context, after.context) if text)
        return ToolResult(f"{result.text}\n\n{added}", result.is_error, result.content) if added else result

    async def _called(self, one: _Call, tool: Tool, arguments: Mapping[str, Any]) -> ToolResult:
        """What the tool came to, its failure included; what is no failure of its own is raised."""
        try:
            return _whole(await tool.call(arguments, one.context))
        except (Interrupted, GeneratorExit):
            raise
        except BaseException as error:  # whatever a tool raises is its answer
            return self._failure(one, error)

    def _failure(self, one: _Call, error: BaseException) -> ToolResult:
        """What the model reads of what was raised; a cancellation that is not the tool's own is raised again."""
        if isinstance(error, asyncio.CancelledError):
            if self._run.stopped is not None or _being_cancelled():
                raise error
            return ToolResult(CANCELLED_ITSELF, is_error=True)
        if isinstance(error, GeneratorExit) and self._run.loop.is_closed():
            raise error  # closed over the call: the run's end answers it
        one.failure = type(error).__qualname__
        return ToolResult(str(error) if isinstance(error, ToolError) else boundary.told(error), is_error=True)

    def _respond(self, one: _Call, result: ToolResult, state: str) -> None:
        if self._open.pop(one.call.id, None) is None:
            return  # the finalizer was first: a late result is dropped
        one.output.end()
        run, call = self._run, one.call
        seen, unseen = of_result(result.content)
        notes = [*one.notes, unseen] if unseen else one.notes
        text = "\n\n".join([result.text, *(f"[{note}]" for note in notes)])
        one.work.came_to(state, text, one.failure)
        run.turn.result(call.id, text, result.is_error, seen)
        run.record(
            ToolCallResponse,
            tool_call_id=call.id,
            name=call.name,
            response=text,
            is_error=result.is_error,
            state=state,
            duration=time.monotonic() - one.begun,
            content=tuple(result.content),
        )
        if state == "failed":
            run.record(Error, code="tool_failed", message=f"{call.name}: {text}")


def _whole(result: Any) -> ToolResult:
    """What another's tool returned, if it is a result."""
    if isinstance(result, ToolResult) and isinstance(result.text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        return replace(result, content=tuple(result.content or ()))
    raise ToolError(f"The tool returned {type(result).__name__} where a ToolResult with a text belongs.")


def _check(tool: Tool, arguments: Any) -> None:
    """The arguments of a toolset's tool against its schema; the user's functions check and convert their own."""
    if not isinstance(arguments, Mapping):
        raise ToolError(f"The arguments must be an object, not {type(arguments).__name__}.")
    if not tool.toolset:
        return
    from nbagent.schema import validate

    if errors := validate(dict(arguments), tool.spec.parameters):  # pyright: ignore[reportUnknownArgumentType]
        listed = "; ".join(f"{name}: {text}" if name else text for name, text in errors.items())
        raise ToolError(f"Invalid arguments: {listed}")


def _being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0

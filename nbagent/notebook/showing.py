"""One run shown in one cell: its stream, its transcript, its questions, and what the cell keeps in the end.

Above the runtime and the widgets, which know nothing of each other; `cellrun` says when, and `backgrounds` shows the
runs that agents start in the same way. It guarantees: whatever ends
the run, the transcript's live widget is *replaced* by the static document (with the widget left in, a reopened
notebook shows "model not found"), the models are closed, and no task of the run is left.
"""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from typing import TYPE_CHECKING

import anyio

from nbagent._install import install_hint
from nbagent.errors import ConfigError, SessionBusy, StoreError, UsageError
from nbagent.events import Error, Event, StopReason, StreamStopped
from nbagent.notebook import stdin
from nbagent.notebook.attendance import Attendance
from nbagent.notebook.output import MarkdownOutput, Output, TerminalOutput, WidgetOutput
from nbagent.notebook.questions import Questions
from nbagent.notebook.runs import CellRun
from nbagent.session import Result

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbagent.notebook.ground import Interruptible
    from nbagent.notebook.plan import Plan
    from nbagent.notebook.workspace import Workspace
    from nbagent.runtime.stream import Stream

END = 12.0
"""Seconds after which the end of a run is given up: the runtime's own graces, and the last frame."""


class Showing:
    """A run and the output that shows it, whoever started it; made on the loop's thread.

    Parameters
    ----------
    workspace, plan
        Where, and what.

    Attributes
    ----------
    stream
        The run's stream.
    run
        Its entry in the list of runs.
    error
        The error event that it ended with, or None.
    """

    stream: Stream
    run: CellRun

    def __init__(self, workspace: Workspace, plan: Plan) -> None:
        self.plan = plan
        self.error: Error | None = None
        self._asked: StopReason | None = None
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self._workspace = workspace
        self._output = self._output_of(plan)
        self._questions = self._questions_of(plan)

    @property
    def id(self) -> str:
        """The stream's identifier."""
        return self.stream.id

    @property
    def stopped(self) -> StreamStopped | None:
        """The stream's final event, or None while it is live."""
        return self.stream.stopped

    @property
    def reason(self) -> StopReason:
        """How it ended; ``cancelled`` where it never began."""
        return self.stream.stopped.reason if self.stream.stopped is not None else "cancelled"

    def cancel(self, reason: StopReason = "cancelled") -> None:
        """Stop the run; before its stream has begun, as soon as it does. From any thread.

        A person who interrupts a run that has said all does not want to wait for its cleanup either.
        """
        if reason == "interrupted" and self.stream.stopped is not None:
            self.stream.hurry()
        self._asked = self._asked or reason
        self.stream.cancel(reason)
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._stopping.set)

    async def join(self) -> None:
        """Wait, bounded, until the producer has ended and the session is free."""
        await self.stream.join()

    def show(self) -> None:
        """Display it in the cell that runs now."""
        self._output.display()

    def hurry(self) -> None:
        """Cut the cleanup short."""
        self.stream.hurry()

    async def _consume(self) -> None:
        async with self.stream as stream:
            if self._asked is not None:
                stream.cancel(self._asked)
            async for event in stream:
                await self._take(event)

    async def _take(self, event: Event) -> None:
        if isinstance(event, Error) and event.stream_id == self.stream.id:
            self.error = event

    async def _finish(self) -> None:
        """Whatever ended the run: the cell keeps the document, and nothing of the live output is left; bounded."""
        with anyio.move_on_after(END, shield=True):
            runs = self._workspace.runs
            try:
                await self.stream.join()
            finally:
                try:
                    document = await self._output.finish()
                finally:
                    await self._questions.aclose()
                if self.stream.stopped is None:
                    runs.discard(self.run)
                else:
                    runs.finished(self.run, document, self.stream.result())

    def _weakly(self, reason: StopReason) -> Callable[[], None]:
        """A cancel that its holder does not keep this alive by: the stream's observers live as long as the stream."""
        weak = weakref.ref(self)

        def cancel() -> None:
            shown = weak()
            if shown is not None:
                shown.cancel(reason)

        return cancel

    def _output_of(self, plan: Plan) -> Output:
        if not self._workspace.has_kernel:
            return TerminalOutput(plan, stop=self._weakly("cancelled"))
        output = MarkdownOutput if plan.command.plain else WidgetOutput
        try:
            return output(plan, stop=self._weakly("cancelled"), ground=self._workspace.ground)
        except ImportError as error:
            raise UsageError(
                f"this kernel has no ipywidgets or no anywidget ({error}): {install_hint()}, then restart the kernel; "
                "or write --plain before the agent, for text without widgets"
            ) from None

    def _entry(self, id: str, agent: str, *, background: bool, cell_id: str | None) -> CellRun:
        run = CellRun(
            id=id,
            agent=agent,
            prompt=self.plan.prompt,
            stream_id=self.stream.id,
            cell_id=cell_id,
            execution=self.plan.execution,
            background=background,
            live=self,
        )
        self._workspace.runs.add(run)
        return run

    def _questions_of(self, plan: Plan) -> Questions:
        cell, warming, answering = plan.cell, self._workspace.warming, self._workspace.answering
        output = self._output
        in_terminal = not self._workspace.has_kernel
        attendance = Attendance(
            ready=self._output.ready,
            allow_stdin=cell is not None and cell.allow_stdin,
            displayed=asyncio.get_running_loop().time(),
            beside=lambda: not in_terminal and (plan.command.background or cell is None or not cell.active),
        )
        return Questions(
            plan.runtime,
            attendance,
            self._output.place,
            read=stdin.read_blocking if in_terminal else stdin.read_threaded,
            interrupt=self._weakly("interrupted"),
            tell=lambda question: output.note(answering.hint(question)),
            prepare=lambda: warming.done("forms"),
            skip_elicitations=plan.answers is not None,
        )


class ShownRun(Showing):
    """One run of a magic and the output that shows it; make it in the cell, on the loop's thread.

    Parameters
    ----------
    workspace, plan
        Where, and what.
    background
        Whether the cell does not wait for it.

    Raises
    ------
    UsageError
        The session is busy, or the runtime refuses an option.
    """

    def __init__(self, workspace: Workspace, plan: Plan, *, background: bool) -> None:
        store = plan.runtime.session_store
        chosen = workspace.sessions.choose(plan.command, plan.cell_id, plan.execution, store)
        super().__init__(workspace, plan)
        try:
            self.stream = plan.runtime.run_stream(
                chosen.session,
                plan.prompt,
                answers=plan.answers,
                record_answers=plan.command.record_answers or None,
                approve=plan.command.approve,
                observers=[self._output, self._questions],
                cell_id=plan.cell_id,
                execution=plan.execution,
                model=plan.model,
                attachments=plan.attachments,
            )
        except ConfigError as error:
            self._output.abandon()
            raise UsageError(str(error)) from error
        self.run = self._entry(workspace.runs.new_id(), plan.command.agent, background=background, cell_id=plan.cell_id)
        self._output.display()
        if chosen.note:
            self._output.note(chosen.note)

    async def play(self, attach: Callable[[Interruptible], None] | None = None) -> Result:
        """Run to the end, whatever it is; the cell then keeps the document.

        Parameters
        ----------
        attach
            Called with this run: interrupts are its from then on.

        Raises
        ------
        UsageError
            The session got busy in between, or its store cannot be used.
        """
        try:
            if attach is not None:
                attach(self)
            await self._prepared()
            await self._consume()
        except (SessionBusy, StoreError) as error:
            raise UsageError(str(error)) from error
        finally:
            await self._finish()
        return self.stream.result()

    async def _prepared(self) -> None:
        """Wait for the imports that an agent with servers needs, unless the run is stopped before."""
        if any(agent.toolsets for agent in self.stream.runtime.team.agents.values()):
            imports = asyncio.ensure_future(self._workspace.warming.done("servers"))
            stopped = asyncio.ensure_future(self._stopping.wait())
            await asyncio.wait((imports, stopped), return_when=asyncio.FIRST_COMPLETED)
            imports.cancel()
            stopped.cancel()

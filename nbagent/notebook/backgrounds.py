"""Background agents in the notebook: each has an output of its own in the cell whose run started it.

The runtime hands over the stream of each background agent when it has begun (`Runtime.on_background`); here it gets a
transcript, forms and a name in the list of runs, as a run with `--background` has. It stays live when its cell has
ended. What its parent's transcript says of it stands there by that name.

It guarantees: what the agent asks is put to the person whatever has become of its parent, and its output stays where it
began; running its cell again does not stop it (`%agent_stop`, its button and the unload do). Below: `showing`,
`runs`. Above: `extension`.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from nbagent.notebook.displaying import within
from nbagent.notebook.output import LaterOutput
from nbagent.notebook.parsing import RunCommand
from nbagent.notebook.plan import Plan
from nbagent.notebook.showing import Showing

if TYPE_CHECKING:
    from nbagent.events import Event
    from nbagent.notebook.output import Output
    from nbagent.notebook.workspace import Workspace
    from nbagent.runtime import Runtime, Stream

logger = logging.getLogger("nbagent")


class ShownAgent(Showing):
    """A background agent and the output that shows it.

    Parameters
    ----------
    workspace, plan
        Where, and what: the plan of the run that started it, with the agent's task for a prompt.
    stream
        Its stream, which has begun.
    id
        The name by which agents speak of it.
    """

    def __init__(self, workspace: Workspace, plan: Plan, stream: Stream, id: str) -> None:
        super().__init__(workspace, plan)
        self.stream = stream
        self.run = self._entry(id, stream.agent_name, background=True, cell_id=None)
        with within(plan.cell):
            self._output.display()

    async def play(self) -> None:
        """Show it to its end; its output then keeps the document."""
        try:
            await self._consume()
        finally:
            await self._finish()

    async def _take(self, event: Event) -> None:
        await super()._take(event)
        for shows in (self._output, self._questions):
            try:
                await shows.on_event(event)
            except Exception:  # a broken output: the agent works all the same
                logger.exception("run %s: %s could not be shown", self.run.id, event.type)

    def _output_of(self, plan: Plan) -> Output:
        return super()._output_of(plan) if self._workspace.has_kernel else LaterOutput(plan)


def show_background_agents(workspace: Workspace) -> None:
    """From now on, show the background agents of every runtime of `workspace`."""

    def take(stream: Stream) -> None:
        _show(workspace, stream)

    workspace.runtimes.on_background = take
    workspace.runtimes.naming = workspace.runs.new_id


def _show(workspace: Workspace, stream: Stream) -> None:
    nested = stream.nested
    id = nested.id if nested is not None and nested.id else workspace.runs.new_id()
    plan = replace(_plan(workspace, stream), heading=_heading(stream, id), attachments=())
    shown = ShownAgent(workspace, plan, stream, id)
    workspace.spawn(shown.play(), f"nbagent background {id}")


def _heading(stream: Stream, id: str) -> str:
    """``auditor · for bookkeeper · in the background as r7``."""
    parent = stream.parent
    of = "" if parent is None or parent.agent_name == stream.agent_name else f" · for {parent.agent_name}"
    return f"{stream.agent_name}{of} · in the background as {id}"


def _plan(workspace: Workspace, stream: Stream) -> Plan:
    """The plan of the nearest run that is shown and that `stream` comes from; one of its own where code began that."""
    shown = {run.stream_id: run.live for run in workspace.runs.live}
    ancestor = stream.parent
    while ancestor is not None:
        if isinstance(its := shown.get(ancestor.id), Showing):
            return replace(its.plan, prompt=stream.prompt)
        ancestor = ancestor.parent
    command = RunCommand(stream.agent_name, stream.prompt, background=True)
    runtime = cast("Runtime", stream.runtime)
    return Plan(command, stream.prompt, runtime, answers=None, model=None, cell=workspace.ground.cell())

"""A command resolved: what its words stand for in the caller's frame.

All of it is checked before a run acquires or displays anything, so that a mistake is one line and nothing else.
Below: `parsing`, `names`, `commands`, `prompt`, `runtimes`. Above: `showing`, `cellrun`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbagent.messages import Attachment
from nbagent.notebook import names as _names
from nbagent.notebook.commands import commands_of, spoken
from nbagent.notebook.names import Names
from nbagent.notebook.parsing import RunCommand
from nbagent.notebook.prompt import expand

if TYPE_CHECKING:
    from nbagent.notebook.ground import Cell
    from nbagent.notebook.workspace import Workspace
    from nbagent.runtime import Runtime
    from nbagent.widgets.attached import About


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run needs to begin.

    Parameters
    ----------
    command
        As it was written.
    prompt
        With the caller's variables and files filled in; where it named one of the agent's own prompts, that.
    runtime
        The agent's, warm.
    answers, model
        What the options name, or None.
    cell
        The execution that asks, where there is one.
    attachments
        The pictures and files that the prompt names.
    heading
        The first line of what is shown, where that is no run's own cell.
    """

    command: RunCommand
    prompt: str
    runtime: Runtime
    answers: Mapping[str, Any] | Callable[..., Any] | os.PathLike[str] | None
    model: Any
    cell: Cell | None
    attachments: tuple[Attachment, ...] = ()
    heading: str = ""

    @property
    def about(self) -> About:
        """What a transcript is told before the run begins."""
        agent, more = self.runtime.agent, self.attachments
        return {"agent": agent.name, "model": agent.model.name, "heading": self.heading, "attachments": more}

    @property
    def cell_id(self) -> str | None:
        """The cell that asks, where the front end names it."""
        return self.cell.cell_id if self.cell is not None else None

    @property
    def execution(self) -> str | None:
        """The execution of it."""
        return self.cell.execution if self.cell is not None else None


def make_plan(workspace: Workspace, command: RunCommand, names: Names) -> Plan:
    """Resolve `command`.

    Raises
    ------
    UsageError
        A word stands for nothing, or for the wrong thing.
    """
    declared = _names.find_agent(command.agent, names, workspace.bundled_agent)
    said = expand(spoken(command.prompt, commands_of(declared)), names)
    return Plan(
        command=command,
        prompt=said.text,
        attachments=said.attachments,
        answers=_names.find_answers(command.answers, names),
        model=_names.find_model(command.model, names),
        runtime=workspace.runtimes.of(command.agent, declared),
        cell=workspace.ground.cell(),
    )

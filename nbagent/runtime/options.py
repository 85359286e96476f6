"""What a caller may say of one run, checked once and handed on as a whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from nbagent.agent import Agent
from nbagent.messages import Attachment
from nbagent.permissions import Mode
from nbagent.ports import Model, Observer

if TYPE_CHECKING:
    from nbagent.runtime.recorded import AnswerRecorder

Answers = Mapping[str, Any] | Callable[..., Any]
"""Answers to elicitations: values by field name, or a function of the elicitation that returns (action, content)."""


@dataclass(frozen=True, slots=True)
class Nested:
    """How a stream that an agent starts is nested in the stream that it speaks in.

    Parameters
    ----------
    kind
        ``transfer`` to another agent, a ``skill`` of its own, or an agent in the ``background``.
    name
        The agent's or the skill's.
    tool_call_id
        The call that started it.
    instructions
        What the agent reads beside its own instructions.
    id
        In the background: the name by which agents and people speak of it.
    """

    kind: Literal["transfer", "skill", "background"]
    name: str
    tool_call_id: str | None = None
    instructions: str = ""
    id: str = ""

    @property
    def detached(self) -> bool:
        """Whether it outlives its parent, and has a consumer and observers of its own."""
        return self.kind == "background"


@dataclass(frozen=True, slots=True)
class RunOptions:
    """One run's options.

    Parameters
    ----------
    answers
        Answers elicitations in place of a person.
    recorder
        Keeps what was answered, in a file.
    approve
        What becomes of calls that can hurt.
    observers
        Those of the runtime and those of this run.
    unattended
        Why nobody can answer, where nobody can; questions are then declined at once. None: somebody answers.
    cell_id, execution
        The notebook cell and the execution of it that asked.
    model
        In place of the agent's own.
    agent
        Who answers, in place of the one that the session is with.
    nested
        Set for a stream that an agent started.
    attachments
        Pictures and files beside the prompt.
    """

    answers: Answers | None = None
    recorder: AnswerRecorder | None = None
    approve: Mode = "ask"
    observers: tuple[Observer, ...] = ()
    unattended: str | None = None
    cell_id: str | None = None
    execution: str | None = None
    model: Model | None = None
    agent: Agent | None = None
    nested: Nested | None = None
    attachments: tuple[Attachment, ...] = ()

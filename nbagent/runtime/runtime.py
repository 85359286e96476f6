"""The runtime of an agent or team: starts its streams, and takes the answers to their questions.

The public face of this package; `run` does the work. A runtime needs no kernel, no IPython and no widgets: a script
uses the same one.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from nbagent.agent import Agent, Team
from nbagent.errors import ConfigError, RunError
from nbagent.messages import Attachment
from nbagent.models import resolve
from nbagent.permissions import check_mode
from nbagent.ports import Model, Observer, Store
from nbagent.runtime import answers as _answers
from nbagent.runtime import recorded
from nbagent.runtime.bridge import Bridge
from nbagent.runtime.delegation.background import BackgroundAgents
from nbagent.runtime.live import live_runs
from nbagent.runtime.options import Answers, Nested, RunOptions
from nbagent.runtime.run import Run
from nbagent.runtime.stream import Stream
from nbagent.session import Result, Session

logger = logging.getLogger("nbagent")

UNATTENDED_RUN = "run() has nobody to ask; pass answers= (and approve='all' to allow tools that can hurt)"


class Runtime:
    """Runs an agent or a team.

    Parameters
    ----------
    agent_or_team
        Who answers; of a team, its root agent.
    session_store
        Keeps every session after each turn.
    observers
        Watch every stream of this runtime.

    Attributes
    ----------
    bridge
        The live streams (`current`, `live`) and their open questions (`pending`).
    approved
        What the user approved for good, by agent: patterns of `nbagent.permissions`.
    background
        The background agents of its streams.
    on_background
        Set by a front end: called on the loop's thread with the `Stream` of each background agent when it has begun, to
        consume it from then on (as ``async with stream``). None: nobody looks on, and the runtime drains it.

    Raises
    ------
    ConfigError
        `agent_or_team` is neither, or `session_store` or `observers` cannot be such.
    """

    def __init__(
        self, agent_or_team: Agent | Team, session_store: Store | None = None, *, observers: Sequence[Observer] = ()
    ) -> None:
        if isinstance(agent_or_team, Agent):
            agent_or_team = Team(agent_or_team)
        if not isinstance(agent_or_team, Team):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigError(f"a Runtime runs an Agent or a Team, not {agent_or_team!r}")
        self.team = agent_or_team
        self.agent = agent_or_team.root
        self.name = self.agent.name
        self.session_store = session_store
        if session_store is not None and not callable(getattr(session_store, "begin_turn", None)):
            raise ConfigError(f"session_store={session_store!r}: give a store, such as nbagent.store.SQLiteStore(path)")
        self.observers = (*_watching(observers), *([session_store] if session_store is not None else []))
        self.bridge: Bridge[Stream] = Bridge()
        self.approved: dict[str, set[str]] = {}
        self.background = BackgroundAgents()
        self.on_background: Callable[[Stream], None] | None = None

    def __repr__(self) -> str:
        return f"Runtime({self.name!r})"

    def run_stream(
        self,
        session: Session,
        prompt: str,
        *,
        answers: Answers | str | os.PathLike[str] | None = None,
        record_answers: str | os.PathLike[str] | None = None,
        approve: str = "ask",
        observers: Sequence[Observer] = (),
        unattended: str | None = None,
        cell_id: str | None = None,
        execution: str | None = None,
        model: Model | str | None = None,
        attachments: Sequence[Attachment] = (),
    ) -> Stream:
        """Run one turn as a stream of events; the code that iterates is a front end, so questions wait for its answers.

        Parameters
        ----------
        session
            The conversation; it has one turn at a time.
        prompt
            The user's words.
        answers
            Answers elicitations: values by field name (missing ones get their defaults), a function (sync or async) of
            the `ElicitationRequest` that returns ``(action, content)``, or the path of a file of answers (JSON, YAML,
            or a recording in JSON lines; see `nbagent.runtime.recorded`).
        record_answers
            Where to write what is answered, as JSON lines that `answers` takes; the file is begun anew.
        approve
            ``ask`` before calls that can hurt, allow ``all``, or ``none`` of them.
        observers
            Watch this stream beside the runtime's own.
        unattended
            Why nobody can answer, where nobody can: questions are declined at once, and the model reads this.
        cell_id, execution
            The notebook cell and the execution of it that asked.
        model
            In place of the agent's own.
        attachments
            Pictures and files that the model sees beside the prompt (`nbagent.session.Attachment`).

        Returns
        -------
        Stream
            Use it as ``async with … as stream``; entering it raises `SessionBusy` where the session has a turn under
            way.

        Raises
        ------
        ConfigError
            An option cannot be.
        """
        if isinstance(answers, str | os.PathLike):
            answers = recorded.read(os.fspath(answers))
        if answers is not None and not callable(answers) and not hasattr(answers, "items"):
            raise ConfigError(f"answers={answers!r}: give a mapping of field names to values, a function, or a file")
        if not isinstance(prompt, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigError(f"the prompt is {type(prompt).__name__}; it is the text that the user says")
        options = RunOptions(
            answers=answers,
            recorder=None if record_answers is None else recorded.AnswerRecorder(record_answers),
            approve=check_mode(approve),
            observers=(*self.observers, *_watching(observers)),
            unattended=unattended,
            cell_id=cell_id,
            execution=execution,
            model=None if model is None else resolve(model),
            attachments=_attached(attachments),
        )
        return Stream(Run(self, session, prompt, options))

    def nest(self, session: Session, prompt: str, agent: Agent, nested: Nested, like: RunOptions) -> Stream:
        """A stream that an agent starts, not begun; for the runtime's own tools.

        Parameters
        ----------
        session, prompt, agent
            Who is told what, and where.
        nested
            How it is nested in the stream that starts it.
        like
            That stream's options: answers, approvals and attendance are the same; a background agent has observers of
            its own, the others speak through their parent. A model in place of the agent's own stays for its skills.
        """
        observers = self.observers if nested.detached else ()
        model = like.model if nested.kind == "skill" else None
        options = replace(like, agent=agent, nested=nested, observers=observers, model=model, attachments=())
        return Stream(Run(self, session, prompt, options))

    async def run(
        self, session: Session, prompt: str, *, unattended: str | None = UNATTENDED_RUN, **options: Any
    ) -> Result:
        """Run one turn to its end.

        Parameters
        ----------
        session, prompt
            As for `run_stream`, and so are all options; without `answers` every question is declined at once.

        Returns
        -------
        Result
            Text, messages, reason and usage of the turn.

        Raises
        ------
        RunError
            The stream ended in error, after every event was drained; it carries the partial result.
        SessionBusy
            The session has a turn under way.
        """
        async with self.run_stream(session, prompt, unattended=unattended, **options) as stream:
            async for _ in stream:
                pass
            await stream.join()
        return _checked(stream)

    def answer(
        self,
        elicitation_id: str,
        action: str,
        content: dict[str, Any] | None = None,
        *,
        note: str = "",
        fill: bool = True,
    ) -> None:
        """Answer a question of one of this runtime's streams; from any thread.

        Parameters
        ----------
        elicitation_id
            The `id` of the event that asks.
        action
            ``accept``, ``decline`` or ``cancel``.
        content
            For an accepted form: the values by field name. For an accepted call: ``{"scope": …}``, which is ``once``,
            ``session`` (this tool from now on), ``always`` (in every session, what fits its ``"pattern"``; without one,
            the pattern that the event suggests) or ``all`` (whatever asks, in this session); and ``{"arguments": …}``
            where the user changed them. For a declined one: ``{"reason": "…"}`` tells the model why not.
        note
            Why, where nobody answered; the model reads it.
        fill
            Whether missing properties get the defaults of the schema.

        Raises
        ------
        AnswerRefused
            The question was answered before, its stream has ended, or it never was.
        InvalidAnswer
            The content does not fit the schema; the question stays open.
        """
        question = self.bridge.get(elicitation_id)
        outcome = _answers.checked(question.request, action, content, note=note, fill=fill)
        if question.check is not None:
            question.check(outcome)
        self.bridge.resolve(elicitation_id, outcome)

    async def aclose(self) -> None:
        """End this runtime's streams and what its toolsets keep warm; idempotent."""
        mine = [stream for stream in live_runs() if stream.runtime is self]
        for stream in mine:
            stream.cancel()
        for stream in mine:
            await stream.join()
        await self.background.settled()
        for agent in self.team.agents.values():
            for toolset in agent.toolsets:
                try:
                    await toolset.aclose()
                except Exception:  # another's toolset: the others are closed all the same
                    logger.exception("toolset %s could not be closed", toolset.name)


def _watching(observers: Sequence[Observer]) -> tuple[Observer, ...]:
    """The observers, if they are such."""
    try:
        watching: tuple[Any, ...] = tuple(observers)
    except TypeError:
        raise ConfigError(f"observers: {type(observers).__name__} is no list: give a list of observers") from None
    for one in watching:
        if not hasattr(one, "lossless") or not callable(getattr(one, "on_event", None)):
            raise ConfigError(f"observers: {type(one).__name__} is no observer: it needs `lossless` and `on_event`")
    return watching


def _attached(attachments: Sequence[Attachment]) -> tuple[Attachment, ...]:
    """The attachments, if they are such."""
    for one in attachments:
        if not isinstance(one, Attachment):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigError(f"attachments: {type(one).__name__} is no Attachment; nbagent.session has it")
    return tuple(attachments)


def _checked(stream: Stream) -> Result:
    result = stream.result()
    error = stream._run.error  # pyright: ignore[reportPrivateUsage]
    if result.reason == "error":
        code = error.code if error is not None else "internal_error"
        raise RunError(error.message if error is not None else "the run failed", code, result)
    return result

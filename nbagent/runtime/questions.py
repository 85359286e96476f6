"""The questions of one run: put to whoever can answer, and settled at the latest by the run's end.

Between `run` (whose events tell of them) and `bridge` (which knows all that are pending). Elicitations, approvals and
limits are one kind: own id, listed in `bridge.pending`, answered by `Runtime.answer`, cancelled by the finalizer.

It guarantees (P6, P10): a question is registered before its event is emitted; exactly one `elicitation_resolved`
follows; where nobody can answer it is declined at once, with a note that the model reads; a question whose asker no
longer waits is cancelled; after the run's end every question is answered with cancel, and no asker is ever cancelled
by it.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import Any

from nbagent.errors import AnswerRefused, Interrupted
from nbagent.events import ElicitationRequest, ElicitationResolved, Error, Event, Warning
from nbagent.ports import ElicitationResult
from nbagent.runtime import answers
from nbagent.runtime.bridge import Question
from nbagent.runtime.hooking import fire
from nbagent.runtime.life import Life
from nbagent.session import new_id

RUN_ENDED = "the run ended before this was answered"
NOT_AWAITED = "whoever asked no longer waits for an answer"

_telling_hooks: ContextVar[bool] = ContextVar("nbagent_telling_hooks", default=False)


class Questions:
    """Asks on behalf of one run; implements `nbagent.ports.Asker`."""

    def __init__(self, run: Life) -> None:
        self._run = run
        self._open: dict[str, Question] = {}
        self._hooks: set[asyncio.Task[None]] = set()

    @property
    def stream_id(self) -> str:
        """The stream that asks."""
        return self._run.id

    async def ask(
        self,
        message: str,
        schema: Mapping[str, Any] | None = None,
        *,
        url: str | None = None,
        source: str = "",
        tool_call_id: str | None = None,
        timeout: float | None = None,
    ) -> ElicitationResult:
        """Put an elicitation to the user and wait for what becomes of it."""
        from nbagent.schema import secret_field

        if schema is not None and not isinstance(schema, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"the schema of a question is a mapping or None, not {type(schema).__name__}")
        run = self._run
        request: dict[str, Any] = {
            "message": message,
            "schema": None if url else schema,
            "mode": "url" if url else "form",
            "url": url or "",
            "source": source,
            "tool_call_id": tool_call_id,
            "deadline": _deadline(timeout),
        }
        if not url and schema is not None and (secret := secret_field(schema)) is not None:
            note = f"the field {secret!r} asks for a secret, which must not be typed into a form"
            run.record(
                Warning, message=f"{source or 'A tool'} asked for a secret in a form ({secret!r}); it was declined."
            )
            outcome = ElicitationResult("decline", note=note)
        else:
            outcome = await self.put(ElicitationRequest, self._automatic(), **request)
            self._keep(message, source, outcome)
        run.calls.note(tool_call_id, outcome.explanation)
        return outcome

    def _keep(self, message: str, source: str, outcome: ElicitationResult) -> None:
        if self._run.options.recorder is None:
            return
        try:
            self._run.options.recorder.note(message, source, outcome)
        except OSError as error:  # the answer counts all the same
            self._run.record(Warning, message=f"An answer could not be recorded: {error.strerror or error}.")

    def _automatic(self) -> Callable[[ElicitationRequest], Awaitable[ElicitationResult]] | None:
        given = self._run.options.answers
        if given is None:
            return None

        async def answer(request: ElicitationRequest) -> ElicitationResult:
            try:
                return await answers.answer(request, given)
            except answers.BadAnswers as error:
                self._run.record(Error, code="invalid_answer", message=str(error))
                return ElicitationResult("decline", note=str(error))

        return answer

    async def put(
        self,
        cls: type[Event],
        automatic: Callable[[Any], Awaitable[ElicitationResult]] | None = None,
        check: Callable[[ElicitationResult], None] | None = None,
        **fields: Any,
    ) -> ElicitationResult:
        """Ask: register, emit the event `cls`, and wait.

        Parameters
        ----------
        cls, fields
            The event that asks, and what it says.
        automatic
            Answers in a person's place.
        check
            Raises `InvalidAnswer` for an answer that cannot be taken; the question then stays open.
        """
        run = self._run
        if run.stopped is not None:
            return ElicitationResult("cancel", note=RUN_ENDED)
        question_id = new_id("ask")
        event = run.make(cls, id=question_id, **fields)
        question = Question(question_id, run.id, event, run.loop, asyncio.Event(), self._announce, check=check)
        self._open[question_id] = question
        run.runtime.bridge.register(question)
        run.push(event)
        answering: asyncio.Task[None] | None = None
        timer = self._timer(question, event)
        try:
            if automatic is not None:
                answering = run.loop.create_task(self._answer(question, automatic))
            elif run.options.unattended is not None:
                self._settle(question, ElicitationResult("decline", note=run.options.unattended))
            else:
                self._tell_hooks(event)
            return await question.wait()
        finally:
            if timer is not None:
                timer.cancel()
            if answering is not None:
                answering.cancel()
            self._settle(question, ElicitationResult("cancel", note=NOT_AWAITED))

    def _timer(self, question: Question, event: Event) -> asyncio.TimerHandle | None:
        """Cancels a question that has a deadline when that has come."""
        if not isinstance(event, ElicitationRequest) or event.deadline is None:
            return None
        seconds = max(event.deadline - time.time(), 0)
        outcome = ElicitationResult("cancel", note=f"no answer within {round(seconds, 2):g} s")
        return self._run.loop.call_later(seconds, self._settle, question, outcome)

    async def _answer(self, question: Question, automatic: Callable[[Any], Awaitable[ElicitationResult]]) -> None:
        """Beside the asker, who so hears of the run's end also while the caller's function takes its time."""
        try:
            self._settle(question, await automatic(question.request))
        except Interrupted:
            self._run.cancel("interrupted")
        finally:
            self._settle(question, ElicitationResult("cancel", note=NOT_AWAITED))

    def _tell_hooks(self, event: Event) -> None:
        """A person is waited for: tell the hooks, beside the question, which waits for none of them."""
        if _telling_hooks.get():
            return  # a hook that asks is not told of its own question
        task = self._run.loop.create_task(self._fire(event), name=f"nbagent {self._run.id} on_user_input")
        self._hooks.add(task)
        task.add_done_callback(self._hooks.discard)

    async def _fire(self, event: Event) -> None:
        _telling_hooks.set(True)
        try:
            await fire(self._run, "on_user_input", question=event)
        except Interrupted:
            self._run.cancel("interrupted")

    async def ended(self) -> None:
        """Wait until no hook is left."""
        if self._hooks:
            await asyncio.wait(self._hooks)

    def resolve_alike(self, matches: Callable[[Event], bool], outcome: ElicitationResult) -> None:
        """Settle every open question whose event matches, with one outcome."""
        for question in tuple(self._open.values()):
            if question.outcome is None and matches(question.request):
                self._settle(question, outcome)

    def cancel_all(self) -> None:
        """The run ends: cancel what is open, announce what is settled; never waits."""
        for question in tuple(self._open.values()):
            self._settle(question, ElicitationResult("cancel", note=RUN_ENDED))
            self._announce(question)
            question.settled.set()
        for task in self._hooks:
            task.cancel()

    def forget(self) -> None:
        """The loop is closed: nobody waits there any more, so that settling must not try to wake them."""
        for question in self._open.values():
            question.settled = asyncio.Event()
        self._hooks.clear()

    def _settle(self, question: Question, outcome: ElicitationResult) -> None:
        with contextlib.suppress(AnswerRefused):  # somebody answered first, which is as good
            self._run.runtime.bridge.resolve(question.id, outcome)

    def _announce(self, question: Question) -> None:
        if self._open.pop(question.id, None) is not None and question.outcome is not None:
            outcome = question.outcome
            self._run.record(ElicitationResolved, id=question.id, action=outcome.action, note=outcome.note)


def _deadline(timeout: float | None) -> float | None:
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout < math.inf:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ValueError(f"timeout={timeout!r}: give the seconds that the user has to answer, or None")
    return time.time() + timeout

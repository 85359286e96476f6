"""A run's questions put to the person: forms in the transcript, prompts on stdin, left to `%agent_answer`, or
declined where nobody can answer.

An observer of the run beside its transcript. Each question has a task of its own, so that parallel ones wait side by
side; prompts on stdin take turns. `attendance` decides how; a page that comes later turns a prompt that is still open
into a form. It guarantees: a question settled elsewhere (answered, cancelled, its run ended) loses its form or its
prompt at once, and after `aclose` no task, thread or widget of this module is left.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol

from nbagent.errors import AnswerRefused, Interrupted, InvalidAnswer
from nbagent.events import (
    Action,
    ElicitationRequest,
    ElicitationResolved,
    Event,
    MaxIterationsReached,
    ToolCallConfirmation,
)
from nbagent.notebook import stdin
from nbagent.notebook.attendance import Attendance

if TYPE_CHECKING:
    import ipywidgets

logger = logging.getLogger("nbagent")

Asked = ElicitationRequest | ToolCallConfirmation | MaxIterationsReached


class Form(Protocol):
    """A question's widget, as `nbagent.widgets.forms` makes them."""

    @property
    def widget(self) -> ipywidgets.Widget: ...
    def close(self, note: str) -> None: ...
    def dispose(self) -> None: ...


class Place(Protocol):
    """Where forms stand: the transcript."""

    def place(self, question_id: str, widget: ipywidgets.Widget) -> None: ...
    def remove(self, question_id: str) -> None: ...


class Answers(Protocol):
    """Who takes the answers: the runtime."""

    def answer(
        self,
        elicitation_id: str,
        action: str,
        content: dict[str, Any] | None = None,
        *,
        note: str = "",
        fill: bool = True,
    ) -> None: ...


class Questions:
    """Puts the questions of one run.

    Parameters
    ----------
    answers
        Takes the answers: the runtime.
    attendance
        Decides who can answer.
    place
        Where forms stand, or None without widgets.
    read
        Reads a line from stdin.
    interrupt
        Called where an interrupt ended a prompt on the loop's own thread.
    tell
        Says in the run's output that the question of that id waits for `%agent_answer`.
    prepare
        Awaited before a form is made: what it needs is imported by then.
    skip_elicitations
        The caller gave `answers=`, which answer the elicitations; approvals and limits are still put.
    """

    lossless = True

    def __init__(
        self,
        answers: Answers,
        attendance: Attendance,
        place: Place | None,
        *,
        read: stdin.ReadLine,
        interrupt: Callable[[], None],
        tell: Callable[[str], None],
        prepare: Callable[[], Awaitable[None]],
        skip_elicitations: bool = False,
    ) -> None:
        self._answers = answers
        self._attendance = attendance
        self._place = place
        self._read = read
        self._interrupt = interrupt
        self._tell = tell
        self._prepare = prepare
        self._skip_elicitations = skip_elicitations
        self._turns = asyncio.Lock()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._forms: dict[str, Form] = {}

    async def on_event(self, event: Event) -> None:
        """Put a question, or take it back."""
        match event:
            case ElicitationRequest():
                if not self._skip_elicitations:
                    self._begin(event.id, event)
            case ToolCallConfirmation():
                self._begin(event.id, event)
            case MaxIterationsReached(id=str() as question):
                self._begin(question, event)
            case ElicitationResolved():
                await self._settled(event)
            case _:
                pass

    async def aclose(self) -> None:
        """Take back what is left, also where it is cancelled itself; bounded, idempotent."""
        try:
            await _end(*self._tasks.values())
        finally:
            for question in list(self._forms):
                self._drop(question)

    # ------------------------------------------------------------ one question

    def _begin(self, question: str, event: Asked) -> None:
        task = asyncio.get_running_loop().create_task(self._put(question, event), name=f"nbagent question {question}")
        self._tasks[question] = task
        task.add_done_callback(lambda _: self._tasks.pop(question, None))

    async def _put(self, question: str, event: Asked) -> None:
        try:
            verdict = await self._attendance.verdict()
            await self._prepare()
            if (reason := _refusal(event)) is not None:
                self._answers.answer(question, "decline", note=reason)
            elif verdict.how == "form":
                self._show(question, event)
            elif verdict.how == "stdin":
                await self._prompt_until_ready(question, event)
            elif verdict.how == "magic":
                await self._wait_until_ready(question, event)
            else:
                self._answers.answer(question, "decline", note=verdict.why)
        except AnswerRefused:
            pass  # settled elsewhere at the same moment
        except Interrupted:
            self._interrupt()
        except Exception as error:  # the outermost edge: a broken form must not leave the run waiting for ever
            logger.exception("question %s could not be put", question)
            self._give_up(question, error)

    def _give_up(self, question: str, error: Exception) -> None:
        with contextlib.suppress(AnswerRefused):
            self._answers.answer(question, "decline", note=f"the question could not be shown ({error})")

    async def _prompt_until_ready(self, question: str, event: Asked) -> None:
        prompt = asyncio.create_task(self._prompt(question, event))
        ready = self._attendance.ready
        watch = asyncio.ensure_future(ready.wait()) if ready is not None else None
        try:
            await asyncio.wait([prompt, *([watch] if watch else [])], return_when=asyncio.FIRST_COMPLETED)
            if not prompt.done():
                self._show(question, event)
        finally:
            await _end(prompt, watch)
        if not prompt.cancelled():
            prompt.result()

    async def _wait_until_ready(self, question: str, event: Asked) -> None:
        """Leave it to the magic; a page that comes late shows the form."""
        self._tell(question)
        if self._attendance.ready is not None:
            await self._attendance.ready.wait()
            self._show(question, event)

    async def _prompt(self, question: str, event: Asked) -> None:
        async with self._turns:
            read = self._read
            while True:
                action, content = await stdin.ask(event, read)
                try:
                    self._answers.answer(question, action, content, fill=False)
                    return
                except InvalidAnswer as error:
                    read = _with_note(self._read, f"{error}\n")

    def _show(self, question: str, event: Asked) -> None:
        if self._place is None or question in self._forms:
            return

        def answer(action: Action, content: dict[str, Any] | None) -> None:
            self._answers.answer(question, action, content, fill=False)  # what a person left empty is left out

        form = self._forms[question] = _form(event, answer)
        self._place.place(question, form.widget)

    async def _settled(self, event: ElicitationResolved) -> None:
        task = self._tasks.get(event.id)
        if task is not None:
            await _end(task)
        form = self._forms.get(event.id)
        if form is None:
            return
        if event.action == "cancel" and event.note:
            form.close(event.note)  # stays to be read until the transcript takes its final form
        else:
            self._drop(event.id)

    def _drop(self, question: str) -> None:
        form = self._forms.pop(question, None)
        if form is not None and self._place is not None:
            self._place.remove(question)
            form.dispose()


def _refusal(event: Asked) -> str | None:
    """Why a question is not put at all, such as an address that nobody should open."""
    from nbagent.widgets import forms

    return forms.refusal(event) if isinstance(event, ElicitationRequest) else None


def _form(event: Asked, answer: Callable[[Action, dict[str, Any] | None], None]) -> Form:
    from nbagent.widgets import forms

    if isinstance(event, ElicitationRequest):
        return forms.ElicitationForm(event, answer, agent_name=event.agent_name)
    if isinstance(event, ToolCallConfirmation):
        return forms.ApprovalForm(event, answer, agent_name=event.agent_name)
    return forms.LimitForm(event, answer, agent_name=event.agent_name)


def _with_note(read: stdin.ReadLine, note: str) -> stdin.ReadLine:
    """`read` that says `note` once, before its first prompt."""
    pending = [note]

    async def noted(prompt: str) -> str:
        return await read(f"{pending.pop() if pending else ''}{prompt}")

    return noted


async def _end(*tasks: asyncio.Future[Any] | None) -> None:
    """Cancel and wait, bounded."""
    live = [task for task in tasks if task is not None and not task.done()]
    for task in live:
        task.cancel()
    if live:
        await asyncio.wait(live, timeout=1)

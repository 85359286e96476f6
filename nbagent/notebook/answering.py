"""The questions that wait, answered by a magic: `%agent_pending` lists them, `%agent_answer` answers one.

For front ends that show no forms, and for runs that go on beside the cells, where a prompt on stdin would stand in the
way of the next cell's. Every question that waits is here, whoever put it how: it is settled once, by whichever answer
comes first, and its form or prompt goes. Each has a short name (a1, a2 …) that a person can type, for as long as it
waits. Below: the runtimes' bridges. Above: `workspace`, `magics`.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from nbagent.errors import AnswerRefused, InvalidAnswer, UsageError
from nbagent.events import ElicitationRequest, Event, MaxIterationsReached, ToolCallConfirmation
from nbagent.notebook.displaying import Document, table
from nbagent.notebook.parsing import AnswerCommand
from nbagent.plaintext import plain

if TYPE_CHECKING:
    from nbagent.runtime.bridge import Question
    from nbagent.runtime.life import Home
    from nbagent.runtime.stream import Stream


@dataclass(frozen=True, slots=True)
class Waiting:
    """A question that waits, and who takes its answer."""

    home: Home[Stream]
    question: Question


class Answering:
    """The short names of the notebook's questions; for the loop's thread."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._numbers = itertools.count(1)

    def name_of(self, question_id: str) -> str:
        """The question's short name."""
        if question_id not in self._names:
            self._names[question_id] = f"a{next(self._numbers)}"
        return self._names[question_id]

    def hint(self, question_id: str) -> str:
        """What to type, for the output of a run that nobody can be asked in otherwise."""
        name = self.name_of(question_id)
        found = self.waiting().get(name)
        example = f" {_example(found.question.request)}" if found is not None else ""
        return f"Waits for an answer: %agent_answer {name} accept{example}, or decline, or cancel."

    def waiting(self) -> dict[str, Waiting]:
        """What waits, by its short name, oldest first."""
        found = list(_waiting())
        self._names = {w.question.id: self.name_of(w.question.id) for w in found}
        return {self._names[w.question.id]: w for w in found}

    def answer(self, command: AnswerCommand) -> str:
        """Answer the question that is named, or the newest; its short name.

        Raises
        ------
        UsageError
            There is none, or the answer does not fit it: then it waits on.
        """
        waiting = self.waiting()
        name = command.question or next(reversed(waiting), None)
        if name is None:
            raise UsageError("no question waits for an answer")
        if name not in waiting:
            others = f"waiting are {', '.join(waiting)}" if waiting else "none waits"
            raise UsageError(f"no question {name} waits for an answer; {others}")
        found = waiting[name]
        try:
            note = _reason(found.question.request, command)
            found.home.answer(found.question.id, command.action, None if note else command.content, note=note)
        except InvalidAnswer as error:
            raise UsageError(f"{' '.join(str(error).split())}; {name} waits on") from error
        except AnswerRefused as error:
            raise UsageError(str(error)) from error
        return name

    def table(self) -> Document:
        """What waits, newest last."""
        rows = [_row(name, waiting.question.request) for name, waiting in self.waiting().items()]
        heads = ("question", "asked by", "what", "time left", "accept with")
        return table(heads, rows, empty="No question waits for an answer.")


def _reason(request: Event, command: AnswerCommand) -> str:
    """Why an elicitation is declined, which its asker reads; an approval has its own check of that."""
    if not isinstance(request, ElicitationRequest) or command.action != "decline" or command.content is None:
        return ""
    reason = command.content.get("reason")
    if set(command.content) != {"reason"} or not isinstance(reason, str):
        raise InvalidAnswer({"": 'decline takes {"reason": "…"} and nothing else'})
    return reason


def _waiting() -> Iterator[Waiting]:
    from nbagent.runtime.live import live_runs

    homes = {id(stream.runtime): stream.runtime for stream in live_runs()}
    for home in homes.values():
        for question in home.bridge.pending:
            yield Waiting(home, question)


def _row(name: str, request: Event) -> tuple[str, ...]:
    return name, plain(_asker(request)), _short(_words(request)), _left(request), _example(request)


def _left(request: Event) -> str:
    """How long an answer still counts."""
    if not isinstance(request, ElicitationRequest) or request.deadline is None:
        return "no limit"
    return f"{max(request.deadline - time.time(), 0):.0f} s"


def _asker(request: Event) -> str:
    return (request.source if isinstance(request, ElicitationRequest) else "") or request.agent_name


def _words(request: Event) -> str:
    match request:
        case ElicitationRequest():
            return f"{request.message} {request.url}".strip()
        case ToolCallConfirmation():
            return f"run {request.name}({json.dumps(request.arguments, default=str, ensure_ascii=False)})?"
        case MaxIterationsReached():
            return f"{request.max_iterations} model calls made; go on?"
        case _:
            return request.type


def _example(request: Event) -> str:
    """The content of an answer, to be filled in."""
    if isinstance(request, ToolCallConfirmation):
        return '{"scope": "once"}'
    if not isinstance(request, ElicitationRequest) or request.mode == "url":
        return ""
    if request.schema is None:
        return '{"answer": "…"}'
    properties = cast("dict[str, dict[str, Any]]", request.schema.get("properties") or {})
    values = {name: _filler(field) for name, field in properties.items()}
    return plain(json.dumps(values, ensure_ascii=False, default=str))


_MOST_FILLED = 60
"""Characters of a value that an example repeats."""


def _filler(field: Any) -> Any:
    """What stands for a field's value: its default, or its only value, where that is short."""
    known = cast("dict[str, Any]", field if isinstance(field, dict) else {})
    value = known.get("const", known.get("default", "…"))
    return value if len(json.dumps(value, default=str)) <= _MOST_FILLED else "…"


def _short(text: str, limit: int = 80) -> str:
    line = " ".join(plain(text).split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"

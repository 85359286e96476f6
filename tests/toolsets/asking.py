"""A person for tests: records what is asked, and answers by a script or when told to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nbagent.ports import ElicitationResult, ToolContext
from nbagent.session import Session


@dataclass
class Question:
    """One question that was put."""

    message: str
    schema: Mapping[str, Any] | None
    url: str | None
    source: str
    tool_call_id: str | None


@dataclass
class Person:
    """An `Asker`. With `answer`, each question is answered at once by what it returns; else by `say`, or `leave`."""

    stream_id: str = "stream_1"
    answer: Callable[[Question], ElicitationResult] | None = None
    questions: list[Question] = field(default_factory=list[Question])
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    _open: list[asyncio.Future[ElicitationResult]] = field(default_factory=list[Any])

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
        question = Question(message, schema, url, source, tool_call_id)
        self.questions.append(question)
        self.asked.set()
        if self.answer is not None:
            return self.answer(question)
        waiting: asyncio.Future[ElicitationResult] = asyncio.get_running_loop().create_future()
        self._open.append(waiting)
        return await waiting

    def say(self, result: ElicitationResult) -> None:
        """Answer the oldest open question."""
        self._open.pop(0).set_result(result)

    def leave(self) -> None:
        """The stream ends: every open question is answered with cancel."""
        while self._open:
            self.say(ElicitationResult("cancel"))


@dataclass
class Card:
    """What a call's card would show."""

    text: str = ""
    bundles: list[Mapping[str, Any]] = field(default_factory=list[Any])
    written: asyncio.Event = field(default_factory=asyncio.Event)

    def emit(self, text: str, bundle: Mapping[str, Any] | None) -> None:
        self.text += text
        if bundle is not None:
            self.bundles.append(bundle)
        self.written.set()


def make_context(asker: Person | None = None, card: Card | None = None, call_id: str = "call_1") -> ToolContext:
    """A context for one call."""
    return ToolContext(
        asker=asker or Person(),
        tool_call_id=call_id,
        tool_name="tool",
        agent_name="helper",
        session=Session(),
        emit_output=(card or Card()).emit,
    )

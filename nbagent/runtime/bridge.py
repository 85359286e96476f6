"""The elicitation bridge: which streams are live, and which questions wait for a person.

Streams enter and leave it from their own lifetime (`run`); tools, servers and hooks reach the user through it; front
ends answer by `resolve`, from any thread. What does not work: a pointer to the newest stream with the previous one
saved aside. Streams end in any order, and the restored pointer is then a dead one. So the bridge is a set of live
streams in the order of their start, and `current` is computed, never stored.

It guarantees (P5, P6): `current` is a live stream or None; a question is registered before anyone can hear of it,
belongs to one live stream, and is settled exactly once, by an answer or by its stream's end; a late, second or unknown
answer is refused and changes nothing.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from nbagent.errors import AnswerRefused
from nbagent.events import Event
from nbagent.ports import ElicitationResult
from nbagent.runtime.crossing import call_soon

H = TypeVar("H")
H_co = TypeVar("H_co", covariant=True)


class LiveRun(Protocol[H_co]):
    """A run, as far as the bridge knows it: by its stream's identifier, and by the consumer's handle on it."""

    @property
    def id(self) -> str:
        """The stream's identifier."""
        ...

    @property
    def handle(self) -> H_co:
        """The consumer's handle; where that was dropped, another, whose dropping means nothing."""
        ...


@dataclass(slots=True, eq=False)
class Question:
    """Something that a person is asked: an elicitation, an approval, or a limit.

    Parameters
    ----------
    id
        Its own identifier, which the answer names.
    stream_id
        The stream that asks.
    request
        The event that tells of it.
    check
        Raises `InvalidAnswer` for an outcome that whoever asks cannot take; called on the thread that answers.
    """

    id: str
    stream_id: str
    request: Event
    loop: asyncio.AbstractEventLoop
    settled: asyncio.Event
    announce: Callable[[Question], None]
    outcome: ElicitationResult | None = None
    check: Callable[[ElicitationResult], None] | None = None

    async def wait(self) -> ElicitationResult:
        """The outcome, when there is one."""
        await self.settled.wait()
        assert self.outcome is not None
        return self.outcome


class Bridge(Generic[H]):
    """The live streams of one runtime and their pending questions; `H` is the handle on a stream, a `Stream`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._live: dict[str, LiveRun[H]] = {}
        self._pending: dict[str, Question] = {}

    @property
    def current(self) -> H | None:
        """The innermost live stream: the one that began last. None where no stream is live."""
        with self._lock:
            run = next(reversed(self._live.values()), None)
        return None if run is None else run.handle

    @property
    def live(self) -> tuple[H, ...]:
        """The live streams, in the order of their start."""
        with self._lock:
            runs = tuple(self._live.values())
        return tuple(run.handle for run in runs)

    @property
    def pending(self) -> tuple[Question, ...]:
        """The questions that wait for an answer, oldest first."""
        with self._lock:
            return tuple(self._pending.values())

    def enter(self, run: LiveRun[H]) -> None:
        """The run's stream lives. Called by its lifetime alone."""
        with self._lock:
            self._live[run.id] = run

    def leave(self, run: LiveRun[H]) -> None:
        """The run's stream is dead: forget it; idempotent. Called by its finalizer alone."""
        with self._lock:
            self._live.pop(run.id, None)

    def register(self, question: Question) -> None:
        """A question of a live stream waits from now on."""
        with self._lock:
            self._pending[question.id] = question

    def get(self, question_id: str) -> Question:
        """The pending question.

        Raises
        ------
        AnswerRefused
            Nobody waits for an answer to it.
        """
        with self._lock:
            question = self._pending.get(question_id)
        if question is None:
            raise AnswerRefused(
                f"question {question_id} waits for no answer: it was answered, its run ended, or it never was"
            )
        return question

    def resolve(self, question_id: str, outcome: ElicitationResult) -> None:
        """Settle a question, once; from any thread.

        Raises
        ------
        AnswerRefused
            It was settled before, or is unknown.
        """
        question = self.get(question_id)
        if not self.settle(question, outcome):
            raise AnswerRefused(f"question {question_id} was answered at the same moment by somebody else")
        _on_loop(question.loop, _wake, question)

    def settle(self, question: Question, outcome: ElicitationResult) -> bool:
        """Set the outcome unless there is one; whether this call did it. Waking the asker is the caller's."""
        with self._lock:
            if self._pending.pop(question.id, None) is None:
                return False
            question.outcome = outcome
            return True


def _wake(question: Question) -> None:
    question.announce(question)
    question.settled.set()


def _on_loop(loop: asyncio.AbstractEventLoop, function: Callable[..., Any], *args: Any) -> None:
    """Call now when on the loop's thread, else as soon as the loop can; a closed loop has nobody left to tell."""
    if asyncio._get_running_loop() is loop:  # pyright: ignore[reportPrivateUsage]
        function(*args)
        return
    call_soon(loop, function, *args)

"""An observer that checks every event as it comes, as a bookkeeper does: each stream's book is whole at every moment.

It guarantees that whatever breaks the events' order (P2, P3, P6, P7) is among `faults` when the loop rests.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from nbagent.events import (
    AgentChoice,
    ElicitationRequest,
    ElicitationResolved,
    Event,
    MaxIterationsReached,
    StreamStarted,
    StreamStopped,
    SubSessionCompleted,
    SubSessionStarted,
    ToolCallConfirmation,
    ToolCallResponse,
    ToolCallStarted,
)


@dataclass
class Book:
    """One stream's events so far."""

    seq: int = 0
    calls: set[str] = field(default_factory=set[str])
    called: set[str] = field(default_factory=set[str])
    questions: set[str] = field(default_factory=set[str])
    children: set[str] = field(default_factory=set[str])
    text: list[str] = field(default_factory=list[str])
    stopped: StreamStopped | None = None


class Ledger:
    """The books of all streams of one example; where they are of one consumer, its events are in one order."""

    lossless = True

    def __init__(self, *, of_one_consumer: bool = False) -> None:
        self._whole = of_one_consumer
        self.books: dict[str, Book] = {}
        self.faults: list[str] = []

    async def on_event(self, event: Event) -> None:
        """Enter one event."""
        self.enter(event)

    def enter(self, event: Event) -> None:
        """Enter one event into its stream's book."""
        book = self.books.setdefault(event.stream_id, Book())
        book.seq += 1
        self._demand(event.seq == book.seq, event, f"the event after {book.seq - 1}")
        self._demand(isinstance(event, StreamStarted) == (book.seq == 1), event, "the start first, and once")
        self._demand(book.stopped is None, event, "nothing after the stop")
        self._enter(event, book)

    def _enter(self, event: Event, book: Book) -> None:
        match event:
            case AgentChoice(content=content):
                book.text.append(content)
            case ToolCallStarted(tool_call_id=call):
                self._demand(call not in book.called, event, "each call once")
                book.calls.add(call)
                book.called.add(call)
            case ToolCallResponse(tool_call_id=call):
                self._take(call, book.calls, event)
            case ElicitationRequest(id=question) | ToolCallConfirmation(id=question):
                book.questions.add(question)
            case MaxIterationsReached(id=str() as question):
                book.questions.add(question)
            case ElicitationResolved(id=question):
                self._take(question, book.questions, event)
            case SubSessionStarted(child_stream_id=child, background=False):
                book.children.add(child)
            case SubSessionCompleted(child_stream_id=child) if child in book.children:
                book.children.discard(child)
                book_of_child = self.books.get(child) if self._whole else None  # else it may speak by another queue
                self._demand(book_of_child is None or book_of_child.stopped is not None, event, "its stop before")
            case StreamStopped():
                book.stopped = event
                left = book.calls | book.questions | book.children
                self._demand(not left, event, f"an end of {left} before")
            case _:
                pass

    def _take(self, name: str, among: set[str], event: Event) -> None:
        self._demand(name in among, event, "a beginning before, and no second end")
        among.discard(name)

    def _demand(self, holds: bool, event: Event, wanted: str) -> None:
        if not holds:
            self.faults.append(f"{event.type} {event.seq} of {event.stream_id}: there should be {wanted}")

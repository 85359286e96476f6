"""The bounded way from a stream's producer to its consumer, whose close is the terminal signal and carries the last
event.

Between `run` (which pushes) and `stream` (which receives). It guarantees (P3): a consumer that still drains gets every
event up to and including the terminal one; a full buffer never drops it; an absent consumer never delays it; whatever
is pushed after the close is dropped.

Backpressure stands apart from pushing: a producer awaits `room()` and then pushes in one step, so that an event is
numbered and buffered at once or not at all. What cannot wait (the finalizer, a question, a thread's output) pushes
beyond the capacity. An anyio memory stream would do the same at an eighth of the speed, and could not take the terminal
event when full.
"""

from __future__ import annotations

from collections import deque

import anyio

from nbagent.events import Event

CAPACITY = 128
"""Events that a producer may be ahead of its consumer."""


class Channel:
    """One producer's events for one consumer, in order; all methods belong to the loop's thread."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._buffer: deque[Event] = deque()
        self._capacity = capacity
        self._closed = False
        self._filled: anyio.Event | None = None
        self._drained: anyio.Event | None = None

    @property
    def closed(self) -> bool:
        """Whether the terminal event is in; the consumer may still have events to drain."""
        return self._closed

    @property
    def full(self) -> bool:
        """Whether a producer should await `room` before it pushes."""
        return len(self._buffer) >= self._capacity and not self._closed

    async def room(self) -> None:
        """Wait until the consumer has made room, or the channel is closed."""
        while self.full:
            if self._drained is None:
                self._drained = anyio.Event()
            await self._drained.wait()

    def push(self, event: Event) -> None:
        """Buffer an event; dropped after the close."""
        if self._closed:
            return
        self._buffer.append(event)
        self._wake_consumer()

    def close(self, terminal: Event) -> None:
        """Buffer the terminal event and close; a second close changes nothing."""
        if self._closed:
            return
        self._buffer.append(terminal)
        self._closed = True
        self._wake_consumer()
        self._wake_producer()

    async def receive(self) -> Event | None:
        """The next event, or None after the terminal one."""
        while not self._buffer:
            if self._closed:
                return None
            if self._filled is None:
                self._filled = anyio.Event()
            await self._filled.wait()
        event = self._buffer.popleft()
        if self._drained is not None and len(self._buffer) < self._capacity:
            self._wake_producer()
        return event

    def _wake_consumer(self) -> None:
        if self._filled is not None:
            self._filled.set()
            self._filled = None

    def _wake_producer(self) -> None:
        if self._drained is not None:
            self._drained.set()
            self._drained = None

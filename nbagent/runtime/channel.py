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

import asyncio
from collections import deque

from nbagent.events import Event

CAPACITY = 128
"""Events that a producer may be ahead of its consumer."""


class Channel:
    """One producer's events for one consumer, in order; all methods belong to the loop's thread."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._buffer: deque[Event] = deque()
        self._capacity = capacity
        self._closed = False
        self._filled: list[asyncio.Future[None]] = []
        self._drained: list[asyncio.Future[None]] = []

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
            await _wait(self._drained)

    def push(self, event: Event) -> None:
        """Buffer an event; dropped after the close."""
        if self._closed:
            return
        self._buffer.append(event)
        if self._filled:
            _wake(self._filled)

    def close(self, terminal: Event) -> None:
        """Buffer the terminal event and close; a second close changes nothing."""
        if self._closed:
            return
        self._buffer.append(terminal)
        self._closed = True
        _wake(self._filled)
        _wake(self._drained)

    async def receive(self) -> Event | None:
        """The next event, or None after the terminal one."""
        while not self._buffer:
            if self._closed:
                return None
            await _wait(self._filled)
        return self.take()

    def take(self) -> Event:
        """The next event, where there is one.

        Raises
        ------
        IndexError
            There is none: `receive` waits for it.
        """
        event = self._buffer.popleft()
        if self._drained and len(self._buffer) < self._capacity:
            _wake(self._drained)
        return event


async def _wait(waiting: list[asyncio.Future[None]]) -> None:
    """Wait among others, each on a future of its own, so that a cancellation reaches the one that it is for."""
    woken = asyncio.get_running_loop().create_future()
    waiting.append(woken)
    try:
        await woken
    finally:
        if woken in waiting:  # nobody woke it: the task is cancelled
            waiting.remove(woken)


def _wake(waiting: list[asyncio.Future[None]]) -> None:
    for woken in waiting:
        if not woken.done():
            woken.set_result(None)
    waiting.clear()

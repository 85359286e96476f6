"""The fan-out of a stream's events to its observers, each with a queue and a task of its own.

Fed by `run` in the same step as the channel; ends when the channel closes. It guarantees (P9): an observer that is
slow, failing or hanging neither stalls nor kills the stream; a lossless one gets every event in order; another loses
its oldest under load, and the number lost is counted and logged; `drain` is bounded.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable

from nbagent import boundary
from nbagent.events import Event
from nbagent.ports import Observer

logger = logging.getLogger("nbagent")

LOSSY_CAPACITY = 1000
"""Events that wait for an observer which may lose some."""
GATHER = 0.002
"""Seconds after which a sleeping observer is woken: at a model's pace one wake-up then brings several events."""


class _Feed:
    """One observer's queue and the task that empties it; `asleep` is told when the queue is empty."""

    def __init__(self, observer: Observer, asleep: Callable[[_Feed], None]) -> None:
        self.observer = observer
        self.asleep = asleep
        self.queue: deque[Event] = deque(maxlen=None if observer.lossless else LOSSY_CAPACITY)
        self.lost = 0
        self.failed = 0
        self.ended = False
        self.waiting: asyncio.Future[None] | None = None
        self.begin()

    def begin(self) -> None:
        """Empty the queue from now on, in a task of its own."""
        name = f"nbagent observer {type(self.observer).__name__}"
        self.task = asyncio.get_running_loop().create_task(self._pump(), name=name)

    def end(self) -> None:
        self.ended = True
        self.wake()

    def wake(self) -> None:
        if self.waiting is not None and not self.waiting.done():
            self.waiting.set_result(None)
        self.waiting = None

    async def _pump(self) -> None:
        while True:
            while self.queue:
                event = self.queue.popleft()
                try:
                    await self.observer.on_event(event)
                except BaseException as failure:  # the outermost edge of a task that must live on
                    self._failed(event, failure)
            if self.ended:
                break
            self.waiting = asyncio.get_running_loop().create_future()
            self.asleep(self)
            await self.waiting
        if self.lost:
            logger.warning("observer %r was too slow: %d events lost", self.observer, self.lost)

    def _failed(self, event: Event, failure: BaseException) -> None:
        if not boundary.is_failure(failure):
            raise failure
        self.failed += 1
        if self.failed == 1:
            logger.error(
                "observer %r failed on %s; it goes on with the next event",
                self.observer, event.type, exc_info=failure,
            )  # fmt: skip


class FanOut:
    """The observers of one stream."""

    def __init__(self, observers: Iterable[Observer]) -> None:
        self._feeds: list[_Feed] = []
        self._lossy: list[_Feed] = []
        self._asleep: list[_Feed] = []
        self._put: list[Callable[[Event], None]] = []
        self._waking: asyncio.TimerHandle | None = None
        self._ended = False
        try:
            for observer in observers:
                feed = _Feed(observer, self._asleep.append)
                self._feeds.append(feed)
                self._put.append(feed.queue.append)
                if feed.queue.maxlen is not None:
                    self._lossy.append(feed)
        except BaseException:  # what is no observer: leave no task behind
            self.end()
            raise

    def push(self, event: Event) -> None:
        """Queue an event for every observer; never waits."""
        if self._ended:
            return
        for feed in self._lossy:
            feed.lost += len(feed.queue) == LOSSY_CAPACITY
        for put in self._put:
            put(event)
        if self._asleep and self._waking is None:
            self._waking = asyncio.get_running_loop().call_later(GATHER, self._wake)

    def _wake(self) -> None:
        self._waking = None
        asleep = tuple(self._asleep)
        self._asleep.clear()  # in place: each feed holds its `append`
        for feed in asleep:
            feed.wake()

    def end(self) -> None:
        """No event will follow."""
        self._ended = True
        if self._waking is not None:
            self._waking.cancel()
            self._waking = None
        for feed in self._feeds:
            feed.end()

    async def drain(self, seconds: float) -> None:
        """Wait for the observers to take what is queued; after `seconds` the rest is dropped, which is logged."""
        if not self._feeds:
            return
        for feed in self._feeds:
            if feed.task.done() and feed.queue:  # cancelled with all the loop's tasks, as asyncio.run does at its end
                feed.begin()
        _, late = await asyncio.wait([feed.task for feed in self._feeds], timeout=seconds)
        for feed in self._feeds:
            if feed.task in late:
                logger.warning(
                    "observer %r did not end in %.1f s: %d events dropped", feed.observer, seconds, len(feed.queue)
                )
                feed.task.cancel()

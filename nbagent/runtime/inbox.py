"""What the user says to a stream that is already under way: steering messages and follow-ups.

Filled by `Stream.steer` and `Stream.follow_up` from any thread; read by `loop`: the steering before each model call, a
follow-up when the agent has nothing more to do. It guarantees that no message is stranded: one that is taken is
either read by the agent or is among `undelivered` when the stream ends early, and one that comes after the end is
refused. The loop ends a stream only by `close_if_empty`, so that none slips in between its last look and the end; and
a message that it looks at stays here until it says by `read` that it is in the history, since a hook may ponder the
words, or the consumer be slow, when the end comes.
"""

from __future__ import annotations

import threading
from collections import deque

from nbagent.errors import ConfigError, StreamEnded


class Inbox:
    """The messages for one stream."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._steering: deque[str] = deque()
        self._following: deque[str] = deque()
        self._closed = False

    def steer(self, text: str) -> None:
        """Say something before the next model call; from any thread.

        Raises
        ------
        StreamEnded
            Nobody reads it any more.
        ConfigError
            It is empty.
        """
        self._put(self._steering, text)

    def follow_up(self, text: str) -> None:
        """Say something when the agent has finished; from any thread.

        Raises
        ------
        StreamEnded
            Nobody reads it any more.
        ConfigError
            It is empty.
        """
        self._put(self._following, text)

    def _put(self, queue: deque[str], text: str) -> None:
        if not text.strip():
            raise ConfigError("the message is empty: say what the agent is to do")
        with self._lock:
            if self._closed:
                raise StreamEnded("the stream has ended, so the message was not taken; begin a new turn with it")
            queue.append(text)

    def steering(self) -> str | None:
        """The oldest steering message that is not read, or None."""
        with self._lock:
            return self._steering[0] if self._steering else None

    def following(self) -> str | None:
        """The oldest follow-up that is not read, or None."""
        with self._lock:
            return self._following[0] if self._following else None

    def read(self, text: str) -> None:
        """The oldest message with these words is read; nothing where the stream has ended since it was looked at."""
        with self._lock:
            queue = self._steering if text in self._steering else self._following
            if text in queue:
                queue.remove(text)

    def close_if_empty(self) -> bool:
        """Close, unless something waits; whether it is closed."""
        with self._lock:
            self._closed = self._closed or not (self._steering or self._following)
            return self._closed

    def close(self) -> tuple[str, ...]:
        """Close, whatever waits: that is returned; idempotent."""
        with self._lock:
            left = (*self._steering, *self._following)
            self._steering.clear()
            self._following.clear()
            self._closed = True
        return left

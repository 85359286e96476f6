"""Where a run's events go: to its own consumer and observers, or through the run that it is nested in.

Between `run`, which numbers the events, and `channel` and `observers`, which carry them. A nested stream speaks through
its parent, so that one consumer and one queue of each observer get the events of the whole tree in the order in which
they became true. It guarantees: a nested stream's `stream_stopped` reaches the parent's consumer also when the parent
is being finalized (the children are finalized first, and what they say is pushed at once).

A background agent outlives its parent: it has an outlet of its own.
"""

from __future__ import annotations

from typing import Protocol

from nbagent.events import Event
from nbagent.runtime.channel import Channel
from nbagent.runtime.observers import FanOut


class Outlet(Protocol):
    """Takes one run's events."""

    @property
    def full(self) -> bool:
        """Whether a producer should await `room` before it pushes."""
        ...

    async def room(self) -> None:
        """Wait until the consumer has made room, or is gone."""
        ...

    def push(self, event: Event) -> None:
        """Hand an event on; never waits; dropped after the close."""
        ...

    def close(self, terminal: Event) -> None:
        """Hand the last event on."""
        ...

    async def drain(self, seconds: float) -> None:
        """Wait, bounded, until observers have taken what is queued."""
        ...


class Direct:
    """To a consumer and observers of the run's own."""

    def __init__(self, channel: Channel, fanout: FanOut) -> None:
        self._channel = channel
        self._fanout = fanout
        self.room = channel.room
        self.drain = fanout.drain

    @property
    def full(self) -> bool:
        """Whether the channel is."""
        return self._channel.full

    def push(self, event: Event) -> None:
        """To the observers, then to the consumer."""
        self._fanout.push(event)
        self._channel.push(event)

    def close(self, terminal: Event) -> None:
        """The last event for both."""
        self._fanout.push(terminal)
        self._fanout.end()
        self._channel.close(terminal)


class Relay:
    """Through the parent; whoever iterates over the nested stream itself gets its last event alone."""

    def __init__(self, parent: Outlet, channel: Channel) -> None:
        self._parent = parent
        self._channel = channel
        self.room = parent.room
        self.push = parent.push

    @property
    def full(self) -> bool:
        """Whether the consumer of the whole tree is behind."""
        return self._parent.full

    def close(self, terminal: Event) -> None:
        """The parent's consumer hears of it; the parent goes on."""
        self._parent.push(terminal)
        self._channel.close(terminal)

    async def drain(self, seconds: float) -> None:
        """Nothing is queued here."""

"""The handle on a stream that an agent started, as far as delegation uses it.

`stream.Stream` fits it; `life.Home` makes one. Nothing here does anything: it stands below both, so that imports point
one way.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import TracebackType
from typing import Protocol

from nbagent.events import Event, StopReason, StreamStopped
from nbagent.session import Result, Session


class NestedStream(Protocol):
    """The handle on a stream that an agent started, as far as delegation uses it: a `Stream`."""

    @property
    def id(self) -> str:
        """The stream's identifier."""
        ...

    @property
    def session(self) -> Session:
        """The session that it speaks in."""
        ...

    @property
    def agent_name(self) -> str:
        """Who speaks."""
        ...

    @property
    def stopped(self) -> StreamStopped | None:
        """Its final event, or None while it is live."""
        ...

    def cancel(self, reason: StopReason = "cancelled") -> None:
        """Stop it; from any thread."""
        ...

    async def join(self) -> None:
        """Wait until it has stopped and cleaned up."""
        ...

    def result(self) -> Result:
        """What it came to."""
        ...

    @property
    def said(self) -> str:
        """The agent's text so far, also what it is saying right now."""
        ...

    async def __aenter__(self) -> NestedStream:
        """Begin it."""
        ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        """Stop it and wait."""
        ...

    def __aiter__(self) -> AsyncIterator[Event]:
        """Its events."""
        ...

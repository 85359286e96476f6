"""A call under way: whose it is, which request it went out as, and the clock that stands still while a person thinks.

The context variable `current` names it in the call's own task, and in what that task starts. A second-era server's
questions run there; so do a first-era server's where HTTP carries the sender's context along. Everything else that a
first-era server asks runs below the connection's owner, whose context is empty.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Generator, Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nbagent.ports import Asker

if TYPE_CHECKING:
    from mcp.shared.dispatcher import ProgressFnT

Progress = Callable[[str], None]


@dataclass(eq=False, slots=True)
class Call:
    """A call under way: whose it is, under which id it went out, whether its server asked, whether anybody waits."""

    asker: Asker
    tool_call_id: str
    clock: asyncio.Timeout | None = None
    remaining: float | None = None
    thinking: int = 0
    request_id: Any = None
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    dropped: bool = False
    asked: bool = False

    def pause(self) -> None:
        """A question was put: stop the clock."""
        self.asked = True
        self.thinking += 1
        if self.thinking == 1 and self.clock is not None and (when := self.clock.when()) is not None:
            self.remaining = when - asyncio.get_running_loop().time()
            self.clock.reschedule(None)

    def resume(self) -> None:
        """A question was answered: with the last one, the clock goes on."""
        self.thinking -= 1
        if self.thinking == 0 and self.clock is not None and self.remaining is not None:
            self.clock.reschedule(asyncio.get_running_loop().time() + self.remaining)


current: ContextVar[Call | None] = ContextVar("nbagent_mcp_call", default=None)


@contextlib.contextmanager
def thinking(calls: Iterable[Call]) -> Generator[None]:
    """The time in which a person is asked on behalf of these calls; it counts for none of them."""
    paused = list(calls)
    for call in paused:
        call.pause()
    try:
        yield
    finally:
        for call in paused:
            call.resume()


def reporting(on_progress: Progress) -> ProgressFnT:
    async def report(progress: float, total: float | None, message: str | None) -> None:
        on_progress(message or (f"{progress:g}" if total is None else f"{progress:g}/{total:g}"))

    return report


def retrieved(task: asyncio.Task[Any]) -> None:
    """Look at the outcome, which nobody waits for, so that asyncio does not complain."""
    if not task.cancelled():
        task.exception()

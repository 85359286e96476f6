"""An event loop for a state machine: its clock stands still unless it is moved, and it can be run until it rests.

Time never passes by itself, so that a grace of five seconds costs nothing and is over exactly when the machine says so.
Rest means: every task waits for something, and every tool's thread has either ended or waits for an answer.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

QUIET = 3
"""Passes of the loop in a row, without anything to do, that count as rest: callbacks schedule callbacks."""
MOMENT = 0.01
"""Seconds that the clock moves for what is due so soon, such as an observer that gathers events before it wakes."""
PASSES = 50_000
"""Passes after which it will never rest."""


class SteppedLoop(asyncio.SelectorEventLoop):
    """The loop of one example."""

    def __init__(self) -> None:
        self._now = 0.0
        super().__init__()
        self.faults: list[str] = []
        self.tasks: set[asyncio.Task[Any]] = set()
        self._mine = threading.get_ident()
        self.set_exception_handler(lambda loop, context: self.faults.append(repr(context)))

    def time(self) -> float:
        """Seconds since the example began, as it counts them."""
        return self._now

    def create_task(self, coro: Any, **options: Any) -> asyncio.Task[Any]:
        """A task, on the list of those that are not done; `asyncio.all_tasks` searches those of every loop."""
        task = super().create_task(coro, **options)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        """As ever; a call by another thread, which may not, is a fault."""
        if threading.get_ident() != self._mine:
            self.faults.append(f"another thread schedules {callback}")
        return super().call_soon(callback, *args, context=context)

    def pass_time(self, seconds: float, is_parked: Callable[[threading.Thread], bool]) -> None:
        """Let time pass, in steps, so that one deadline may lead to the next."""
        until = self._now + seconds
        while self._now < until:
            self._now = min(self._now + 0.25, until)
            self.settle(is_parked)

    def settle(self, is_parked: Callable[[threading.Thread], bool]) -> None:
        """Run until all rest, and nothing is put off for a moment only."""
        self.run_until_complete(self._rest(is_parked))
        timers: list[asyncio.TimerHandle] = self._scheduled  # pyright: ignore[reportAttributeAccessIssue]
        while timers and timers[0].when() <= self._now + MOMENT:
            self._now += MOMENT
            self.run_until_complete(self._rest(is_parked))

    async def _rest(self, is_parked: Callable[[threading.Thread], bool]) -> None:
        quiet = 0
        for _ in range(PASSES):
            await asyncio.sleep(0)
            quiet = quiet + 1 if self._is_quiet(is_parked) else 0
            if quiet == QUIET:
                return
        raise AssertionError(f"the loop does not come to rest: {self.tasks}")

    def _is_quiet(self, is_parked: Callable[[threading.Thread], bool]) -> bool:
        me = asyncio.current_task()
        waiters = (getattr(task, "_fut_waiter", None) for task in self.tasks if task is not me)
        if any(waiter is None or waiter.done() for waiter in waiters):
            return False
        return all(is_parked(thread) for thread in tool_threads())


def tool_threads() -> list[threading.Thread]:
    """The threads of synchronous tools."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("nbagent-act")]

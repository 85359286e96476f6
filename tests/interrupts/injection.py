"""One run of a scenario with one plan of strikes, and what is wrong after it.

The cell is what `%agent_run` makes of it without a notebook: come to the foreground, run, release, conclude. Strikes
count from before `acquire` to after `conclude`; before nbagent's handler is installed and after it is removed the one
that was found is in force, and may raise: also then all has to be clean. In an awaiting cell they count from the cell's
first hook to its last.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from nbagent import boundary
from nbagent.events import Event, StreamStopped
from nbagent.models import ScriptedModel
from nbagent.runtime import Runtime, live_runs, observers
from nbagent.session import Session
from tests.interrupts import usercode
from tests.interrupts.ground import Ground
from tests.interrupts.instants import USER_CODE, Counter, Plan, Site
from tests.interrupts.scenarios import Front, Scenario
from tests.runtime.support import assert_paired, assert_whole

HANG = 30.0
"""Seconds after which a run is taken for one that never ends; it takes some hundredths, the first one some seconds."""

NEVER_AWAITED = "was never awaited"
"""What Python says of a coroutine that user code made, and was struck before it awaited it."""

logger = logging.getLogger("nbagent")


@dataclass(slots=True)
class Outcome:
    """What came of a run.

    Parameters
    ----------
    instructions
        How many were counted.
    struck
        Where.
    ended
        The exception that the cell ended with, by name, or "".
    reason
        How the stream ended; "" where it never began.
    faults
        What is wrong; empty.
    """

    plan: Plan
    instructions: int = 0
    struck: list[Site] = field(default_factory=list[Site])
    ended: str = ""
    reason: str = ""
    faults: list[str] = field(default_factory=list[str])


class _Recorder:
    """A lossless observer of every stream, nested ones too, and the log's errors."""

    lossless = True

    def __init__(self) -> None:
        self.streams: dict[str, list[Event]] = {}

    async def on_event(self, event: Event) -> None:
        self.streams.setdefault(event.stream_id, []).append(event)


@contextmanager
def _without_time() -> Generator[None]:
    """Observers are woken in the next turn of the loop, not some milliseconds later: each run goes the same way."""
    before, observers.GATHER = observers.GATHER, 0.0
    try:
        yield
    finally:
        observers.GATHER = before


class Injector:
    """Runs scenarios, one after the other, in this process."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter

    def run(
        self, scenario: Scenario, plan: Plan | None = None, record: Callable[[FrameType], None] | None = None
    ) -> Outcome:
        """Run a scenario once, struck as planned; `record` is called at each instruction that counts."""
        outcome = Outcome(plan or Plan(0))
        found = _note_it if scenario.awaiting else signal.default_int_handler
        before = signal.signal(signal.SIGINT, found)
        threads = set(threading.enumerate())
        stdout = sys.stdout
        try:
            with _collected(outcome.faults), _without_time():
                self._in_a_loop(scenario, outcome, record)
        finally:
            self._counter.stop()
            usercode.hold.set()
            if signal.getsignal(signal.SIGINT) is not found:
                outcome.faults.append(f"SIGINT is left with {signal.getsignal(signal.SIGINT)}")
            signal.signal(signal.SIGINT, before)
        _join(threads, outcome.faults)
        if signal.set_wakeup_fd(-1) != -1:
            outcome.faults.append("the wakeup descriptor is left")
        if sys.stdout is not stdout:
            outcome.faults.append("sys.stdout is left")
            sys.stdout = stdout
        outcome.instructions, outcome.struck = self._counter.count, self._counter.struck
        if outcome.plan.way == "signal" or any(code.co_filename == USER_CODE for code, _ in outcome.struck):
            outcome.faults = [fault for fault in outcome.faults if NEVER_AWAITED not in fault]
        return outcome

    def _in_a_loop(self, scenario: Scenario, outcome: Outcome, record: Callable[[FrameType], None] | None) -> None:
        loop = asyncio.new_event_loop()
        loop.set_exception_handler(lambda _, context: outcome.faults.append(f"the loop heard: {context}"))
        main = loop.create_task(self._main(scenario, outcome, record))
        watchdog = loop.call_later(HANG, self._give_up, main, outcome)
        try:
            loop.run_until_complete(main)
        except BaseException as error:
            outcome.faults.append(f"{type(error).__name__} fell through the loop")
            for task in asyncio.all_tasks(loop):
                task.cancel()
        finally:
            self._counter.stop()
            watchdog.cancel()
            loop.run_until_complete(asyncio.sleep(0))
            loop.close()

    def _give_up(self, main: asyncio.Task[None], outcome: Outcome) -> None:
        self._counter.stop()
        outcome.faults.append(f"the run hangs at {main.get_stack()}")
        main.cancel()

    async def _main(self, scenario: Scenario, outcome: Outcome, record: Callable[[FrameType], None] | None) -> None:
        usercode.hold.clear()
        ground = Ground(self._counter.handled)
        front = Front(ground.port)
        recorder = _Recorder()
        agent, options = scenario.make(front)
        runtime = Runtime(agent, observers=[recorder])
        run = _Run(runtime, ground, front, options, self._counter)
        if scenario.awaiting:
            self._counter.start(outcome.plan, record)
        outcome.ended = await ground.execute(
            run.cell if scenario.awaiting else lambda: self._counted(run.cell, outcome.plan, record)
        )
        self._counter.stop()
        outcome.reason = run.stream.stopped.reason if run.stream.stopped is not None else ""
        await _settle(runtime)
        outcome.faults += [*ground.faults, *run.faults(), *_left(runtime, ground, recorder)]
        outcome.faults += await _next_run(runtime, ground, run.session)
        ground.close()

    async def _counted(self, cell: Callable[[], Any], plan: Plan, record: Callable[[FrameType], None] | None) -> None:
        self._counter.start(plan, record)
        try:
            await cell()
        finally:
            self._counter.stop()


class _Run:
    """The cell of one run."""

    def __init__(
        self, runtime: Runtime, ground: Ground, front: Front, options: dict[str, Any], counter: Counter
    ) -> None:
        self.session = Session()
        self.stream = runtime.run_stream(self.session, "hi", **options)
        self.events: list[Event] = []
        self.foreground: Any = None
        self._ground, self._front, self._counter = ground, front, counter

    async def cell(self) -> None:
        """What the magic does."""
        stream = self.stream
        with self._ground.foregrounds.acquire() as self.foreground:
            self.foreground.attach(stream)
            async with stream:
                async for event in stream:
                    self.events.append(event)
                    self._front.see(stream, event)
        self.foreground.conclude(stream.stopped.reason if stream.stopped is not None else "cancelled")

    def faults(self) -> list[str]:
        """What is wrong with the stream and its session."""
        return [*self._of_stream(), *_checked("the messages", assert_paired, self.session)]

    def _of_stream(self) -> Generator[str]:
        run = self.stream._run
        if not hasattr(run, "loop"):
            return  # it never began
        if not run.channel.closed:
            yield "the channel is open"
        if self.stream.stopped is None:
            yield "the stream has not stopped"
        if self.session.busy:
            yield "the session is busy"
        own = [event for event in self.events if event.stream_id == self.stream.id]  # and those of nested streams
        yield from _checked("the consumer's events", assert_whole, own)


def _note_it(signum: int, frame: FrameType | None) -> None:
    """A handler that raises nothing, like that of ipykernel in an awaiting cell."""


def _checked(what: str, check: Callable[[Any], None], value: Any) -> Generator[str]:
    try:
        check(value)
    except AssertionError:
        yield f"{what} are not whole: {str(value)[:2000]}"


def _left(runtime: Runtime, ground: Ground, recorder: _Recorder) -> Generator[str]:
    """What is left where nothing should be."""
    bridge = runtime.bridge
    if bridge.current is not None or bridge.live or bridge.pending:
        yield f"the bridge knows {bridge.live} and {bridge.pending}"
    if live_runs():
        yield f"live: {live_runs()}"
    if not ground.foregrounds.idle:
        yield "the foreground is owned"
    if ground.port.stream._recv_callback is not ground.receiver:
        yield "the gate stands in front of the receiver"
    if boundary.active():
        yield "the boundary is active"
    if others := [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]:
        yield f"tasks are left: {others}"
    for events in recorder.streams.values():
        yield from _checked("an observer's events", assert_whole, events)


async def _settle(runtime: Runtime) -> None:
    """Let tasks that were cancelled as the cell ended come to their end: a few passes of the loop, and no waiting."""
    for _ in range(10):
        await asyncio.sleep(0)


async def _next_run(runtime: Runtime, ground: Ground, session: Session) -> list[str]:
    """A run after it, in the same session, in the foreground of a next cell."""
    model = ScriptedModel(["again"] * 20)
    events: list[Event] = []

    async def cell() -> None:
        with ground.foregrounds.acquire() as foreground:
            async with runtime.run_stream(session, "again", model=model) as stream:
                foreground.attach(stream)
                events.extend([event async for event in stream])
        foreground.conclude("completed")

    ended = await ground.execute(cell)
    stopped = [event.reason for event in events if isinstance(event, StreamStopped)]
    if ended or stopped != ["completed"] or not ground.foregrounds.idle or session.busy:
        return [f"the next run ends with {ended!r} and {stopped}"]
    return []


def _join(before: set[threading.Thread], faults: list[str]) -> None:
    for thread in set(threading.enumerate()) - before:
        thread.join(2)
        if thread.is_alive():
            faults.append(f"the thread {thread.name} is left")


class _Errors(logging.Handler):
    def __init__(self, faults: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._faults = faults

    def emit(self, record: logging.LogRecord) -> None:
        trace = f": {record.exc_info[1]!r}" if record.exc_info else ""
        self._faults.append(f"logged: {record.getMessage()}{trace}")


@contextmanager
def _collected(faults: list[str]) -> Generator[None]:
    """Errors that are logged, and those that Python can only print, are faults."""
    handler = _Errors(faults)
    hook = sys.unraisablehook
    sys.unraisablehook = lambda unraisable: faults.append(f"unraisable: {unraisable.exc_value!r} {unraisable.object!r}")
    collecting = gc.isenabled()
    gc.disable()  # what a collection runs would count as the run's own instructions
    logger.addHandler(handler)
    propagates, logger.propagate = logger.propagate, False
    try:
        with warnings.catch_warnings(action="error"):
            yield
    finally:
        logger.propagate = propagates
        logger.removeHandler(handler)
        sys.unraisablehook = hook
        if collecting:
            gc.enable()

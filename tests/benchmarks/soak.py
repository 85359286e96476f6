"""A thousand streams in one process, and what they leave behind: nothing.

Five at a time, of every five: one is cut short (cancelled, left by its consumer, dropped, or struck by a real SIGINT in
its tool's code), one is nested (an agent transfers its task to another), one ends in error, one asks the user, and one
calls a tool on a thread. All are recorded by a lossless observer and into a file.

Fails unless the memory after the last half is within 5 MB of what it was after the first, and no task, thread, file
descriptor or child process, no live stream and no open question is left.

    make bench, or: python tests/benchmarks/soak.py [--streams 1000]
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import anyio
import psutil

import nbagent
from nbagent import Agent, Runtime, Session, boundary
from nbagent.errors import ModelError
from nbagent.events import ElicitationRequest, Event, JsonlRecorder, StreamStopped
from nbagent.models import ScriptedModel, ToolCall
from nbagent.ports import ModelRequest, TextDelta
from nbagent.runtime import live_runs

ALLOWED_MB = 5.0
BOUND = 60.0
"""Seconds that a stream may take, and that what it leaves may take to go."""
TEXT = "Every word of this is a piece of its own. " * 4
SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


class Endless:
    """A model that speaks until it is stopped, and tells when it began."""

    name = "endless"

    def __init__(self) -> None:
        self.inside = anyio.Event()

    async def stream(self, request: ModelRequest) -> AsyncIterator[TextDelta]:
        while True:
            yield TextDelta("on and ")
            self.inside.set()
            await anyio.sleep(0)


class Failing:
    """A model that fails in mid-sentence."""

    name = "failing"

    async def stream(self, request: ModelRequest) -> AsyncIterator[TextDelta]:
        yield TextDelta("half a ")
        raise ModelError("the model is out of order")


def on_a_thread() -> str:
    """Work on a thread."""
    print("from the thread")
    return "worked"


async def asks() -> str:
    """Ask the user."""
    return str((await nbagent.ask("Who?", SCHEMA)).content)


async def struck() -> str:
    """Be struck by an interrupt."""
    signal.raise_signal(signal.SIGINT)
    return "unreachable"


class Counting:
    """A lossless observer that counts how streams end."""

    lossless = True

    def __init__(self) -> None:
        self.reasons: Counter[str] = Counter()

    async def on_event(self, event: Event) -> None:
        if isinstance(event, StreamStopped):
            self.reasons[event.reason] += 1


class Soak:
    """The agents, and one method for each kind of stream.

    Parameters
    ----------
    file
        Where to record.
    """

    def __init__(self, file: Path) -> None:
        self.counting = Counting()
        self._observers = (self.counting, JsonlRecorder(file))
        child = Agent("child", model=ScriptedModel([TEXT]))
        self._agents = {
            "nested": Agent(
                "lead", sub_agents=[child],
                model=ScriptedModel([ToolCall("transfer_task", {"agent": "child", "task": "speak"}), TEXT]),
            ),
            "erroring": Agent("erroring", model=Failing()),
            "asking": Agent("asking", model=ScriptedModel([ToolCall("asks"), TEXT]), tools=[asks]),
            "threaded": Agent("threaded", model=ScriptedModel([ToolCall("on_a_thread"), TEXT]), tools=[on_a_thread]),
            "struck": Agent("struck", model=ScriptedModel([ToolCall("struck"), TEXT]), tools=[struck]),
        }  # fmt: skip

    def runtime(self, agent: Agent) -> Runtime:
        """A runtime that is watched."""
        return Runtime(agent, observers=self._observers)

    async def five(self, number: int) -> None:
        """One stream of each kind, at once; `number` says how the one is cut short."""
        with anyio.fail_after(BOUND):
            async with anyio.create_task_group() as group:
                for kind in ("nested", "erroring", "asking", "threaded"):
                    group.start_soon(self.drained, kind)
                group.start_soon((self.cancelled, self.left, self.dropped, self.interrupted)[number % 4])

    async def drained(self, kind: str) -> None:
        """A stream that is consumed to its end, its question answered."""
        runtime = self.runtime(self._agents[kind])
        async with runtime.run_stream(Session(), "go") as stream:
            async for event in stream:
                if isinstance(event, ElicitationRequest):
                    runtime.answer(event.id, "accept", {"name": "Ada"})
            await stream.join()

    async def interrupted(self) -> None:
        """A stream whose tool is struck by a SIGINT."""
        await self.drained("struck")

    async def cancelled(self) -> None:
        """A stream that is cancelled in mid-sentence."""
        model = Endless()
        async with self.runtime(Agent("endless", model=model)).run_stream(Session(), "go") as stream:
            await model.inside.wait()
            stream.cancel("interrupted")
            async for _ in stream:
                pass

    async def left(self) -> None:
        """A stream whose consumer leaves."""
        async with self.runtime(Agent("endless", model=Endless())).run_stream(Session(), "go") as stream:
            async for _ in stream:
                break

    async def dropped(self) -> None:
        """A stream that is forgotten."""
        model = Endless()
        stream: Any = self.runtime(Agent("endless", model=model)).run_stream(Session(), "go")
        events = stream.__aiter__()
        await model.inside.wait()
        del stream, events


@contextmanager
def interrupts() -> Generator[None]:
    """The rule of nbagent's own handler: an interrupt raises in user code, and nowhere else."""

    def handler(number: int, frame: Any) -> None:
        if boundary.active():
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@dataclass(frozen=True, slots=True)
class Held:
    """What the process holds."""

    tasks: int
    threads: int
    descriptors: int
    children: int
    streams: int

    @classmethod
    def now(cls) -> Held:
        """Count."""
        return cls(
            len(asyncio.all_tasks()), threading.active_count(), len(os.listdir("/dev/fd")),
            len(psutil.Process().children(recursive=True)), len(live_runs()),
        )  # fmt: skip

    def more_than(self, before: Held) -> str:
        """What there is more of."""
        pairs = [(field.name, getattr(before, field.name), getattr(self, field.name)) for field in fields(self)]
        return ", ".join(f"{name}: {was} at the start, {now} now" for name, was, now in pairs if now > was)


async def settled(before: Held) -> Held:
    """What is held once all that is ending has ended; within bounds."""
    deadline = time.monotonic() + BOUND
    while (held := Held.now()).more_than(before) and time.monotonic() < deadline:
        gc.collect()
        await anyio.sleep(0.01)
    return held


def rss() -> float:
    """Megabytes that the process takes, without what nobody refers to."""
    gc.collect()
    gc.collect()
    return psutil.Process().memory_info().rss / (1 << 20)


async def soaked(streams: int, soak: Soak) -> list[str]:
    """Run them, print, and say what is wrong."""
    before, memory = Held.now(), [rss()]
    held = before
    print(f"{'at the start':<28}{memory[0]:7.1f} MB   {before}")
    for half in range(2):
        for number in range(streams // 10):
            await soak.five(half * streams // 10 + number)
        held = await settled(before)
        memory.append(rss())
        print(f"{f'after {(half + 1) * streams // 2} streams':<28}{memory[-1]:7.1f} MB   {held}")
    print("ended:", ", ".join(f"{count} {reason}" for reason, count in soak.counting.reasons.most_common()))
    wrong = [more] if (more := held.more_than(before)) else []
    if memory[2] - memory[1] > ALLOWED_MB:
        wrong.append(f"the last half took {memory[2] - memory[1]:.1f} MB; {ALLOWED_MB:.0f} are allowed")
    return wrong


def main() -> None:
    """Measure, print, fail."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=1000)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, interrupts():
        wrong = asyncio.run(soaked(parser.parse_args().streams, Soak(Path(folder) / "runs.jsonl")))
    if wrong:
        raise SystemExit("FAILED: " + "; ".join(wrong))
    print(f"nothing is left behind ({time.monotonic() - began:.0f} s)")


if __name__ == "__main__":
    main()

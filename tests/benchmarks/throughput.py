"""How many deltas a second reach a consumer, beside peers: the same words from each library's own kind of fake model.

Each library streams in a process of its own: 1,000 deltas to warm up, then `--count` that are measured, from the call
to the last event, twice: *at once*, where the model never waits, and *one by one*, where each delta comes in a turn of
the event loop of its own, as from a network. What counts is seconds of the processor, so that whatever else the machine
does changes little; by the clock stands beside it. Latency is the time to the first delta that the consumer sees: a
library without backpressure that shows it late has gathered them all before. Memory is what the runs add at the peak.

nbagent streams through `run_stream` with three observers, two of which get every event; the peers have none. A peer
that does not manage `--count` deltas in two minutes is measured with 1,000, and the table says so.

    make bench, or: python tests/benchmarks/throughput.py [--count 100000] [--only nbagent] [--check]

`--check` fails unless nbagent is at least three times as fast as the best of the peers, at once.
"""

# The peers are not in the environment that types are checked in.
# pyright: reportMissingImports=false, reportUntypedBaseClass=false, reportUnknownParameterType=false
# pyright: reportArgumentType=false

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results" / "throughput.json"
WORD = "word "
WARM_UP = 1_000
BOUND = 120.0
"""Seconds that a peer has for the whole count."""
AIM = 3.0
ROUNDS = 3

MODES = {"at once": False, "one by one": True}

Told = Callable[[], None]
Subject = Callable[[int, bool, Told], Awaitable[None]]
"""Streams so many deltas, at once or one by one, and tells of each that reaches the consumer."""


async def numbers(count: int, one_by_one: bool) -> AsyncIterator[int]:
    """As many as there are deltas, in the rhythm of the mode."""
    for number in range(count):
        if one_by_one:
            await asyncio.sleep(0)
        yield number


def nbagent(observers: int) -> Subject:
    """`run_stream` of ours, with so many observers."""
    from nbagent import Agent, Runtime, Session
    from nbagent.events import AgentChoice, Event
    from nbagent.ports import ModelRequest, TextDelta

    class Words:
        name = "words"

        def __init__(self, count: int, one_by_one: bool) -> None:
            self.numbers = count, one_by_one

        async def stream(self, request: ModelRequest) -> AsyncIterator[TextDelta]:
            async for _ in numbers(*self.numbers):
                yield TextDelta(WORD)

    class Counts:
        def __init__(self, *, lossless: bool) -> None:
            self.lossless = lossless
            self.seen = 0

        async def on_event(self, event: Event) -> None:
            self.seen += 1

    async def stream(count: int, one_by_one: bool, told: Told) -> None:
        watching = [Counts(lossless=number < 2) for number in range(observers)]
        runtime = Runtime(Agent("bench", model=Words(count, one_by_one)), observers=watching)
        async with runtime.run_stream(Session(), "go") as events:
            async for event in events:
                if isinstance(event, AgentChoice):
                    told()
            await events.join()
        assert all(one.seen > count for one in watching[:2])

    return stream


def pydantic_ai() -> Subject:
    """`Agent.run_stream` and its `stream_text(delta=True)`, undebounced."""
    from pydantic_ai import Agent
    from pydantic_ai.models.function import FunctionModel

    async def stream(count: int, one_by_one: bool, told: Told) -> None:
        async def words(messages: Any, info: Any) -> AsyncIterator[str]:
            async for _ in numbers(count, one_by_one):
                yield WORD

        agent = Agent(FunctionModel(stream_function=words))
        async with agent.run_stream("go") as result:
            async for _ in result.stream_text(delta=True, debounce_by=None):
                told()

    return stream


def langgraph() -> Subject:
    """`create_agent` of langchain, streamed by LangGraph's `astream(stream_mode="messages")`."""
    from langchain.agents import create_agent
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage, AIMessageChunk
    from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

    class Words(BaseChatModel):
        count: int
        one_by_one: bool

        @property
        def _llm_type(self) -> str:
            return "words"

        def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
            return ChatResult(generations=[ChatGeneration(message=AIMessage(WORD * self.count))])

        async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
            async for _ in numbers(self.count, self.one_by_one):
                yield ChatGenerationChunk(message=AIMessageChunk(content=WORD))

    async def stream(count: int, one_by_one: bool, told: Told) -> None:
        agent = create_agent(Words(count=count, one_by_one=one_by_one), tools=[])
        async for chunk, _ in agent.astream({"messages": [("user", "go")]}, stream_mode="messages"):
            if chunk.content == WORD:
                told()

    return stream


def openai_agents() -> Subject:
    """`Runner.run_streamed` and its `stream_events`, with tracing off."""
    from agents import Agent, Model, RunConfig, Runner
    from openai.types.responses import (
        Response,
        ResponseCompletedEvent,
        ResponseOutputMessage,
        ResponseOutputText,
        ResponseTextDeltaEvent,
    )

    class Words(Model):
        def __init__(self, count: int, one_by_one: bool) -> None:
            self.count = count
            self.one_by_one = one_by_one

        async def get_response(self, *args: Any, **kwargs: Any) -> Any:
            raise NotImplementedError

        async def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            about = {"content_index": 0, "item_id": "m", "output_index": 0, "logprobs": []}
            async for number in numbers(self.count, self.one_by_one):
                yield ResponseTextDeltaEvent(
                    **about, delta=WORD, sequence_number=number, type="response.output_text.delta"
                )
            text = ResponseOutputText(annotations=[], text=WORD * self.count, type="output_text")
            message = ResponseOutputMessage(
                id="m", content=[text], role="assistant", status="completed", type="message"
            )
            response = Response(
                id="r", created_at=0, model="words", object="response", output=[message],
                parallel_tool_calls=False, tool_choice="none", tools=[],
            )  # fmt: skip
            yield ResponseCompletedEvent(response=response, sequence_number=self.count, type="response.completed")

    async def stream(count: int, one_by_one: bool, told: Told) -> None:
        result = Runner.run_streamed(
            Agent("bench", model=Words(count, one_by_one)), "go", run_config=RunConfig(tracing_disabled=True)
        )
        async for event in result.stream_events():
            if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
                told()

    return stream


SUBJECTS: dict[str, tuple[str, Callable[[], Subject]]] = {
    "nbagent": ("jupyter-nbagent", lambda: nbagent(observers=3)),
    "nbagent, no observers": ("jupyter-nbagent", lambda: nbagent(observers=0)),
    "pydantic-ai": ("pydantic-ai-slim", pydantic_ai),
    "LangGraph create_agent": ("langgraph", langgraph),
    "OpenAI Agents SDK": ("openai-agents", openai_agents),
}
OURS = [name for name in SUBJECTS if name.startswith("nbagent")]


# ---------------------------------------------------------------- one library, in a process of its own


async def measured(subject: Subject, count: int, one_by_one: bool) -> dict[str, float]:
    """One run: deltas a second, milliseconds to the first."""
    seen = 0
    first = 0.0

    def told() -> None:
        nonlocal seen, first
        seen += 1
        if seen == 1:
            first = time.perf_counter()

    began, worked = time.perf_counter(), time.process_time()
    await subject(count, one_by_one, told)
    seconds, work = time.perf_counter() - began, time.process_time() - worked
    assert seen == count, f"{seen} of {count} deltas arrived"
    return {"per_second": count / work, "by_the_clock": count / seconds, "latency_ms": (first - began) * 1e3}


async def rounds(subject: Subject, count: int, one_by_one: bool) -> dict[str, float]:
    """The median of some runs, and the memory that they took."""
    await measured(subject, WARM_UP, one_by_one)
    before = _peak()
    found = [await measured(subject, count, one_by_one) for _ in range(ROUNDS)]
    medians = {key: statistics.median(one[key] for one in found) for key in found[0]}
    return medians | {"memory_mb": _peak() - before, "count": count}


def _peak() -> float:
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size / (1 << 20 if sys.platform == "darwin" else 1 << 10)


# ---------------------------------------------------------------- all of them


def compared(name: str, mode: str, count: int) -> dict[str, Any]:
    """What a process of its own measures; with fewer deltas where it takes too long."""
    command = [sys.executable, __file__, "--subject", name, "--mode", mode, "--count"]
    try:
        done = subprocess.run(
            [*command, str(count)], capture_output=True, text=True, timeout=BOUND * ROUNDS, check=False
        )
    except subprocess.TimeoutExpired:
        done = subprocess.run([*command, str(WARM_UP)], capture_output=True, text=True, timeout=BOUND, check=False)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-2000:]}\nThe peers are installed by: make bench")
    return json.loads(done.stdout.splitlines()[-1]) | {"version": version(SUBJECTS[name][0])}


def table(mode: str, found: dict[str, dict[str, Any]]) -> str:
    """The figures, and how much faster the first of them is."""
    lines = [
        f"{mode + ', a second':<24}{'version':>9}{'deltas':>9}{'of work':>10}{'by clock':>10}{'nbagent is':>12}"
        f"{'first delta':>15}{'memory':>9}"
    ]
    for name, one in found.items():
        ratio = f"{found['nbagent']['per_second'] / one['per_second']:.1f} x" if "nbagent" in found else ""
        lines.append(
            f"{name:<24}{one['version']:>9}{one['count']:>9,}{one['per_second']:>10,.0f}{one['by_the_clock']:>10,.0f}"
            f"{ratio:>12}{one['latency_ms']:>12,.2f} ms{one['memory_mb']:>6.0f} MB"
        )
    return "\n".join(lines)


def over_the_best(found: dict[str, dict[str, Any]]) -> float:
    """How many times the best of the peers nbagent does, with its observers."""
    best = max(one["per_second"] for name, one in found.items() if name not in OURS)
    return found["nbagent"]["per_second"] / best


def kept(found: dict[str, dict[str, dict[str, Any]]]) -> None:
    """Write the figures where the repository keeps them."""
    RESULTS.parent.mkdir(exist_ok=True)
    modes = {
        mode: {
            "nbagent over the best peer": round(over_the_best(subjects), 1),
            "subjects": {
                name: {key: round(value, 2) if isinstance(value, float) else value for key, value in one.items()}
                for name, one in subjects.items()
            },
        }
        for mode, subjects in found.items()
    }
    about = {"python": platform.python_version(), "machine": platform.machine()}
    RESULTS.write_text(json.dumps(about | modes, indent=2) + "\n")


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--only", choices=SUBJECTS, action="append", help="measure these alone, and keep nothing")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--subject", choices=SUBJECTS, help=argparse.SUPPRESS)
    parser.add_argument("--mode", choices=MODES, default="at once", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.subject:
        subject = SUBJECTS[options.subject][1]()
        print(json.dumps(asyncio.run(rounds(subject, options.count, MODES[options.mode]))))
        return
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for mode in MODES:
        found[mode] = {name: compared(name, mode, options.count) for name in options.only or SUBJECTS}
        print(table(mode, found[mode]), end="\n\n", flush=True)
    if options.only:
        return
    ratio = over_the_best(found["at once"])
    print(f"nbagent with three observers streams {ratio:.1f} times as fast as the best of the peers.")
    kept(found)
    if options.check and ratio < AIM:
        raise SystemExit(f"at least {AIM:.0f} times was promised")


if __name__ == "__main__":
    main()

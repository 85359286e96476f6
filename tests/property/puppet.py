"""A model and tools that do as they are told, step by step: each stream has its own strings.

The model waits until it is told what to say, which is the stalled model of the family; its words name the stream that
says them, so that a word in the wrong history is seen. A tool's argument says what it does.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from nbagent.ports import ElicitationResult, ModelChunk, ModelRequest, TextDelta, ToolCallDelta, current_call
from nbagent.runtime import Runtime, Stream
from nbagent.runtime.asking import ask, ask_sync, cancelled
from nbagent.runtime.run import Run, current_run
from nbagent.session import Session, new_id
from nbagent.toolsets import tool

ANSWER = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


@dataclass
class Mouth:
    """One stream's strings: what its model is told, and what it came to."""

    orders: asyncio.Queue[tuple[str, Any]] = field(default_factory=lambda: asyncio.Queue[tuple[str, Any]]())
    listening: bool = False
    finished: bool = False
    words: int = 0


@dataclass
class Puppets:
    """All that is told and all that is noted, of one example."""

    mouths: dict[str, Mouth] = field(default_factory=dict[str, Mouth])
    runs: dict[str, Run[Any]] = field(default_factory=dict[str, "Run[Any]"])
    given: dict[str, ElicitationResult] = field(default_factory=dict[str, ElicitationResult])
    parked: dict[int, str] = field(default_factory=dict[int, str])
    gates: dict[str, asyncio.Event] = field(default_factory=dict[str, asyncio.Event])
    asked: dict[str, str] = field(default_factory=dict[str, str])
    stubborn: dict[str, str] = field(default_factory=dict[str, str])
    kept: list[Stream] = field(default_factory=list[Stream])
    faults: list[str] = field(default_factory=list[str])
    number: int = 0
    runtime: Runtime | None = None

    def fresh(self, word: str) -> str:
        """A word that was never used before."""
        self.number += 1
        return f"{word}{self.number}"

    def known(self) -> Run[Any]:
        """The run whose code is running, noted."""
        run = current_run.get()
        assert run is not None
        self.runs[run.id] = run
        return run

    def question(self) -> str:
        """A question that was never asked, noted as that of the run whose code is running."""
        asked = self.fresh("ask")
        self.asked[asked] = self.known().id
        return asked

    def check(self, asked: str, outcome: ElicitationResult) -> str:
        """Note where a question got another's answer, or an answer that was given is not what came."""
        given = self.given.get(asked)
        if given is not None and (given.action, given.content) != (outcome.action, outcome.content):
            self.faults.append(f"{asked} was answered {given} and heard {outcome}")
        if given is None and outcome.action not in ("cancel", "decline"):
            self.faults.append(f"{asked} was never answered and heard {outcome}")
        return f"{outcome.action} {outcome.content}"


class Puppet:
    """The model of every agent here."""

    name = "puppet"

    def __init__(self, puppets: Puppets) -> None:
        self._puppets = puppets

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelChunk]:
        """Say what it is told; its last order ends the message."""
        run = self._puppets.known()
        mouth = self._puppets.mouths.setdefault(run.id, Mouth())
        while True:
            mouth.listening = True
            try:
                order, what = await mouth.orders.get()
            finally:
                mouth.listening = False
            match order:
                case "say":
                    for _ in range(what):
                        mouth.words += 1
                        yield TextDelta(f"<{run.id}.{mouth.words}>")
                case "call":
                    for name, arguments in what:
                        yield ToolCallDelta(new_id("call"), name, json.dumps(arguments))
                    return
                case "raise":
                    raise ValueError("told to")
                case _:
                    mouth.finished = True
                    return


def tools(puppets: Puppets) -> list[Any]:
    """The tools of every agent here."""

    async def act(kind: str) -> str:
        puppets.known()
        call = current_call.get()
        assert call is not None
        match kind:
            case "ask":
                asked = puppets.question()
                return puppets.check(asked, await ask(asked, ANSWER))
            case "wait":
                gate = puppets.gates[call.tool_call_id] = asyncio.Event()
                try:
                    await gate.wait()
                finally:
                    del puppets.gates[call.tool_call_id]
                return "released"
            case "stubborn":
                return await _stubborn(call.tool_call_id)
            case "nest" | "keep" | "drop":
                return await _nest(kind)
            case "fail":
                raise ValueError("told to")
            case "interrupt":
                raise KeyboardInterrupt
            case "exit":
                raise SystemExit(3)
            case "cancel itself":
                raise asyncio.CancelledError
            case "print":
                print("printed " * 50)
            case _:
                pass
        return "acted"

    async def _nest(kind: str) -> str:
        """A stream of the tool's own: consumed to its end, left running, or begun and forgotten."""
        assert puppets.runtime is not None
        stream = puppets.runtime.run_stream(Session(), "plain")
        async with AsyncExitStack() as stack:
            if kind == "nest":
                await stack.enter_async_context(stream)
                return f"nested {len([event async for event in stream])}"
        await stream.__aenter__()
        puppets.runs[stream.id] = stream._run
        if kind == "keep":
            puppets.kept.append(stream)
        return "begun"

    async def _stubborn(call_id: str) -> str:
        gate = puppets.gates[call_id] = asyncio.Event()
        puppets.stubborn[call_id] = puppets.known().id
        try:
            while not gate.is_set():
                try:
                    await gate.wait()
                except asyncio.CancelledError:
                    continue
        finally:
            del puppets.stubborn[call_id]
            del puppets.gates[call_id]
        return "at last"

    def act_on_a_thread() -> str:
        call = current_call.get()
        assert call is not None
        asked = puppets.question()
        me = threading.get_ident()
        puppets.parked[me] = call.tool_call_id
        try:
            return puppets.check(asked, ask_sync(asked, ANSWER)) + str(cancelled())
        finally:
            puppets.parked.pop(me, None)

    @tool(approve=True)
    async def act_if_approved() -> str:
        return "approved"

    return [act, act_on_a_thread, act_if_approved]

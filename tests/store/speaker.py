"""A process that speaks in a session, told what to do line by line, so that a test can end it wherever it likes.

``python -m tests.store.speaker STORE SESSION MANNER`` says ``ready``, then answers each line ``turn PROMPT`` by ``ok``
or ``busy WHY``. Where its model is to hang it says ``inside`` once all that was said so far is on disk. ``flood N``
speaks turn after turn and says each turn's number when it was saved, and a dot for each event of the N-th.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator

import anyio
from anyio.lowlevel import checkpoint

from nbagent.agent import Agent
from nbagent.errors import SessionBusy
from nbagent.ports import ModelChunk, ModelRequest, TextDelta, ToolCallDelta
from nbagent.runtime import Runtime
from nbagent.session import Session, new_id
from nbagent.store import SQLiteStore


def say(line: str) -> None:
    """One line to whoever started this process, past what captures the output of tools."""
    os.write(1, f"{line}\n".encode())


class Speaker:
    """Answers; or calls tools first; or hangs in mid-text."""

    name = "speaker"

    def __init__(self, manner: str, store: SQLiteStore, session_id: str) -> None:
        self.manner = manner
        self.store = store
        self.session_id = session_id

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelChunk]:
        """Text, in pieces; before it, as the manner is, calls."""
        last = request.messages[-1]
        results = 0
        for message in reversed(request.messages):
            if message.role == "user":
                break
            results += message.role == "tool"
        if self.manner == "flood" and not results:
            for _ in range(3):
                yield ToolCallDelta(new_id("call"), "look", "{}")
        elif self.manner == "tools" and results < 2:
            yield ToolCallDelta(new_id("call"), ("look", "hang")[results], "{}")
        else:
            yield TextDelta("half a ")
            if self.manner == "text":
                await self.hang()
            yield TextDelta(f"word to {last.content}")

    def look(self) -> str:
        """Look."""
        return "seen"

    async def hang(self) -> None:
        """Never return, once the disk has what was said."""
        said = 1 if self.manner == "text" else 3
        while (stored := await self.store.load(self.session_id)) is None or len(stored.messages) < said:
            await checkpoint()
        say("inside")
        await anyio.sleep_forever()


async def turn(runtime: Runtime, session: Session, prompt: str) -> str:
    """Speak a turn, and say how it went."""
    try:
        result = await runtime.run(session, prompt, approve="all")
    except SessionBusy as error:
        return f"busy {error}"
    return "ok" if result.reason == "completed" else result.reason


async def flood(runtime: Runtime, session: Session, told: int) -> None:
    """Turn after turn, until somebody ends this process."""
    number = 0
    while True:
        async with runtime.run_stream(session, f"turn {number}") as stream:
            async for _ in stream:
                if number == told:
                    say(".")
            await stream.join()
        say(str(number))
        number += 1


async def main(path: str, session_id: str, manner: str) -> None:
    """Do what the lines say."""
    store = SQLiteStore(path)
    speaker = Speaker(manner, store, session_id)
    agent = Agent("speaker", model=speaker, tools=[speaker.look, speaker.hang])
    runtime = Runtime(agent, session_store=store)
    session = Session(id=session_id)
    say("ready")
    while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
        command, _, rest = line.partition(" ")
        if command == "turn":
            say(await turn(runtime, session, rest))
        else:
            await flood(runtime, session, int(rest))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

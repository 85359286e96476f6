"""P8: whatever is done to sessions, in whatever order and by whichever store, the disk has what was said last."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from nbagent.session import Message, Session, Summary
from nbagent.store import SQLiteStore
from tests.runtime.support import assert_paired
from tests.store.support import begun, called, ended, stand_of

ACTS = (
    "text",
    "call",
    "two calls",
    "cut short",
    "rewind",
    "edit",
    "mark",
    "sum up",
    "nothing said",
    "by hand",
    "refresh",
)

acts = st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(ACTS), st.integers(0, 5)), max_size=12)


async def turn(store: SQLiteStore, session: Session, calls: int, reason: str) -> None:
    await begun(store, session, f"turn {len(session.turns)} of {session.usage.requests}")
    for number in range(calls):
        await called(store, session, str(number))
    if reason == "cancelled":
        for message in session.messages[session.turns[-1].start :]:
            message.interrupted = message.role == "assistant"
    await ended(store, session, "so", reason)


async def act(store: SQLiteStore, session: Session, what: str, number: int) -> None:
    """One of the things that happen to a session."""
    match what:
        case "text" | "call" | "two calls":
            await turn(store, session, ACTS.index(what), "completed")
        case "cut short":
            await turn(store, session, 1, "cancelled")
        case "rewind" if session.turns:
            store.refresh(session)
            session.rewind(session.turns[number % len(session.turns)])
            await turn(store, session, 0, "completed")
        case "edit" if session.messages:
            store.refresh(session)
            place = number % len(session.messages)
            session.messages[place].content = f"edited {number}"
            await store.save(session)
        case "mark":
            store.refresh(session)
            session.approved ^= {f"tool {number}"}
            session.agent = f"agent {number}"
            await store.save(session)
        case "sum up" if session.messages:
            store.refresh(session)
            session.summaries.append(Summary(len(session.messages), "before"))
            await turn(store, session, 1, "completed")
        case "nothing said":
            await begun(store, session)
            session.messages.pop()
            session.turns[-1].reason = "hook_blocked"
            store.end_turn(session)
            await store.load(session.id)
        case "by hand":
            store.refresh(session)
            session.messages += [Message("user", "by hand"), Message("assistant", "and on")]
            await store.save(session)
        case _:
            store.refresh(session)


async def play(path: Path, script: list[tuple[str, str, int]]) -> None:
    async with SQLiteStore(path) as one, SQLiteStore(path) as two:
        sides: dict[str, Any] = {"a": (one, Session(id="s")), "b": (two, Session(id="s"))}
        stored: Session | None = None
        for side, what, number in script:
            store, session = sides[side]
            await act(store, session, what, number)
            stored = await store.load("s")
            assert stored == (session if stored is not None else None)
            assert_paired(session)
        for store, session in sides.values():
            store.refresh(session)
            assert stand_of(path, "s") == (session if stored is not None else None)


@settings(max_examples=40)
@given(acts)
def test_the_disk_has_what_was_said_last(script: list[tuple[str, str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(Path(folder) / "sessions.db", script))

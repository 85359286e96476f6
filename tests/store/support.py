"""Sessions that speak as the runtime makes them speak, for tests of the store alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nbagent.events import AgentChoice, Event, StreamStarted, StreamStopped, ToolCallResponse
from nbagent.session import Message, Session, ToolCall, Turn, new_id
from nbagent.store import SQLiteStore


def event(cls: type[Event], session: Session, **fields: Any) -> Event:
    """An event of the session's last turn."""
    stream = session.turns[-1].stream_id
    return cls(
        session_id=session.id, agent_name="helper", stream_id=stream, seq=1, timestamp=time.time(), **fields
    )  # fmt: skip


async def begun(store: SQLiteStore, session: Session, prompt: str = "hi", cell: str | None = None) -> None:
    """A turn under way, the user's words said."""
    store.begin_turn(session)
    session.turns.append(Turn(new_id("stream"), len(session.messages), cell, "e"))
    await store.on_event(event(StreamStarted, session))
    session.messages.append(Message("user", prompt))


async def called(store: SQLiteStore, session: Session, result: str = "3") -> None:
    """A tool call and its result."""
    call = ToolCall("add", {"a": 1, "b": [2, None, {"ü": 1.5}]})
    session.messages.append(Message("assistant", tool_calls=(call,), agent_name="helper"))
    session.messages.append(Message("tool", result, tool_call_id=call.id))
    await store.on_event(event(ToolCallResponse, session, tool_call_id=call.id, name="add", response=result))


async def ended(store: SQLiteStore, session: Session, reply: str = "hello", reason: Any = "completed") -> None:
    """The agent's last words, and the end of the turn as the runtime has it: stop, save, and then the reason."""
    await store.on_event(event(AgentChoice, session, content=reply))
    session.messages.append(Message("assistant", reply, agent_name="helper"))
    await store.on_event(event(StreamStopped, session, reason=reason))
    await store.save(session)
    session.turns[-1].reason = reason
    store.end_turn(session)


async def spoken(store: SQLiteStore, session: Session, prompt: str = "hi", cell: str | None = None) -> None:
    """A whole turn: prompt, a tool call, an answer."""
    await begun(store, session, prompt, cell)
    await called(store, session)
    await ended(store, session, f"hello to {prompt}")


@contextmanager
def held_back_next(store: SQLiteStore) -> Generator[threading.Event]:
    """After what is queued already, nothing is written until the block ends or the event is set."""
    gate = threading.Event()
    store._writer.submit(lambda _: gate.wait(20))
    try:
        yield gate
    finally:
        gate.set()


@contextmanager
def held_back(store: SQLiteStore) -> Generator[threading.Event]:
    """A disk so slow that nothing is written until the block ends or the event is set."""
    inside = threading.Event()
    store._writer.submit(lambda _: inside.set())
    with held_back_next(store) as gate:
        assert inside.wait(5)
        yield gate


def stand_of(path: Path, session_id: str) -> Session | None:
    """The session as another process would find it."""
    store = SQLiteStore(path)
    try:
        store.refresh(session := Session(id=session_id, created=0))
        return session if session.created else None
    finally:
        store._writer.close()
        store._writer._thread.join(5)
        store._reader.close()

"""P8 in a notebook: which session a cell speaks in, and what running a cell again does to it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path
from sqlite3 import Connection

import pytest

from nbagent.errors import UsageError
from nbagent.notebook.parsing import RunCommand
from nbagent.notebook.sessions import Sessions
from nbagent.session import Message, Session, Turn
from nbagent.store import SQLiteStore

HELPER = RunCommand("helper", "hi")


def speak(session: Session, cell: str | None, execution: str, reason: str | None = "completed") -> None:
    session.turns.append(Turn("stream", len(session.messages), cell, execution, reason=reason))
    session.messages += [Message("user", "hi"), Message("assistant", f"{cell} {execution}")]


def test_an_agent_has_one_session_and_named_ones_beside_it() -> None:
    sessions = Sessions()
    one = sessions.choose(HELPER, "c1", "e1").session
    assert sessions.choose(HELPER, "c2", "e2").session is one
    assert sessions.choose(RunCommand("other", "hi"), "c2", "e2").session is not one
    named = sessions.choose(RunCommand("helper", "hi", session="taxes"), "c2", "e2").session
    assert named is not one
    assert sessions.choose(RunCommand("helper", "hi", session="taxes"), "c3", "e3").session is named
    assert sessions.names() == ["taxes"]


def test_new_replaces_the_agents_session() -> None:
    sessions = Sessions()
    old = sessions.choose(HELPER, "c1", "e1").session
    new = sessions.choose(RunCommand("helper", "hi", new=True), "c2", "e2").session
    assert new is not old
    assert sessions.choose(HELPER, "c3", "e3").session is new


def test_p8_running_a_cell_again_rewinds_to_before_its_turn_and_says_so() -> None:
    sessions = Sessions()
    session = sessions.choose(HELPER, "c1", "e1").session
    for cell, execution in (("c1", "e1"), ("c2", "e2"), ("c3", "e3")):
        speak(session, cell, execution)
    chosen = sessions.choose(HELPER, "c2", "e4")
    assert chosen.session is session
    assert [turn.cell_id for turn in session.turns] == ["c1"]
    assert len(session.branches) == 1
    assert "4 messages" in chosen.note
    assert "branch 1" in chosen.note


def test_p8_two_runs_of_one_execution_follow_each_other() -> None:
    sessions = Sessions()
    session = sessions.choose(HELPER, "c1", "e1").session
    speak(session, "c1", "e1")
    assert sessions.choose(HELPER, "c1", "e1").note == ""
    assert len(session.messages) == 2


def test_p8_without_a_cell_id_nothing_is_rewound() -> None:
    sessions = Sessions()
    session = sessions.choose(HELPER, None, None).session
    speak(session, None, "e1")
    assert sessions.choose(HELPER, None, "e2").note == ""
    assert len(session.messages) == 2


def test_p8_a_busy_session_is_refused_in_one_line() -> None:
    sessions = Sessions()
    speak(sessions.choose(HELPER, "c1", "e1").session, "c1", "e1", reason=None)
    with pytest.raises(UsageError, match="busy"):
        sessions.choose(HELPER, "c2", "e2")


def test_k4_a_background_run_speaks_in_a_fork_of_the_settled_turns() -> None:
    sessions = Sessions()
    session = sessions.choose(HELPER, "c1", "e1").session
    speak(session, "c1", "e1")
    speak(session, "c2", "e2", reason=None)
    fork = sessions.choose(RunCommand("helper", "hi", background=True), "c3", "e3").session
    assert fork.id != session.id
    assert [message.content for message in fork.messages] == ["hi", "c1 e1"]
    fork.messages.append(Message("user", "more"))
    assert len(session.messages) == 4


# ------------------------------------------------------------ with a store

TAXES = RunCommand("helper", "hi", session="taxes")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncGenerator[SQLiteStore]:
    async with SQLiteStore(tmp_path / "sessions.db") as opened:
        yield opened


async def say(store: SQLiteStore, session: Session, cell: str, execution: str) -> None:
    """A turn of `session`, kept."""
    store.begin_turn(session)
    speak(session, cell, execution)
    await store.save(session)
    store.end_turn(session)


@pytest.mark.anyio
async def test_a_stored_session_is_resumed_by_its_id_in_the_next_kernel(store: SQLiteStore) -> None:
    session = Sessions().choose(HELPER, "c1", "e1", store).session
    await say(store, session, "c1", "e1")
    resumed = Sessions().choose(RunCommand("other", "hi", session=session.id), "c9", "e9", store)
    assert resumed.session is not session
    assert resumed.session == session


@pytest.mark.anyio
async def test_a_name_is_a_session_that_lasts(store: SQLiteStore) -> None:
    sessions = Sessions()
    session = sessions.choose(TAXES, "c1", "e1", store).session
    assert session.id == "taxes" and sessions.names() == ["taxes"]
    await say(store, session, "c1", "e1")
    assert sessions.choose(TAXES, "c2", "e2", store).session is session
    assert sessions.choose(RunCommand("other", "hi", session="taxes"), "c2", "e2", store).session is session
    again = Sessions().choose(TAXES, "c2", "e2", store).session
    assert again == session
    without = Sessions().choose(TAXES, "c2", "e2").session
    assert without.messages == [] and without.id != "taxes"


@pytest.mark.anyio
async def test_p8_a_cell_run_again_rewinds_what_the_session_is_now(store: SQLiteStore, tmp_path: Path) -> None:
    """Another kernel spoke in the session meanwhile; rewinding the stale one would have been undone by its turn."""
    mine = Sessions()
    session = mine.choose(TAXES, "c1", "e1", store).session
    await say(store, session, "c1", "e1")
    async with SQLiteStore(tmp_path / "sessions.db") as other:
        await say(other, Sessions().choose(TAXES, "theirs", "e2", other).session, "theirs", "e2")
    chosen = mine.choose(TAXES, "c1", "e3", store)
    assert "4 messages" in chosen.note
    await say(store, chosen.session, "c1", "e3")
    stored = await store.load("taxes")
    assert stored == session
    assert [turn.execution for turn in session.turns] == ["e3"]
    assert len(session.branches) == 1


@pytest.mark.anyio
async def test_k4_a_background_run_forks_a_stored_session(store: SQLiteStore) -> None:
    await say(store, Session(id="taxes"), "c1", "e1")
    fork = Sessions().choose(RunCommand("helper", "hi", session="taxes", background=True), "c3", "e3", store).session
    assert fork.id != "taxes" and len(fork.messages) == 2


@pytest.mark.anyio
async def test_a_store_that_cannot_be_read_is_one_line(store: SQLiteStore) -> None:
    def damage(connection: Connection) -> None:
        connection.execute("DROP TABLE parts")
        connection.execute("INSERT INTO sessions VALUES ('taxes', 1, 1, 1, NULL, '', '', 0, 0, '{}')")

    store._writer.submit(damage).result(5)
    with pytest.raises(UsageError, match=r"sessions\.db"):
        Sessions().choose(TAXES, "c1", "e1", store)

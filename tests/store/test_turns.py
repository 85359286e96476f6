"""P8 across stores and processes: one turn a session, nothing said is lost, and nobody speaks to a stale history."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import AsyncGenerator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from nbagent.errors import SessionBusy, StoreError
from nbagent.events import AgentChoice, Warning
from nbagent.runtime import Runtime
from nbagent.session import Message, Session, Summary, Turn
from nbagent.store import SQLiteStore
from tests.runtime.support import StalledModel, assert_paired, events_of, inside, scripted
from tests.store.support import begun, called, ended, event, held_back, held_back_next, spoken, stand_of

pytestmark = pytest.mark.anyio


@pytest.fixture
async def store(tmp_path: Path) -> AsyncGenerator[SQLiteStore]:
    async with SQLiteStore(tmp_path / "sessions.db") as opened:
        yield opened


@pytest.fixture
async def other(store: SQLiteStore) -> AsyncGenerator[SQLiteStore]:
    """The same file, as another process would have it: file locks know no processes, only who opened the file."""
    async with SQLiteStore(store.path) as opened:
        yield opened


async def test_a_session_has_one_turn_among_all_stores(store: SQLiteStore, other: SQLiteStore) -> None:
    session = Session(id="s")
    await begun(store, session)
    with pytest.raises(SessionBusy, match=r"session s .*another process.*store.fork\('s'\)"):
        other.begin_turn(Session(id="s"))
    with pytest.raises(SessionBusy, match="in this process"):
        store.begin_turn(Session(id="s"))
    other.begin_turn(Session(id="t"))
    await ended(store, session)  # all of it is written, so that its end is at once everybody's
    other.begin_turn(Session(id="s"))


async def test_a_runtimes_stream_is_refused_while_another_store_has_the_turn(
    store: SQLiteStore, other: SQLiteStore
) -> None:
    session = Session(id="s")
    await begun(other, session)
    with pytest.raises(SessionBusy, match="another process"):
        async with Runtime(scripted("one"), session_store=store).run_stream(Session(id="s"), "hi"):
            raise AssertionError("the stream began")
    await ended(other, session)
    result = await Runtime(scripted("", "one"), session_store=store).run(Session(id="s"), "hi")
    assert result.reason == "completed"


async def test_a_stream_that_is_cancelled_lets_the_turn_go(store: SQLiteStore, other: SQLiteStore) -> None:
    session, model = Session(id="s"), StalledModel()
    async with Runtime(scripted(), session_store=store).run_stream(session, "hi", model=model) as stream:
        await inside(model.inside.wait)
        stream.cancel()
    other.begin_turn(resumed := Session(id="s"))
    assert resumed == session
    assert resumed.messages[-1].interrupted and resumed.turns[-1].reason == "cancelled"


async def test_the_turn_is_let_go_when_it_is_written_and_not_before(store: SQLiteStore, other: SQLiteStore) -> None:
    session = Session(id="s")
    with held_back(store) as gate:
        await begun(store, session)
        session.messages.append(Message("assistant", "the last word"))
        session.turns[-1].reason = "completed"
        store.end_turn(session)
        with pytest.raises(SessionBusy, match="still being written"):
            other.begin_turn(Session(id="s"))
        gate.set()
        await store.load("s")
    other.begin_turn(resumed := Session(id="s"))
    assert resumed == session


async def test_a_turn_may_begin_while_the_last_is_still_being_written(store: SQLiteStore, other: SQLiteStore) -> None:
    session = Session(id="s")
    with held_back(store) as gate:
        for number in range(3):
            await begun(store, session, f"turn {number}")
            session.turns[-1].reason = "completed"
            store.end_turn(session)
        await begun(store, session, "under way")
        gate.set()
        await store.load("s")
        with pytest.raises(SessionBusy):  # the end of an earlier turn lets go of no later one
            other.begin_turn(Session(id="s"))
    await ended(store, session)
    assert await other.load("s") == session
    other.begin_turn(session)


async def test_the_end_of_an_earlier_turn_lets_go_of_no_later_one(store: SQLiteStore, other: SQLiteStore) -> None:
    session = Session(id="s")
    between = threading.Event()
    with held_back(store) as first:
        await begun(store, session, "one")
        session.turns[-1].reason = "completed"
        store.end_turn(session)  # its release is queued …
        store.begin_turn(session)
        store._writer.submit(lambda _: between.set())
        with held_back_next(store) as second:
            session.messages.append(Message("user", "two"))
            store.end_turn(session)  # … before this turn's words
            first.set()
            assert between.wait(5)
            with pytest.raises(SessionBusy):
                other.begin_turn(Session(id="s"))
            second.set()
    assert await store.load("s") == session
    other.begin_turn(session)


async def test_ending_a_turn_that_is_not_ones_own_changes_nothing(store: SQLiteStore, other: SQLiteStore) -> None:
    session = Session(id="s")
    await begun(store, session)
    store.end_turn(Session(id="s"))
    other.end_turn(session)
    store.end_turn(Session(id="unknown"))
    await store.load("s")
    with pytest.raises(SessionBusy):
        other.begin_turn(Session(id="s"))
    await ended(store, session)


async def test_a_session_that_another_process_spoke_in_is_brought_up_to_date_in_place(
    store: SQLiteStore, other: SQLiteStore
) -> None:
    mine = Session(id="s")
    await spoken(store, mine, "one")
    messages = mine.messages
    theirs = await other.load("s")
    assert theirs is not None
    theirs.approved.add("shell:cmd=ls*")
    await spoken(other, theirs, "two")
    await spoken(store, mine, "three")
    assert mine.messages is messages
    assert [m.content for m in messages if m.role == "user"] == ["one", "two", "three"]
    assert mine.approved == {"shell:cmd=ls*"}
    assert mine.branches == []
    assert await other.load("s") == mine


async def test_refreshing_brings_up_to_date_without_a_turn(store: SQLiteStore, other: SQLiteStore) -> None:
    mine = Session(id="s")
    store.refresh(mine)
    assert mine.messages == []
    await spoken(other, Session(id="s"), "elsewhere")
    store.refresh(mine)
    assert mine.messages[0].content == "elsewhere"
    await begun(store, mine, "under way")
    store.refresh(mine)
    assert mine.messages[-1].content == "under way"
    await ended(store, mine)


async def test_what_was_said_here_and_never_written_is_kept_as_a_branch(store: SQLiteStore, other: SQLiteStore) -> None:
    await spoken(other, theirs := Session(id="s"), "on disk")
    mine = Session(id="s", messages=[Message("user", "by hand"), Message("assistant", "only here")])
    store.begin_turn(mine)
    assert mine.messages == theirs.messages
    assert mine.branches == [[Message("user", "by hand"), Message("assistant", "only here")]]
    store.end_turn(mine)
    await store.load("s")
    assert await other.load("s") == mine


async def test_a_second_store_of_the_same_file_knows_what_the_first_wrote(
    store: SQLiteStore, other: SQLiteStore
) -> None:
    """A cell that makes the store is run again, and the notebook's session is the one from before."""
    session = Session()
    await spoken(store, session)
    await spoken(other, session)
    await spoken(store, session)
    assert session.branches == [] and len(session.turns) == 3
    assert await other.load(session.id) == session


async def test_an_unfinished_turn_of_a_dead_process_is_interrupted_for_the_next(tmp_path: Path) -> None:
    session = Session(id="s")
    store = SQLiteStore(tmp_path / "sessions.db")
    await begun(store, session)
    await called(store, session)
    await store.load("s")
    held = store._turns._held.pop("s")
    await store.aclose()
    held.lock.release()  # as the system does when the process dies
    async with SQLiteStore(tmp_path / "sessions.db") as after:
        await spoken(after, resumed := Session(id="s"), "go on")
        assert [turn.reason for turn in resumed.turns] == ["interrupted", "completed"]
        assert [m.interrupted for m in resumed.messages[:3]] == [False, True, False]
        assert_paired(resumed)
        assert await after.load("s") == resumed


async def full_disk(store: SQLiteStore, pages: int | None) -> None:
    """Let the file grow no more; None: let it grow again."""

    def limit(connection: sqlite3.Connection) -> Any:
        now = connection.execute("PRAGMA page_count").fetchone()[0]
        return connection.execute(f"PRAGMA max_page_count = {now + pages if pages is not None else 1 << 20}").fetchone()

    store._writer.submit(limit).result(5)


async def test_what_a_full_disk_refused_is_written_when_there_is_room(
    store: SQLiteStore, caplog: pytest.LogCaptureFixture
) -> None:
    session = Session()
    await spoken(store, session)
    await full_disk(store, 0)
    await begun(store, session, "long " * 5000)
    await called(store, session)
    with pytest.raises(StoreError, match=rf"{store.path}.*disk is full"):
        await store.save(session)
    assert "was not written" in caplog.text or "full" in caplog.text
    before = stand_of(store.path, session.id)
    assert before is not None and len(before.turns) == 2  # the turn's row found room, its long message none
    await full_disk(store, None)
    await ended(store, session)
    assert await store.load(session.id) == session


async def test_a_full_disk_is_told_in_the_stream_until_there_is_room(store: SQLiteStore) -> None:
    runtime, session = Runtime(scripted(*["hello"] * 4), store), Session()
    await runtime.run(session, "hi")
    await full_disk(store, 0)
    await runtime.run(session, "long " * 5000)
    warnings = [e for e in await events_of(runtime, session) if isinstance(e, Warning)]
    assert ["disk is full" in warning.message for warning in warnings] == [True]
    await full_disk(store, None)
    await runtime.run(session, "room again")
    assert store.failure(session.id) == ""
    assert await store.load(session.id) == session


async def test_after_a_write_that_failed_no_later_part_is_written_alone(store: SQLiteStore) -> None:
    session = Session()
    await spoken(store, session)
    await full_disk(store, 0)
    with held_back(store):
        await begun(store, session, "long " * 5000)
        await store.on_event(event(AgentChoice, session, content="a"))
        await called(store, session)
    found = await store.load(session.id)
    assert found is not None and found.messages == session.messages[:4]
    await full_disk(store, None)
    await ended(store, session)
    assert await store.load(session.id) == session


async def test_what_is_gone_when_a_failed_write_is_made_up_for_is_gone_on_disk(store: SQLiteStore) -> None:
    session = Session(branches=[[Message("user", "before")]], summaries=[Summary(0, "nothing yet")])
    await spoken(store, session)
    await full_disk(store, 0)
    await begun(store, session, "long " * 5000)
    session.branches.clear()
    session.summaries.clear()
    await called(store, session)
    await store.load(session.id)
    await full_disk(store, None)
    await ended(store, session)
    assert await store.load(session.id) == session


async def test_a_change_behind_the_stores_back_is_not_written_over(
    store: SQLiteStore, caplog: pytest.LogCaptureFixture
) -> None:
    session = Session(id="s")
    await spoken(store, session, "one")
    await begun(store, session, "two")
    await called(store, session)
    await store.load("s")
    with closing(sqlite3.connect(store.path)) as connection:
        connection.execute("UPDATE sessions SET revision = revision + 1")
        connection.commit()
    session.messages.append(Message("assistant", "only here"))
    with pytest.raises(StoreError, match="somebody who did not have its turn"):
        await store.save(session)
    session.turns[-1].reason = "completed"
    store.end_turn(session)
    await store.load("s")
    caplog.clear()
    await spoken(store, session, "three")
    assert session.branches[-1][-1] == Message("assistant", "only here")
    assert await store.load("s") == session
    assert caplog.text == ""


async def test_the_lists_of_a_turn_that_never_spoke_are_as_before(store: SQLiteStore) -> None:
    session = Session()
    await spoken(store, session)
    store.begin_turn(session)
    store.end_turn(session)
    assert await store.load(session.id) == session
    store.begin_turn(session)
    session.turns.append(Turn("stream", len(session.messages), reason="hook_blocked"))
    store.end_turn(session)
    assert await store.load(session.id) == session

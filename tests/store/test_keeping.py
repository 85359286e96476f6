"""P8, P9: what is said is on disk as it is said, all of it, at the cost of what is new."""

from __future__ import annotations

import gc
import json
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from nbagent.errors import SessionBusy, StoreError
from nbagent.events import AgentChoice
from nbagent.ports import Store
from nbagent.runtime import Runtime
from nbagent.session import Attachment, Message, Session, Summary, ToolCall, Turn, Usage
from nbagent.store import SQLiteStore
from tests.runtime.support import assert_paired, scripted
from tests.store.support import begun, called, ended, event, held_back, spoken, stand_of

pytestmark = pytest.mark.anyio


@pytest.fixture
async def store(tmp_path: Path) -> AsyncGenerator[SQLiteStore]:
    async with SQLiteStore(tmp_path / "sessions.db") as opened:
        yield opened


async def changes(store: SQLiteStore) -> int:
    """How many rows were written since the file was opened."""
    written: list[int] = []
    store._writer.submit(lambda connection: written.append(connection.total_changes)).result(5)
    return written[0]


def full(session_id: str = "s") -> Session:
    """A session with something in every field."""
    call = ToolCall("add", {"a": 1, "deep": {"b": [True, None, "ü"]}}, "call_1")
    return Session(
        id=session_id,
        messages=[
            Message("user", "hi", attachments=(Attachment("text/csv", "YSxi", "ü.csv"), Attachment("image/png", ""))),
            Message("assistant", "I see", reasoning="hm", tool_calls=(call,), agent_name="helper", interrupted=True),
            Message("tool", "no", tool_call_id=call.id, is_error=True, attachments=(Attachment("image/png", "eA=="),)),
            Message(
                "assistant",
                tool_calls=(bad := ToolCall("x", '{"half', "call_2"),),
                agent_name="helper",
                opaque={"provider": "p", "parts": [{"signature": "s", "ü": None}]},
            ),
            Message("tool", "bad", tool_call_id=bad.id),
        ],
        branches=[[Message("user", "before")], [], [Message("user", "x"), Message("assistant", "y")]],
        turns=[Turn("stream_1", 0, "cell", "e1", "helper", "cancelled"), Turn("stream_2", 3, reason="completed")],
        usage=Usage(3, 4, 2, 0.25),
        approved={"shell:cmd=ls*", "add"},
        summaries=[Summary(3, "they said hi")],
        agent="helper",
        parent_id="parent",
        created=1234.5,
    )


async def test_a_store_is_one(store: SQLiteStore) -> None:
    as_port: Store = store
    assert as_port.lossless


async def test_every_field_comes_back(store: SQLiteStore) -> None:
    await store.save(full())
    assert await store.load("s") == full()
    store.refresh(session := Session(id="s"))
    assert session == full()
    assert await store.load("another") is None
    store.refresh(another := Session(id="another", created=1.0))
    assert another == Session(id="another", created=1.0)


@pytest.mark.parametrize(
    "text", ["\ud83d half a pair", "nul \0 and \x1b[31m", "'); DROP TABLE sessions; --", "𝔘 " * 1000, "\r\n"]
)
async def test_hostile_text_comes_back_as_it_was(store: SQLiteStore, text: str) -> None:
    session = Session(messages=[Message("user", text), Message("assistant", text, agent_name=text)], agent=text)
    await store.save(session)
    assert await store.load(session.id) == session
    (listed,) = await store.list()
    assert listed.title.isprintable() and listed.agent.isprintable() and len(listed.title) <= 80


async def test_a_turn_is_on_disk_as_it_is_said(store: SQLiteStore) -> None:
    session = Session()
    await begun(store, session)
    await called(store, session)
    stored = await store.load(session.id)
    assert stored is not None
    assert [message.role for message in stored.messages] == ["user", "assistant", "tool"]
    assert [turn.reason for turn in stored.turns] == ["interrupted"]  # for whoever comes after a crash
    assert [message.interrupted for message in stored.messages] == [False, True, False]
    await ended(store, session)
    assert await store.load(session.id) == session


async def test_how_a_stream_stopped_is_on_disk_before_its_turn_says_so(store: SQLiteStore) -> None:
    session = Session()
    await begun(store, session)
    await ended(store, session, reason="hook_blocked")
    store2_sees = stand_of(store.path, session.id)
    assert store2_sees is not None
    assert store2_sees.turns[0].reason == "hook_blocked"


async def test_messages_marked_at_the_end_are_marked_on_disk(store: SQLiteStore) -> None:
    session = Session()
    await begun(store, session)
    await called(store, session)
    await store.load(session.id)
    session.messages[1].interrupted = True
    await ended(store, session, reason="cancelled")
    stored = await store.load(session.id)
    assert stored is not None
    assert stored.messages[1].interrupted


@pytest.mark.parametrize("turns", [1, 40])
async def test_a_turn_writes_what_is_new_however_long_the_session_is(store: SQLiteStore, turns: int) -> None:
    session = Session()
    for number in range(turns):
        await spoken(store, session, f"turn {number}")
    before = await changes(store)
    await spoken(store, session, "one more")
    assert await changes(store) - before <= 16  # 4 messages, the turn thrice, its head, twice over


async def test_pieces_of_text_write_nothing(store: SQLiteStore) -> None:
    session = Session()
    await begun(store, session)
    await store.on_event(event(AgentChoice, session, content="a"))
    before = await changes(store)
    for _ in range(500):
        await store.on_event(event(AgentChoice, session, content="a"))
    assert await changes(store) == before
    await ended(store, session)


async def test_p8_a_rewound_turn_is_a_branch_on_disk_too(store: SQLiteStore) -> None:
    session = Session()
    for number in range(3):
        await spoken(store, session, f"turn {number}", cell=f"c{number}")
    assert session.rewind_cell("c1", "another execution") == 8
    await spoken(store, session, "again", cell="c1")
    stored = await store.load(session.id)
    assert stored is not None and stored == session
    assert len(stored.branches) == 1 and len(stored.turns) == 2
    session.rewind(session.turns[0])
    await spoken(store, session, "from the start")
    assert await store.load(session.id) == session


async def test_a_session_rewound_to_nothing_said_is_written_at_the_turns_end(store: SQLiteStore) -> None:
    session = Session()
    await spoken(store, session)
    session.rewind(session.turns[0])
    store.begin_turn(session)
    session.turns.append(Turn("stream", 0, reason="error"))
    store.end_turn(session)
    assert await store.load(session.id) == session


async def test_what_is_edited_between_two_turns_is_edited_on_disk(store: SQLiteStore) -> None:
    session = Session()
    await spoken(store, session)
    await spoken(store, session)
    session.messages[1] = Message("assistant", "(removed)", tool_calls=session.messages[1].tool_calls)
    session.messages[2].content = "(removed)"
    session.branches.clear()
    await spoken(store, session)
    assert await store.load(session.id) == session


async def test_summaries_approvals_and_usage_are_kept(store: SQLiteStore) -> None:
    session = Session()
    await begun(store, session)
    session.summaries.append(Summary(1, "they said hi"))
    session.approved.add("shell:cmd=ls*")
    session.usage += Usage(1, 2, 1, 0.5)
    session.agent = "other"
    await ended(store, session)
    assert await store.load(session.id) == session


async def test_p9_a_slow_disk_does_not_slow_the_stream(store: SQLiteStore) -> None:
    session = Session()
    runtime = Runtime(scripted("word " * 3000), session_store=store)
    with held_back(store) as gate:
        async with runtime.run_stream(session, "hi") as stream:
            kinds = [each.type async for each in stream]
            assert kinds[-1] == "stream_stopped" and kinds.count("agent_choice") == 3000
            assert stand_of(store.path, session.id) is None
            gate.set()
            await stream.join()
    assert await store.load(session.id) == session


async def test_the_runtime_and_the_store_keep_a_conversation(store: SQLiteStore) -> None:
    agent = scripted("one", "two", "three")
    first = await Runtime(agent, session_store=store).run(Session(id="talk"), "hi")
    session = await store.load(first.session_id)
    assert session is not None
    await Runtime(agent, session_store=store).run(session, "on")
    resumed = Session(id="talk")
    await Runtime(agent, session_store=store).run(resumed, "and on")
    assert [m.content for m in resumed.messages] == ["hi", "one", "on", "two", "and on", "three"]
    assert await store.load("talk") == resumed
    assert [turn.reason for turn in resumed.turns] == ["completed"] * 3


async def test_a_model_that_fails_leaves_a_valid_session(store: SQLiteStore) -> None:
    session = Session()
    agent = scripted(ToolCall("no_such_tool"))
    async with Runtime(agent, session_store=store).run_stream(session, "hi") as stream:
        async for _ in stream:
            pass
    stored = await store.load(session.id)
    assert stored is not None and stored == session
    assert stored.turns[0].reason == "error"
    assert_paired(stored)


async def test_p7_a_nested_session_is_kept_beside_its_parent(store: SQLiteStore) -> None:
    child = scripted("looked", name="child")
    transfer = ToolCall("transfer_task", {"agent": "child", "task": "look"})
    session = Session(id="parent")
    result = await Runtime(scripted(transfer, "done", sub_agents=[child]), session_store=store).run(session, "hi")
    assert result.text == "done"
    assert await store.load("parent") == session
    (nested,) = [one for one in await store.list(nested=True) if one.parent_id]
    assert (nested.parent_id, nested.agent, nested.busy) == ("parent", "child", False)
    stored = await store.load(nested.id)
    assert stored is not None
    assert [turn.reason for turn in stored.turns] == ["completed"]
    assert stored.messages[-1].content == "looked"
    assert await store.delete("parent")
    assert await store.list(nested=True) == []


async def test_sessions_are_listed_the_latest_first(store: SQLiteStore) -> None:
    old, new, nested = Session(id="old"), Session(id="new"), Session(id="nested", parent_id="old")
    for session in (new, nested, old):
        await spoken(store, session, f"  What of\n\tthe {session.id} one?")
    await spoken(store, new)
    listed = await store.list()
    assert [one.id for one in listed] == ["new", "old"]
    assert listed[0].title == "What of the new one?"
    assert (listed[0].agent, listed[0].turns, listed[0].busy) == ("helper", 2, False)
    assert listed[0].created == new.created and listed[0].updated > listed[1].updated
    assert [one.id for one in await store.list(limit=1)] == ["new"]
    assert [one.parent_id for one in await store.list(nested=True)] == [None, None, "old"]


async def test_a_busy_session_is_listed_as_busy(store: SQLiteStore, tmp_path: Path) -> None:
    session = Session()
    await begun(store, session)
    async with SQLiteStore(store.path) as other:
        await called(store, session)
        await store.load(session.id)  # so that it is on disk
        assert [one.busy for one in await other.list()] == [True]
        assert [one.busy for one in await store.list()] == [True]
        await ended(store, session)
        assert [one.busy for one in await other.list()] == [False]


async def test_a_deleted_session_leaves_nothing_in_the_file(store: SQLiteStore) -> None:
    session = Session(id="doomed", messages=[Message("user", "my hovercraft is full of eels")])
    await store.save(session)
    await store.save(Session(id="child", parent_id="doomed", messages=[Message("user", "my hovercraft too")]))
    await store.save(Session(id="other"))
    assert await store.delete("doomed")
    assert not await store.delete("doomed")
    assert [one.id for one in await store.list(nested=True)] == ["other"]
    for file in store.path.parent.glob("sessions.db*"):
        assert file.is_dir() or b"hovercraft" not in file.read_bytes()


async def test_a_busy_session_cannot_be_deleted(store: SQLiteStore) -> None:
    session = Session()
    await begun(store, session)
    await called(store, session)
    with pytest.raises(SessionBusy, match=session.id):
        await store.delete(session.id)
    await ended(store, session)
    assert await store.delete(session.id)


async def test_a_session_deleted_under_way_is_written_anew_by_its_next_turn(store: SQLiteStore) -> None:
    session = Session()
    await spoken(store, session)
    await store.delete(session.id)
    await spoken(store, session, "again")
    assert await store.load(session.id) == session


async def test_a_fork_goes_its_own_way(store: SQLiteStore) -> None:
    session = Session(id="first", approved={"add"})
    await spoken(store, session)
    await begun(store, session, "under way")
    await called(store, session)
    fork = await store.fork("first")
    assert fork.id != "first"
    assert fork.messages[:4] == session.messages[:4]
    await ended(store, session)
    await spoken(store, fork, "elsewhere")
    assert await store.load(fork.id) == fork
    assert await store.load("first") == session


async def test_an_export_is_the_session(store: SQLiteStore) -> None:
    await store.save(full())
    assert Session.from_dict(json.loads(await store.export("s"))) == full()


async def test_a_session_that_is_not_there_is_named(store: SQLiteStore) -> None:
    with pytest.raises(StoreError, match="no session 'nowhere'"):
        await store.export("nowhere")
    with pytest.raises(StoreError, match="no session 'nowhere'"):
        await store.fork("nowhere")


async def test_no_id_is_a_path(store: SQLiteStore) -> None:
    for name in ("../../escape", "/etc/passwd", "a" * 5000, "nul\0", "."):
        await spoken(store, Session(id=name))
        assert await store.load(name) is not None
    files = {file.name for file in store.path.parent.rglob("*")}
    locks = {name for name in files if name.endswith(".lock")}
    assert len(locks) == 5 and all(len(name) == 45 for name in locks)
    assert files - locks == {"sessions.db", "sessions.db-wal", "sessions.db-shm", "sessions.db.locks"}


async def test_an_id_that_no_file_takes_is_refused(store: SQLiteStore) -> None:
    with pytest.raises(StoreError, match="another id"):
        store.begin_turn(Session(id="\ud800"))
    with pytest.raises(StoreError, match="another id"):
        await store.load("\ud800")


async def test_what_is_queued_is_written_when_the_store_is_closed(tmp_path: Path) -> None:
    session = Session()
    store = SQLiteStore(tmp_path / "s.db")
    with held_back(store) as gate:
        await begun(store, session)
        await called(store, session)
        gate.set()
        await store.aclose()
    await store.aclose()
    stored = stand_of(store.path, session.id)
    assert stored is not None
    assert len(stored.messages) == 3


async def test_a_store_that_is_closed_in_mid_turn_writes_it_and_lets_it_go(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "s.db")
    await begun(store, session := Session(id="s"))
    await store.aclose()
    async with SQLiteStore(tmp_path / "s.db") as other:
        other.begin_turn(found := Session(id="s"))
    assert [message.content for message in found.messages] == ["hi"]
    assert [turn.reason for turn in found.turns] == ["interrupted"]
    await store.on_event(event(AgentChoice, session, content="late"))  # which is dropped, and raises nothing
    store.end_turn(session)


async def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "s.db")
    await store.aclose()
    with pytest.raises(StoreError, match="closed in this process"):
        store.begin_turn(Session())
    with pytest.raises(StoreError, match="closed in this process"):
        await store.load("s")
    store.end_turn(Session())


async def test_a_store_that_is_dropped_writes_what_is_queued_and_its_thread_ends(tmp_path: Path) -> None:
    session = Session(id="s")
    store = SQLiteStore(tmp_path / "s.db")
    await begun(store, session)
    session.turns[-1].reason = "completed"
    store.end_turn(session)
    thread = store._writer._thread
    del store
    gc.collect()
    thread.join(5)
    assert not thread.is_alive()
    stored = stand_of(tmp_path / "s.db", "s")
    assert stored == session

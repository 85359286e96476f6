"""The store's file: its owner's alone, made once, and never written over where it is somebody else's."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from nbagent.errors import StoreError
from nbagent.session import Session
from nbagent.store import SQLiteStore
from nbagent.store.database import APPLICATION_ID, SCHEMA_VERSION
from tests.store.support import begun, called, ended, spoken, stand_of

pytestmark = pytest.mark.anyio


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def kept(path: Path) -> Session:
    """A session in a store at `path`, closed."""
    session = Session(id="s")
    async with SQLiteStore(path) as store:
        await spoken(store, session)
    return session


@pytest.fixture(autouse=True)
def _open_umask() -> object:
    """Under the most generous of umasks, so that what is closed was closed by the store."""
    before = os.umask(0)
    yield
    os.umask(before)


async def test_all_that_is_made_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "sessions.db"
    async with SQLiteStore(path) as store:
        await begun(store, session := Session())
        await called(store, session)
        await store.load(session.id)
        made = {file.name: mode(file) for file in (tmp_path / "new").rglob("*")}
        assert made.pop("folder") == made.pop("sessions.db.locks") == mode(tmp_path / "new") == 0o700
        assert set(made.values()) == {0o600}
        assert {"sessions.db", "sessions.db-wal", "sessions.db-shm"} < made.keys()
        await ended(store, session)


async def test_the_file_is_closed_to_others_before_anything_is_in_it(tmp_path: Path) -> None:
    """A second process that looks from the first instant on finds no moment at which it could read."""
    opened: list[int] = []
    real = os.open

    def watched(path: str, flags: int, mode: int = 0o777, **rest: int) -> int:
        descriptor = real(path, flags, mode, **rest)
        if str(path).endswith("sessions.db"):
            opened.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        return descriptor

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", watched)
        async with SQLiteStore(tmp_path / "sessions.db"):
            pass
    assert opened == [0o600]


async def test_an_existing_file_that_others_can_read_is_tightened(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    session = await kept(path)
    path.chmod(0o644)
    async with SQLiteStore(path) as store:
        assert mode(path) == 0o600
        assert await store.load("s") == session


async def test_a_folder_that_was_there_keeps_its_rights(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir(0o755)
    await kept(tmp_path / "shared" / "sessions.db")
    assert mode(tmp_path / "shared") == 0o755


async def test_without_a_path_it_is_in_the_users_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    async with SQLiteStore() as store:
        assert store.path.name == "sessions.db" and store.path.is_relative_to(tmp_path)
        assert store.path.parent.name == "nbagent"


def refused(path: Path, match: str) -> None:
    """No store is to be had of `path`; the error names it, and nothing there has changed."""
    before = path.read_bytes(), mode(path)
    with pytest.raises(StoreError, match=match) as caught:
        SQLiteStore(path)
    assert str(path) in str(caught.value)
    assert (path.read_bytes(), mode(path)) == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


async def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    (path := tmp_path / "thesis.txt").write_text("Chapter 1. " * 100)
    refused(path, "no SQLite file")


async def test_another_programs_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    with closing(sqlite3.connect(path := tmp_path / "cookies.sqlite")) as connection:
        connection.execute("CREATE TABLE sessions (id TEXT)")
        connection.commit()
    refused(path, "another program")


async def test_a_newer_nbagents_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    await kept(path := tmp_path / "sessions.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"newer nbagent.*upgrade"):
        SQLiteStore(path)
    assert path.read_bytes() == before


async def test_a_truncated_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    await kept(path := tmp_path / "sessions.db")
    path.write_bytes(path.read_bytes()[:60])
    (tmp_path / "alone").mkdir()
    refused(path.rename(tmp_path / "alone" / "sessions.db"), "damaged")


async def test_a_file_damaged_within_says_what_to_do(tmp_path: Path) -> None:
    await kept(path := tmp_path / "sessions.db")
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    store = SQLiteStore(path)
    with pytest.raises(StoreError, match=r"damaged.*move it away"):
        await store.load("s")
    with pytest.raises(StoreError, match=str(path)):
        store.begin_turn(Session(id="s"))
    await store.aclose()
    assert path.read_bytes()[4096:] == b"\xff" * (len(content) - 4096)


async def test_a_session_damaged_on_disk_is_named(tmp_path: Path) -> None:
    await kept(path := tmp_path / "sessions.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE parts SET body = '{\"role\": \"oracle\"}' WHERE kind = 'message' AND position = 2")
        connection.commit()
    async with SQLiteStore(path) as store:
        with pytest.raises(StoreError, match=r"session s was damaged.*messages\[2\].role"):
            await store.load("s")


async def test_what_was_written_before_messages_had_attachments_is_read(tmp_path: Path) -> None:
    session = await kept(path := tmp_path / "sessions.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "UPDATE parts SET body = json_remove(body, '$.attachments', '$.opaque') WHERE kind = 'message'"
        )
        connection.commit()
        assert not connection.execute("SELECT 1 FROM parts WHERE body LIKE '%opaque%'").fetchall()
    async with SQLiteStore(path) as store:
        assert await store.load("s") == session


async def test_a_file_that_was_taken_away_says_so_before_anything_is_lost(tmp_path: Path) -> None:
    async with SQLiteStore(tmp_path / "sessions.db") as store:
        await spoken(store, session := Session(id="s"))
        (tmp_path / "sessions.db").rename(tmp_path / "elsewhere.db")
        with pytest.raises(StoreError, match="moved or deleted"):
            store.begin_turn(session)
        with pytest.raises(StoreError, match="moved or deleted"):
            store.refresh(session)
        async with SQLiteStore(tmp_path / "sessions.db") as other:
            await spoken(other, session)
            assert await other.load("s") == session


async def test_a_folder_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no file"):
        SQLiteStore(tmp_path)


async def test_a_path_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="choose another path"):
        SQLiteStore(tmp_path / "file" / "sessions.db")


async def test_an_empty_file_becomes_a_store(tmp_path: Path) -> None:
    (path := tmp_path / "sessions.db").touch(0o666)
    session = await kept(path)
    assert mode(path) == 0o600
    assert stand_of(path, "s") == session


async def test_a_link_leads_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "real.db")
    await kept(tmp_path / "link.db")
    assert mode(tmp_path / "real.db") == 0o600
    assert {file.name for file in tmp_path.iterdir()} == {"link.db", "real.db", "real.db.locks"}


async def test_the_header_says_whose_file_it_is(tmp_path: Path) -> None:
    await kept(path := tmp_path / "sessions.db")
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


OPENING = """
import asyncio, sys
from nbagent.session import Message, Session
from nbagent.store import SQLiteStore
sys.stdin.readline()
async def main():
    async with SQLiteStore(sys.argv[1]) as store:
        await store.save(Session(id=sys.argv[2], messages=[Message("user", "hi")]))
asyncio.run(main())
"""


@pytest.mark.slow
async def test_processes_that_make_the_file_at_once_make_it_once(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    children = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", OPENING, str(path), f"s{n}"],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for n in range(4)
    ]
    with anyio.fail_after(60):
        outcomes = await anyio.to_thread.run_sync(lambda: [child.communicate(b"go\n", 50) for child in children])
    assert [error for _, error in outcomes] == [b""] * 4
    async with SQLiteStore(path) as store:
        assert {one.id for one in await store.list()} == {"s0", "s1", "s2", "s3"}
        assert (await store.load("s0")) is not None

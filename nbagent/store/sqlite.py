"""`SQLiteStore`: sessions in one SQLite file, written while they are spoken, by a thread of the store's own.

Above `turns`, `writer` and `rows`, which do the work; implements `nbagent.ports.Store`. It guarantees:

- A turn is written as it is said: a process that is killed loses at most what its unfinished turn had not said to the
  end, and the next that loads the session finds it valid for every provider.
- One turn a session among all processes, and the next to have it reads all of the last.
- However slow the disk, no stream waits for it.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from filelock import BaseFileLock
from platformdirs import user_data_path

from nbagent.errors import SessionBusy, StoreError
from nbagent.events import Event, StreamStopped
from nbagent.session import Session
from nbagent.store import rows
from nbagent.store.database import Connection, Reader
from nbagent.store.locks import TurnLocks
from nbagent.store.turns import Turns, busy
from nbagent.store.writer import Writer, result_of


@dataclass(frozen=True, slots=True)
class StoredSession:
    """A session in a listing.

    Parameters
    ----------
    id
        By which it is loaded.
    agent
        Who spoke last in it.
    title
        The user's first words.
    created, updated
        Seconds since the epoch.
    turns
        How many there are.
    busy
        Whether some process has a turn of it under way.
    parent_id
        The session whose agent began it, where it is nested.
    """

    id: str
    agent: str
    title: str
    created: float
    updated: float
    turns: int
    busy: bool
    parent_id: str | None = None


class SQLiteStore:
    """Keeps sessions in a file that only its owner can read, and lets several processes share it.

    Parameters
    ----------
    path
        The file, made where there is none; by default ``sessions.db`` in the user's data folder for nbagent.

    Raises
    ------
    StoreError
        The file cannot be used; nothing in it is changed then.

    Notes
    -----
    Close it by ``await store.aclose()``, or use it as ``async with SQLiteStore() as store``. One that nobody closes
    writes what is queued when it is dropped and when the process ends, where it has two seconds for it.

    Examples
    --------
    ::

        store = SQLiteStore()
        runtime = Runtime(agent, session_store=store)
        await runtime.run(Session(id="taxes"), "Where were we?")
    """

    lossless = True

    def __init__(self, path: str | Path | None = None) -> None:
        given = Path(path) if path is not None else user_data_path("nbagent") / "sessions.db"
        self.path = given.expanduser().resolve()
        self._writer = Writer(self.path)
        self._reader = Reader(self.path)
        self._locks = TurnLocks(self.path)
        self._turns = Turns(self.path, self._writer, self._reader, self._locks)
        weakref.finalize(self, self._writer.close).atexit = False  # where the process ends, it ends after its last job
        weakref.finalize(self, self._reader.close)

    def __repr__(self) -> str:
        return f"SQLiteStore({str(self.path)!r})"

    # ------------------------------------------------------------ one turn at a time

    def begin_turn(self, session: Session) -> None:
        """Take the session's turn for this process, and bring the session up to date in place.

        What was said in `session` and is not on disk, where another process wrote on, is kept as a branch.

        Raises
        ------
        SessionBusy
            Another process has a turn of it under way, or this one by another `Session` of the same id.
        StoreError
            The store is closed, or its file cannot be read.
        """
        self._turns.begin(session)

    def end_turn(self, session: Session) -> None:
        """Let the turn go as soon as all of it is written; never waits, never raises."""
        self._turns.end(session)

    async def on_event(self, event: Event) -> None:
        """Queue what the session of `event` has more than before; where that is nothing, at the cost of a look."""
        if isinstance(event, StreamStopped):
            self._turns.stopped(event.session_id, event.stream_id, event.reason)
        else:
            self._turns.heard(event.session_id)

    async def save(self, session: Session) -> None:
        """Write the session as it stands, and wait until it is written.

        Raises
        ------
        SessionBusy
            Another process has a turn of it under way.
        StoreError
            It could not be written.
        """
        written = self._turns.save(session)
        if written is not None:
            await result_of(written)

    def failure(self, session_id: str) -> str:
        """Why a part of what was said in the session is not on disk, or ``""``; each later write tries all of it."""
        return self._turns.failure(session_id)

    # ------------------------------------------------------------ what is kept

    async def load(self, session_id: str) -> Session | None:
        """The session, valid for every provider, or None where there is none.

        Raises
        ------
        StoreError
            The file cannot be read, or what stands there is damaged.
        """
        stored = await result_of(self._writer.submit(lambda connection: rows.read(connection, session_id)))
        return self._turns.adopt(stored)

    def refresh(self, session: Session) -> None:
        """Bring a session up to date in place, as the beginning of a turn does; not while it has one in this process.

        So code that cannot await, as a notebook's magic, loads one: ``store.refresh(session := Session(id="taxes"))``.
        One that is not stored stays as it is.

        Raises
        ------
        StoreError
            The file cannot be read.
        """
        self._turns.refresh(session)

    async def list(self, limit: int = 100, *, nested: bool = False) -> list[StoredSession]:
        """The sessions that were written last, the latest first.

        Parameters
        ----------
        limit
            How many at most.
        nested
            Whether sessions that agents began are among them.
        """

        def listing(connection: Connection) -> list[StoredSession]:
            return [
                StoredSession(
                    id=one.id,
                    agent=one.speaker,
                    title=one.title,
                    created=one.created,
                    updated=one.updated,
                    turns=one.turns,
                    busy=one.is_open and self._locks.is_held(one.id),
                    parent_id=one.parent_id,
                )
                for one in rows.listed(connection, limit, nested=nested)
            ]

        return await result_of(self._writer.submit(listing))

    async def delete(self, session_id: str) -> bool:
        """Delete the session and those that began inside of it, so that nothing of them is left in the file.

        Returns
        -------
        bool
            Whether there was such a session.

        Raises
        ------
        SessionBusy
            A turn of one of them is under way, in some process.
        """

        def deleting(connection: Connection) -> bool:
            locks: list[BaseFileLock] = []
            try:
                doomed = rows.family(connection, session_id)
                for one in doomed:
                    lock = self._locks.take(one)
                    if lock is None:
                        raise SessionBusy(busy(one, "in this process or another, so that it cannot be deleted"))
                    locks.append(lock)
                rows.delete(connection, doomed)
            finally:
                for lock in locks:
                    lock.release()
            return bool(doomed)

        return await result_of(self._writer.submit(deleting))

    async def fork(self, session_id: str) -> Session:
        """A new session that begins as that one stands, without a turn that is under way; stored.

        Raises
        ------
        StoreError
            There is no such session.
        """
        fork = (await self._demanded(session_id)).fork()
        await self.save(fork)
        return fork

    async def export(self, session_id: str) -> str:
        """The session as JSON text, which `Session.from_dict` reads.

        Raises
        ------
        StoreError
            There is no such session.
        """
        return (await self._demanded(session_id)).to_json()

    async def _demanded(self, session_id: str) -> Session:
        session = await self.load(session_id)
        if session is None:
            raise StoreError(f"there is no session {session_id!r} in {self.path}; `await store.list()` shows them")
        return session

    # ------------------------------------------------------------ the end

    async def aclose(self) -> None:
        """Write what is queued, let every turn go, and close the file; idempotent.

        A runtime does not do it: a store may serve several. Close those first, or what their streams still say is lost.
        """
        self._turns.end_all()
        self._writer.close()
        await self._writer.ended()
        self._reader.close()

    async def __aenter__(self) -> SQLiteStore:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

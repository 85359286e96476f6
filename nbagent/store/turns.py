"""The turns that this process has: taken, written as they are spoken, and let go when the last word is on disk.

Between `sqlite`, the store that users see, and `locks`, `tracking` and `writer`. Used on the loops' threads, where it
copies what is new of a session and looks up one row when a turn begins; only `_release` is called by the writer. It
guarantees: one turn a session among all processes; what another process said is read before this one speaks; nothing
that was said here and could not be written is lost, since it becomes a branch.

What does not work: letting the lock go at the turn's end. What is still queued then would be written after the next
turn of another process, and over it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

from filelock import BaseFileLock

from nbagent.errors import SessionBusy, StoreError
from nbagent.messages import Message
from nbagent.session import Session, repair
from nbagent.store import rows
from nbagent.store.database import Connection, Reader
from nbagent.store.locks import TurnLocks
from nbagent.store.tracking import Change, Track, Tracks
from nbagent.store.writer import Writer

logger = logging.getLogger("nbagent")


@dataclass(slots=True, eq=False)
class _Held:
    """A session's turn, held by this process until the last write of it is done.

    Parameters
    ----------
    is_open
        The turn is under way; else its last writes are.
    generation
        How often the turn was taken over before it was let go: only the last to end lets it go.
    fresh
        Nothing was written since the turn began.
    message, turn
        Before these, nothing in the session's lists changes while the turn lasts.
    reasons
        How streams ended, which their turns say only later.
    last
        The last write.
    """

    lock: BaseFileLock
    session: Session
    track: Track
    is_open: bool = True
    generation: int = 0
    fresh: bool = True
    message: int = 0
    turn: int = 0
    reasons: dict[str, str] = field(default_factory=dict[str, str])
    last: Future[None] | None = None

    def begin(self) -> None:
        """The turn begins: compare, once, all that was said before."""
        self.is_open = self.fresh = True
        self.message, self.turn = self.track.common(self.session)
        self.reasons.clear()

    def change(self, *, settled: bool) -> Change | None:
        """What is new; `settled`: also what changed in the turn's messages that are written already."""
        session, track = self.session, self.track
        careful = settled or self.fresh
        message = self.message if careful else len(track.messages)
        change = track.change(session, self.reasons, message=message, turn=self.turn)
        if self.fresh and session.turns:
            self.fresh = False
            self.message, self.turn = session.turns[-1].start, len(session.turns) - 1
        return change


class Turns:
    """The turns of one store in this process.

    Parameters
    ----------
    path
        The store's file.
    writer
        Writes.
    reader
        Reads on the loops' threads.
    locks
        Whose turn it is.
    """

    def __init__(self, path: Path, writer: Writer, reader: Reader, locks: TurnLocks) -> None:
        self._path = path
        self._writer = writer
        self._reader = reader
        self._locks = locks
        self._tracks = Tracks()
        self._held: dict[str, _Held] = {}
        self._failures: dict[str, str] = {}
        self._lock = threading.RLock()

    # ------------------------------------------------------------ the two ends of a turn

    def begin(self, session: Session) -> None:
        """Take the session's turn, and bring it up to date; as `SQLiteStore.begin_turn`."""
        if self._writer.closed:
            raise StoreError(f"the store of {self._path} is closed in this process; make another SQLiteStore")
        with self._lock:
            held = self._held.get(session.id)
            if held is None:
                held = self._take(session)
            elif held.is_open or held.session is not session:
                raise SessionBusy(busy(session.id, "in this process"))
            else:  # its last turn is still being written, and nobody else can have spoken since
                held.generation += 1
            held.begin()

    def end(self, session: Session) -> None:
        """Let the turn go as soon as all of it is written; never waits, never raises."""
        with self._lock:
            held = self._held.get(session.id)
            if held is None or held.session is not session or not held.is_open:
                return
            held.is_open = False
            generation = held.generation
            try:
                self._write(held, settled=True)
                if held.last is not None and not held.last.done():
                    self._writer.submit(lambda _: self._release(session.id, generation))
                    return
            except Exception:  # whatever it is, the turn is over
                logger.exception("session %s: the end of its turn was not written", session.id)
            self._release(session.id, generation)

    def end_all(self) -> None:
        """Let every turn go."""
        for held in tuple(self._held.values()):
            self.end(held.session)

    def _take(self, session: Session) -> _Held:
        lock = self._locks.take(session.id)
        if lock is None:
            raise SessionBusy(busy(session.id, "in another process, or its end is still being written"))
        try:
            track = self._tracks.of(session)
            self._catch_up(session, track)
        except BaseException:
            lock.release()
            raise
        held = self._held[session.id] = _Held(lock, session, track)
        return held

    def _release(self, session_id: str, generation: int) -> None:
        with self._lock:
            held = self._held.get(session_id)
            if held is not None and not held.is_open and held.generation == generation:
                del self._held[session_id]
                held.lock.release()

    # ------------------------------------------------------------ writing

    def heard(self, session_id: str) -> None:
        """Something happened in the session: queue what it has more than before; else the cost is that of a look."""
        held = self._held.get(session_id)
        if held is not None and held.is_open and held.track.grew(held.session):
            self._write(held, settled=False)

    def stopped(self, session_id: str, stream_id: str, reason: str) -> None:
        """A stream of the session stopped: queue how it ended."""
        held = self._held.get(session_id)
        if held is not None and held.is_open:
            held.reasons[stream_id] = reason
            self._write(held, settled=True)

    def save(self, session: Session) -> Future[None] | None:
        """Queue the session as it stands, with a turn taken for it where it has none; what to wait for."""
        with self._lock:
            held = self._held.get(session.id)
            ours = held is not None and held.is_open and held.session is session
            if not ours:
                self.begin(session)
            held = self._held[session.id]
            self._write(held, settled=True)
            if not ours:
                self.end(session)
            return held.last

    def _write(self, held: _Held, *, settled: bool) -> None:
        with self._lock:
            change = held.change(settled=settled)
            if change is not None:
                held.last = self._writer.submit(_writing(change, held.track))
                held.last.add_done_callback(lambda done: self._written(change.session_id, done))

    def _written(self, session_id: str, done: Future[None]) -> None:
        """On the writer's thread: keep why the session is not on disk, until it is."""
        if (error := done.exception()) is None:
            self._failures.pop(session_id, None)
            return
        self._failures.setdefault(session_id, str(error))
        logger.error("a session was not written: %s", error)

    def failure(self, session_id: str) -> str:
        """Why a part of the session is not on disk, or ``""``."""
        return self._failures.get(session_id, "")

    # ------------------------------------------------------------ what others wrote

    def adopt(self, stored: rows.Stored | None) -> Session | None:
        """The session that was read, repaired, and known from now on for what it is on disk."""
        if stored is None:
            return None
        track = Track()
        track.know(stored.session, stored.revision)
        repair(stored.session)
        self._tracks.begin(stored.session, track)
        return stored.session

    def refresh(self, session: Session) -> None:
        """Bring a session that this process has no turn of up to date in place."""
        with self._lock:
            if session.id not in self._held:
                self._catch_up(session, self._tracks.of(session))

    def _catch_up(self, session: Session, track: Track) -> None:
        """Take over what others wrote since `track` last knew; nothing of this session is queued here now."""
        with self._reader.reading() as connection:
            stamp = rows.stamp(connection, session.id)
            if stamp is not None and stamp == (track.revision, track.created):
                return
            stored = rows.read(connection, session.id) if stamp is not None else None
        if stored is None:
            track.forget()
            return
        unsaved = track.unsaved(session)
        offset = len(session.messages) - len(unsaved)
        track.know(stored.session, stored.revision)
        repair(stored.session)
        only_here = _beyond(unsaved, stored.session.messages[offset:])
        _become(session, stored.session)
        if only_here:
            session.branches.append(only_here)


def busy(session_id: str, where: str) -> str:
    """What to say of a session whose turn cannot be had."""
    return (
        f"session {session_id} has a turn under way {where}; wait for its end, or go on in a copy of what was said "
        f"before it: await store.fork({session_id!r})"
    )


def _writing(change: Change, track: Track) -> Callable[[Connection], None]:
    """The job that writes `change`; after one that failed, only the whole can be written."""

    def job(connection: Connection) -> None:
        if track.failed and not change.whole:
            raise StoreError(f"session {change.session_id}: an earlier part of it was not written")
        try:
            track.revision = rows.write(connection, change, track.revision)
            track.created, track.failed = change.created, False
        except BaseException:
            track.failed = True
            raise

    return job


def _beyond(said: list[Message], known: list[Message]) -> list[Message]:
    """What of `said` begins to differ from `known`."""
    for index, message in enumerate(said):
        if index >= len(known) or message != known[index]:
            return said[index:]
    return []


def _become(session: Session, other: Session) -> None:
    """Make `session` what `other` is, in place: who holds it, or one of its lists, sees what there is."""
    session.messages[:], session.branches[:] = other.messages, other.branches
    session.turns[:], session.summaries[:] = other.turns, other.summaries
    session.approved.clear()
    session.approved.update(other.approved)
    session.usage, session.agent = other.usage, other.agent
    session.parent_id, session.created = other.parent_id, other.created

"""Sessions as rows: what is written of a change, and how a session is read back.

Between `tracking`, which says what is new, and `database`, whose connection this is given; on the store's thread, and
for one small read on a loop's. It guarantees: a change is written whole or not at all; it is written only where the
session on disk is the one that it continues; what is read is one state and not two halves.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from nbagent import records
from nbagent.errors import StoreError
from nbagent.messages import Message
from nbagent.session import Session, contradiction
from nbagent.store.database import Connection, transaction
from nbagent.store.tracking import Change, Part

TITLE = 80
"""Characters of the first user's words that a session is listed under."""

_LISTS = {"message": "messages", "turn": "turns", "summary": "summaries"}


@dataclass(frozen=True, slots=True)
class Stored:
    """A session as it stands on disk, unfinished turns and all."""

    session: Session
    revision: int


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of a listing; `is_open`: its last turn was not ended, by a process that lives or one that died."""

    id: str
    parent_id: str | None
    speaker: str
    title: str
    created: float
    updated: float
    turns: int
    is_open: bool


def write(connection: Connection, change: Change, revision: int) -> int:
    """Write what is new of a session that stands at `revision`, 0 for one that does not exist; its new revision.

    Raises
    ------
    StoreError
        The session on disk is another: it was changed by somebody who did not have its turn.
    """
    with transaction(connection):
        found = stamp(connection, change.session_id)
        if (found[0] if found else 0) != revision:
            raise StoreError(
                f"session {change.session_id} was changed on disk by somebody who did not have its turn; what is new "
                "is kept in this process, and becomes a branch of the session at its next turn"
            )
        _write_head(connection, change, revision + 1)
        if change.whole:
            connection.execute("DELETE FROM parts WHERE session_id = ?", (change.session_id,))
        for part in change.parts:
            _write_part(connection, change.session_id, part)
    return revision + 1


def stamp(connection: Connection, session_id: str) -> tuple[int, float] | None:
    """The session's revision and when it was made, which together say whether it is still the same; or None."""
    return connection.execute("SELECT revision, created FROM sessions WHERE id = ?", (session_id,)).fetchone()


def read(connection: Connection, session_id: str) -> Stored | None:
    """The session as it stands, or None.

    Raises
    ------
    StoreError
        What stands there is no session.
    """
    with transaction(connection, writing=False):
        row = connection.execute("SELECT revision, created, head FROM sessions WHERE id = ?", (session_id,)).fetchone()
        if row is None:
            return None
        parts = connection.execute(
            "SELECT kind, branch, body FROM parts WHERE session_id = ? ORDER BY kind, branch, position", (session_id,)
        ).fetchall()
    revision, created, head = row
    try:
        session = _decoded({"id": session_id, "created": created} | json.loads(head), parts)
    except ValueError as error:
        raise StoreError(f"session {session_id} was damaged on disk ({error}); delete it, or begin another") from None
    return Stored(session, revision)


def listed(connection: Connection, limit: int, *, nested: bool) -> list[Listed]:
    """The sessions that were written last, the latest first; `nested`: those that agents began too."""
    rows = connection.execute(
        "SELECT id, parent_id, speaker, title, created, updated, turns, open FROM sessions "
        "WHERE ? OR parent_id IS NULL ORDER BY updated DESC LIMIT ?",
        (nested, limit),
    ).fetchall()
    return [Listed(*row[:-1], is_open=bool(row[-1])) for row in rows]


def family(connection: Connection, session_id: str) -> list[str]:
    """The session, and all that began inside of it at any depth; nothing where there is no such session."""
    rows = connection.execute(
        "WITH RECURSIVE family (id) AS (SELECT id FROM sessions WHERE id = ? UNION "
        "SELECT sessions.id FROM sessions JOIN family ON sessions.parent_id = family.id) SELECT id FROM family",
        (session_id,),
    )
    return [row[0] for row in rows]


def delete(connection: Connection, session_ids: Sequence[str]) -> None:
    """Take the sessions out of the file, so that not a byte of them is left in it."""
    with transaction(connection):
        connection.executemany("DELETE FROM sessions WHERE id = ?", [(one,) for one in session_ids])
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _write_head(connection: Connection, change: Change, revision: int) -> None:
    columns = {
        "id": change.session_id,
        "revision": revision,
        "created": change.created,
        "updated": time.time(),
        "parent_id": change.head.parent_id,
        "speaker": _speaker(change),
        "title": _title(change),
        "turns": change.turns,
        "open": change.is_open,
        "head": records.to_text(records.encode(change.head) | {"branches": change.branches}),
    }
    kept = {"speaker", "title"}  # where nothing new says otherwise
    updates = [f"{name} = coalesce(nullif(excluded.{name}, ''), {name})" for name in kept] + [
        f"{name} = excluded.{name}" for name in columns if name not in kept
    ]
    connection.execute(
        f"INSERT INTO sessions ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))}) "
        f"ON CONFLICT (id) DO UPDATE SET {', '.join(updates)}",
        tuple(columns.values()),
    )


def _write_part(connection: Connection, session_id: str, part: Part) -> None:
    place = "branch" if part.kind == "branch" else "position"
    connection.execute(
        f"DELETE FROM parts WHERE session_id = ? AND kind = ? AND {place} >= ?", (session_id, part.kind, part.start)
    )
    connection.executemany(
        "INSERT INTO parts (session_id, kind, branch, position, body) VALUES (?, ?, ?, ?, ?)",
        ((session_id, part.kind, *row) for row in _rows_of(part)),
    )


def _rows_of(part: Part) -> Iterator[tuple[int, int, str]]:
    for index, item in enumerate(part.items, part.start):
        if part.kind != "branch":
            yield 0, index, records.to_text(records.encode(item))
            continue
        for position, message in enumerate(item):
            yield index, position, records.to_text(records.encode(message))


def _decoded(data: dict[str, Any], parts: Sequence[tuple[str, int, str]]) -> Session:
    data["branches"] = [[] for _ in range(data.get("branches", 0))]
    lists: dict[str, list[Any]] = {name: data.setdefault(name, []) for name in _LISTS.values()}
    for kind, branch, body in parts:
        (data["branches"][branch] if kind == "branch" else lists[_LISTS[kind]]).append(json.loads(body))
    session = records.decode(Session, data)
    if wrong := contradiction(session):
        raise ValueError(wrong)
    return session


def _messages(change: Change) -> Part | None:
    return next((part for part in change.parts if part.kind == "message"), None)


def _speaker(change: Change) -> str:
    part = _messages(change)
    said: Sequence[Message] = part.items if part is not None else ()
    return _plain(next((message.agent_name for message in reversed(said) if message.agent_name), ""))


def _title(change: Change) -> str:
    part = _messages(change)
    if part is None or part.start:
        return ""
    words = next((message.content for message in part.items if message.role == "user"), "")
    line = " ".join(_plain(words[: 4 * TITLE]).split())
    return line if len(line) <= TITLE else f"{line[: TITLE - 1]}…"


def _plain(text: str) -> str:
    """What a terminal and a database can take of it."""
    return "".join(sign if sign.isprintable() else " " for sign in text)

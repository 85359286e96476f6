"""The one door to SQLite: the file of the sessions, its rights, its schema, and what SQLite's errors mean.

Below `rows`, which reads and writes through what `opened` gives. It guarantees: the file is readable by its owner
alone from the first instant (SQLite gives the files beside it the same rights); a file that is not ours, or of a newer
nbagent, is refused by a StoreError that names it, and not one byte of it is changed; two processes that open a new
file at once make it once.

What does not work: `PRAGMA application_id` to tell whose file it is. Asking SQLite opens a foreign database, and
closing it may move its write-ahead log. So the header is read as the bytes that it is; the first transaction writes
ours before the log is switched on.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import threading
import time
from collections.abc import Generator
from pathlib import Path

from nbagent.errors import StoreError

Connection = sqlite3.Connection

SCHEMA_VERSION = 1
APPLICATION_ID = 0x6E626167
"""The letters ``nbag``, where SQLite keeps whose file it is."""
BUSY_MS = 5000
"""Milliseconds that a write waits for another process's."""
READ_BUSY_MS = 200
"""The same for the reads of an event loop's thread; under a write-ahead log they hardly ever wait."""

_HEADER = 100
_MAGIC = b"SQLite format 3\0"
_NUMBER = slice(68, 72)

_SCHEMA = (
    """CREATE TABLE sessions (
        id TEXT PRIMARY KEY, revision INTEGER NOT NULL, created REAL NOT NULL, updated REAL NOT NULL, parent_id TEXT,
        speaker TEXT NOT NULL, title TEXT NOT NULL, turns INTEGER NOT NULL, open INTEGER NOT NULL, head TEXT NOT NULL
    )""",
    "CREATE INDEX sessions_updated ON sessions (updated)",
    "CREATE INDEX sessions_parent ON sessions (parent_id)",
    """CREATE TABLE parts (
        session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
        kind TEXT NOT NULL, branch INTEGER NOT NULL, position INTEGER NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (session_id, kind, branch, position)
    ) WITHOUT ROWID""",
)
"""`parts` holds what a session is a list of, one row each: messages, turns, summaries, and messages of branches."""


def opened(path: Path) -> Connection:
    """A connection that writes, on the thread that is to use it; the file and its folder are made where there are none.

    Raises
    ------
    StoreError
        The file is no store of this nbagent's, or cannot be had.
    """
    try:
        _make(path)
        _check(path)
        _close_to_others(path)
        with naming(path):
            connection = sqlite3.connect(path, timeout=BUSY_MS / 1000, isolation_level=None)
            try:
                _prepare(connection, path)
            except BaseException:
                connection.close()
                raise
    except OSError as error:
        raise StoreError(f"sessions cannot be kept in {path}: {error.strerror or error}; choose another path") from None
    return connection


class Reader:
    """A connection that reads; any thread may use it, one at a time.

    Raises
    ------
    StoreError
        The file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._process = os.getpid()
        self._lock = threading.Lock()
        with naming(path):
            self._connection = sqlite3.connect(
                path, timeout=READ_BUSY_MS / 1000, isolation_level=None, check_same_thread=False
            )
            self._connection.execute("PRAGMA query_only = ON")
        self._file = _identity(path)

    @contextlib.contextmanager
    def reading(self) -> Generator[Connection]:
        """The connection, for as long as the block lasts.

        Raises
        ------
        StoreError
            The file was taken away, so that what is written would be lost with the process; or it cannot be read.
        """
        if _identity(self._path) != self._file:
            raise StoreError(f"{self._path} was moved or deleted since it was opened; make another SQLiteStore")
        with self._lock, naming(self._path):
            yield self._connection

    def close(self) -> None:
        """Read no more; idempotent. In a process forked from the one that opened it the file is left alone."""
        if os.getpid() == self._process:
            self._connection.close()


@contextlib.contextmanager
def naming(path: Path) -> Generator[None]:
    """Turn SQLite's errors into a StoreError that names the file and says what to do."""
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(f"the sessions in {path}: {error}; {_advice(error)}") from error
    except UnicodeEncodeError as error:
        raise StoreError(
            f"{error.object!r} has characters that no file can hold; give the session another id"
        ) from None


@contextlib.contextmanager
def transaction(connection: Connection, *, writing: bool = True) -> Generator[None]:
    """One transaction: all of it, or nothing."""
    connection.execute("BEGIN IMMEDIATE" if writing else "BEGIN")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _advice(error: sqlite3.Error) -> str:
    text = str(error)
    if "locked" in text or "busy" in text:
        return "another process writes there and takes long; try again"
    if "full" in text or "readonly" in text or "unable to open" in text or "I/O" in text:
        return "see whether the disk is full or may not be written to"
    return "the file is damaged: move it away (its messages may be had by sqlite3's .recover), and begin a new one"


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file stands at the path now, whatever its name was before; or None."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _make(path: Path) -> None:
    """An empty file that nobody else may read, in folders of the same kind, where there is none."""
    for folder in reversed([path.parent, *path.parent.parents]):
        with contextlib.suppress(FileExistsError):
            folder.mkdir(0o700)
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _check(path: Path) -> None:
    """Whether the file is ours or empty, by its bytes alone."""
    if not path.is_file():
        raise StoreError(f"{path} is no file; give the path of a file for the sessions")
    with path.open("rb") as file:
        header = file.read(_HEADER)
    if not header:
        return
    if not header.startswith(_MAGIC) or len(header) < _HEADER:
        raise StoreError(f"{path} is no store of sessions (no SQLite file, or a damaged one); choose another path")
    if int.from_bytes(header[_NUMBER], "big") != APPLICATION_ID:
        raise StoreError(f"{path} is the SQLite file of another program; choose another path for the sessions")


def _close_to_others(path: Path) -> None:
    for name in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm", "-journal"))):
        with contextlib.suppress(FileNotFoundError):
            if stat.S_IMODE(name.stat().st_mode) & 0o077:
                name.chmod(0o600)


def _prepare(connection: Connection, path: Path) -> None:
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA secure_delete = ON")
    with transaction(connection):
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA_VERSION:
            raise StoreError(
                f"{path} was written by a newer nbagent (schema {version}; this one reads {SCHEMA_VERSION}): "
                "upgrade nbagent, or choose another path"
            )
        if version == 0:
            for statement in _SCHEMA:
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    _switch_log_on(connection)
    connection.execute("PRAGMA synchronous = NORMAL")


def _switch_log_on(connection: Connection) -> None:
    """The write-ahead log; SQLite does not wait for another process here, so this does."""
    give_up = time.monotonic() + BUSY_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > give_up:
                raise
            time.sleep(0.01)

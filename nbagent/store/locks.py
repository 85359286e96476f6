"""Whose turn it is, across processes: a lock on one file a session; the one door to filelock.

Below `sqlite`. It guarantees: one holder among all processes of the machine; taking never waits; the lock is gone with
its process, however that dies, since it is the operating system's. A file's name is a hash of the session's id, so that
no id, whoever chose it, is ever a path. The files are empty and stay where they are: taking one away while another
process opens it would give the same turn to two.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from nbagent.errors import StoreError


class TurnLocks:
    """The locks of one store's sessions, in the folder beside its file."""

    def __init__(self, store: Path) -> None:
        self.folder = store.with_name(f"{store.name}.locks")

    def take(self, session_id: str) -> BaseFileLock | None:
        """The session's lock, held; or None where somebody holds it, in this process or another.

        Raises
        ------
        StoreError
            There can be no such file.
        """
        try:
            self.folder.mkdir(0o700, exist_ok=True)
            lock = FileLock(self._file(session_id), timeout=0, mode=0o600, thread_local=False, blocking=False)
            lock.acquire()
        except Timeout:
            return None
        except (OSError, NotImplementedError) as error:
            raise StoreError(f"no lock can be had in {self.folder}: {error}; choose another path") from None
        return lock

    def is_held(self, session_id: str) -> bool:
        """Whether somebody holds it; ask it only of sessions that look so, since asking takes the lock for a moment."""
        if not self._file(session_id).exists():
            return False
        lock = self.take(session_id)
        if lock is not None:
            lock.release()
        return lock is None

    def _file(self, session_id: str) -> Path:
        name = hashlib.sha256(session_id.encode(errors="surrogatepass")).hexdigest()[:40]
        return self.folder / f"{name}.lock"

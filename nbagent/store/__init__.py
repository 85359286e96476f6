"""Sessions that last: in a file, across kernels, across processes.

    sqlite      SQLiteStore: the store, as users and the runtime see it   ── the public face
    ├── turns       the turns that this process has
    │   ├── locks       whose turn it is, across processes; the one door to filelock
    │   └── tracking    what of a session is new
    ├── writer      the store's own thread
    └── rows        sessions as rows
        └── database    the file: rights, schema, errors; the one door to SQLite

It works without IPython, ipykernel or ipywidgets installed.
"""

from __future__ import annotations

from nbagent.store.sqlite import SQLiteStore, StoredSession

__all__ = ["SQLiteStore", "StoredSession"]

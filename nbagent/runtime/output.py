"""A running tool's output on its way to its card: from any thread, in order, joined so that a flood stays small.

Made by `calls` for each call, ended before the call's response is recorded. It guarantees that output comes before its
call's response, that at most one wake-up of the loop is under way, and that what comes after the end is dropped.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from typing import Any

from nbagent.runtime.crossing import call_soon

Emit = Callable[[str, Mapping[str, Any] | None], None]


class CallOutput:
    """One call's output; `write` belongs to any thread, the rest to the loop's."""

    def __init__(self, loop: asyncio.AbstractEventLoop, emit: Emit) -> None:
        self._loop = loop
        self._emit = emit
        self._lock = threading.RLock()  # garbage collection under it may run a __del__ that prints
        self._pieces: list[str | Mapping[str, Any]] = []
        self._scheduled = False
        self._ended = False

    def write(self, text: str, data: Mapping[str, Any] | None = None) -> None:
        """Add text, or a display's MIME bundle."""
        with self._lock:
            if self._ended:
                return
            self._pieces.append(text if data is None else data)
            if self._scheduled:
                return
            self._scheduled = True
        call_soon(self._loop, self.flush)

    def flush(self) -> None:
        """Emit what has gathered."""
        with self._lock:
            pieces, self._pieces = self._pieces, []
            self._scheduled = False
        text: list[str] = []
        for piece in pieces:
            if isinstance(piece, str):
                text.append(piece)
                continue
            self._emit_text(text)
            self._emit("", piece)
        self._emit_text(text)

    def _emit_text(self, text: list[str]) -> None:
        if text:
            self._emit("".join(text), None)
            text.clear()

    def end(self) -> None:
        """Emit the rest; later output is dropped."""
        with self._lock:
            self._ended = True
        self.flush()

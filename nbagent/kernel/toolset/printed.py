"""What code showed: passed on whole to its call's card, and kept bounded for the model.

Of a flood the model gets the head and the tail, and between them a line that says what was cut; the card gets
everything. Below: `nbagent.toolsets.bounded`. Above: `execution`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from nbagent.toolsets.bounded import Bounded

Emit = Callable[[str, Mapping[str, Any] | None], None]


class Printed:
    """What one call's code printed and displayed.

    Parameters
    ----------
    emit
        Takes all of it, for the card.
    """

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._lock = threading.RLock()  # garbage collection under it may run a __del__ that prints
        self._kept = Bounded()

    def write(self, text: str, data: Mapping[str, Any] | None = None) -> None:
        """Take text, or a display's MIME bundle; from any thread."""
        with self._lock:
            if data is None:
                self._kept.add(text)
            else:
                self._kept.add(("" if self._kept.ends_line else "\n") + described(data) + "\n")
            self._emit(text, data)

    def line(self, text: str) -> None:
        """Take text that stands on lines of its own."""
        with self._lock:
            self.write(("" if self._kept.ends_line else "\n") + text.rstrip("\n") + "\n")

    @property
    def text(self) -> str:
        """What a model reads of it."""
        with self._lock:
            return self._kept.text


def described(data: Mapping[str, Any]) -> str:
    """A display in words: its own plain text, with the kind of picture that the user sees beside it."""
    shown = next((f"[{kind}, shown to the user]" for kind in data if kind.startswith(("image/", "video/"))), "")
    text: Any = data.get("text/plain") or data.get("text/markdown") or ""
    words = text if isinstance(text, str) else "".join(map(str, text))
    return " ".join(part for part in (words, shown) if part) or f"[{', '.join(data)}, shown to the user]"

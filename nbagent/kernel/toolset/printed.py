"""What code showed: passed on whole to its call's card, and kept bounded for the model.

A model pays for what it reads, and its context ends somewhere: of a flood it gets the head and the tail, and between
them a line that says what was cut. The card gets everything. Below: nothing of nbagent. Above: `execution`.
"""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

Emit = Callable[[str, Mapping[str, Any] | None], None]

MOST = 12_000
"""Characters that a model reads of one call, about 3,000 tokens."""

_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


class Bounded:
    """A growing text of which the head and the tail are kept.

    Parameters
    ----------
    most
        The most characters to keep; two thirds of them are the head.
    """

    def __init__(self, most: int = MOST) -> None:
        self._room = most * 2 // 3
        self._tail_most = most - self._room
        self._head: list[str] = []
        self._tail: deque[str] = deque()
        self._tail_length = 0
        self._cut = 0
        self._cut_lines = 0
        self.ends_line = True

    def add(self, text: str) -> None:
        """Go on with `text`."""
        if not text:
            return
        self.ends_line = text.endswith("\n")
        head, rest = text[: self._room], text[self._room :]
        if head:
            self._head.append(head)
            self._room -= len(head)
        if rest:
            self._tail.append(rest)
            self._tail_length += len(rest)
            self._trim()

    def _trim(self) -> None:
        while (over := self._tail_length - self._tail_most) > 0:
            first = self._tail.popleft()
            gone = first[:over]
            if len(first) > over:
                self._tail.appendleft(first[over:])
            self._tail_length -= len(gone)
            self._cut += len(gone)
            self._cut_lines += gone.count("\n")

    @property
    def text(self) -> str:
        """Head and tail, as a terminal would show them, with a line between them where something was cut."""
        head, tail = "".join(self._head), "".join(self._tail)
        if not self._cut:
            return as_shown(head + tail)
        lines = f", {self._cut_lines:,} lines" if self._cut_lines else ""
        note = f"\n[… {self._cut:,} characters{lines} are cut here; the user sees the whole …]\n"
        return as_shown(head) + note + as_shown(tail)


def as_shown(text: str) -> str:
    """`text` without colours, and of a line that was overwritten (a progress bar) what stood there last."""
    text = _ANSI.sub("", text)
    if "\r" not in text:
        return text
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))


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

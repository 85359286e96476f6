"""A flood of text, of which a model reads the head and the tail.

A model pays for what it reads, and its context ends somewhere. Used by what runs code and commands. Below: nothing of
nbagent.
"""

from __future__ import annotations

import re
from collections import deque

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

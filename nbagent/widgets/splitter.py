"""Where a block of growing markdown ends.

`Splitter` cuts a text that arrives in pieces where a block is certainly over, and waits where it might go on, so that
each block can be rendered once. It guarantees that rendering its blocks one after the other gives what rendering the
whole gives, but for link definitions that come later. It knows no renderer. Below: `formulas`. Above: `markdown`.
"""

from __future__ import annotations

import re

from nbagent.widgets.formulas import Opened

_LIST = re.compile(r"\s{0,3}(?:[-*+]|\d{1,9}[.)])(?:\s|$)")
_HEADING = re.compile(r"#{1,6}(?:\s|$)")
_OPENING = re.compile(r"(?P<lead>(?:\s|>|[-*+]\s|\d{1,9}[.)]\s)*)(?P<fence>`{3,}(?=[^`]*$)|~{3,})")


class Splitter:
    """Cuts growing markdown into finished blocks.

    It is cautious: where a block might go on (a list, indented code, an open fence), it waits.

    Examples
    --------
    >>> splitter = Splitter()
    >>> splitter.feed("One\\n\\nTw"), splitter.tail
    (['One\\n\\n'], 'Tw')
    >>> splitter.feed("o\\n# Head\\n"), splitter.tail
    (['Two\\n', '# Head\\n'], '')
    """

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._partial = ""
        self._fence: tuple[str, bool, bool] | None = None  # its marks; in a quote; at the very left
        self._waits = False  # the open block is a list or indented code: a blank line does not end it
        self._blank = True
        self._formula: Opened | None = None
        self._formula_at = 0  # the index of its first line

    @property
    def tail(self) -> str:
        """The text of the block that is still open."""
        return "".join(self._lines) + self._partial

    @property
    def in_code(self) -> bool:
        """Whether the open block is in a fence."""
        return self._fence is not None

    def feed(self, text: str) -> list[str]:
        """Add text; returns the blocks that it finished."""
        *lines, self._partial = (self._partial + text).replace("\r\n", "\n").split("\n")
        finished: list[str] = []
        for line in lines:
            for part in line.split("\r"):  # a lone carriage return ends a line in markdown too
                self._take(part + "\n", finished)
        return finished

    def close(self) -> list[str]:
        """The open block, as the last."""
        rest, self._lines, self._partial, self._fence, self._formula = self.tail, [], "", None, None
        return [rest] if rest.strip() else []

    def _take(self, line: str, finished: list[str], *, formless: bool = False) -> None:
        if self._formula is not None:
            self._in_formula(self._formula, line, finished)
            return
        if self._fence is not None and self._inside(line, finished):
            return
        if not line.strip():
            self._lines.append(line)
            self._blank = True
            if not self._waits:
                self._cut(finished)
            return
        heading = bool(_HEADING.match(line))
        if heading or (self._blank and not line[0].isspace() and not (self._waits and _LIST.match(line))):
            self._cut(finished)
        opened = Opened(line)
        if opened.state == "open" and not formless:
            self._formula, self._formula_at = opened, len(self._lines)
            self._lines.append(line)
            return
        self._open(line)
        if heading:
            self._cut(finished)

    def _open(self, line: str) -> None:
        indented = line.expandtabs(4).startswith("    ")
        if indented or _LIST.match(line):  # what follows a blank line may still be the same code, the same list
            self._waits = True
        self._lines.append(line)
        self._blank = False
        match = _OPENING.match(line)
        if match is not None and not (indented and len(self._lines) == 1):
            self._fence = (match["fence"], ">" in match["lead"], not match["lead"] and not self._waits)

    def _in_formula(self, formula: Opened, line: str, finished: list[str]) -> None:
        self._lines.append(line)
        state = formula.take(line)
        if state == "open":
            return
        self._formula, self._blank = None, False
        if state == "closed":
            if not self._waits:
                self._cut(finished)
            return
        again = self._lines[self._formula_at :]
        del self._lines[self._formula_at :]
        self._take(again[0], finished, formless=True)
        for other in again[1:]:
            self._take(other, finished)

    def _inside(self, line: str, finished: list[str]) -> bool:
        assert self._fence is not None
        marks, quoted, left = self._fence
        if quoted and not line.lstrip().startswith(">"):
            self._fence = None
            return False
        self._lines.append(line)
        self._blank = not line.strip()
        inner = line.lstrip("> \t").rstrip() if quoted else line.strip()
        if inner.startswith(marks) and not inner.strip(marks[0]):
            self._fence = None
            if left:
                self._cut(finished)
        return True

    def _cut(self, finished: list[str]) -> None:
        block, self._lines, self._waits, self._blank = "".join(self._lines), [], False, True
        if block.strip():
            finished.append(block)

r"""Formulas in markdown: where one begins and ends, so that nothing in it is read as markdown.

In a line ``$x$``, ``$$x$$`` and ``\(x\)``; as blocks of their own, over several lines, ``$$ … $$`` and ``\[ … \]``.
What could be a price, a variable of a shell or an escaped bracket is none: "$5 and $6" stay as they are. (dollarmath
of mdit-py-plugins takes "$5, or 10$" for a formula, knows no ``\(``, and looks without bound for the end of a block.)

It guarantees linear time, and that `Opened`, which reads line by line, and the parser's rule, which reads ahead, see
the same blocks. It knows no library: a parser's state is handed in. Below: nothing. Above: `splitter`, `markdown`.
"""

from __future__ import annotations

import re
from typing import Any

LINES = 100
"""A formula of more lines is none: whoever reads a growing text must not wait for its end for ever."""

LENGTH = 2000
"""Characters of a formula that stands in a line."""

_BLOCK = re.compile(r"\$\$(?!\$)|\\\[")
_MARKS = {"$$": re.compile(r"\$\$"), "\\[": re.compile(r"(?<!\\)(?:\\\\)*\\[\[\]]")}
_CLOSING = {"$$": "$$", "\\[": "\\]"}
_INLINE = re.compile(
    rf"""
    \$\$(?=[^\s$])(?P<display>[^$`]{{1,{LENGTH}}})(?<!\\)\$\$(?!\$)
    | \$(?=[^\s$])(?P<dollar>(?:[^$`\n\\]|\\[^\n`]){{1,{LENGTH}}})(?<!\s)\$(?![\w$])
    | \\\((?P<bracket>(?:[^`\n\\]|\\[^\n`()]){{1,{LENGTH}}})\\\)
    """,
    re.VERBOSE,
)
_PRICE = re.compile(r"\d[\d.,]*[kKmMbB]?(?:\s+(?:[^\W\d_]\s+)?[^\W\d_]{2,}|.*[-–/,(]$)", re.DOTALL)
"""How an amount of money begins that only looks like the start of a formula."""


class Opened:
    """A block formula that a line may have opened, until `state` says that it is over, or that it was none.

    Parameters
    ----------
    line
        The first line, from the marks that open it on.

    Attributes
    ----------
    state
        ``open``, ``closed`` or ``none``.
    """

    __slots__ = ("_any", "_lines", "_marks", "state")

    def __init__(self, line: str) -> None:
        self.state, self._lines, self._any = "none", 0, False
        found = _BLOCK.match(line)
        if found is not None:
            self._marks = found[0]
            self.state = self._read(line[found.end() :])

    def take(self, line: str) -> str:
        """Read one more line; returns the state."""
        self.state = self._read(line)
        return self.state

    def _read(self, line: str) -> str:
        self._lines += 1
        line = line.rstrip()
        found = _MARKS[self._marks].search(line)
        self._any = self._any or bool((line[: found.start()] if found else line).strip())
        if found is None:
            return "open" if self._lines < LINES else "none"
        closes = found.end() == len(line) and line.endswith(_CLOSING[self._marks])
        return "closed" if closes and self._any else "none"


def tex(written: str) -> str:
    """What stands between the marks of a formula."""
    marks = 1 if written[0] == "$" != written[1] else 2
    return written[marks:-marks]


def install(parser: Any) -> None:
    """Teach a markdown-it parser formulas; its tokens are ``formula`` and ``formula_block``, as they were written."""
    parser.inline.ruler.before("escape", "formula", _inline)
    interrupts = {"alt": ["paragraph", "reference", "blockquote", "list"]}
    parser.block.ruler.before("fence", "formula_block", _block, interrupts)


def _inline(state: Any, silent: bool) -> bool:
    source, start = state.src, state.pos
    if source[start] not in "$\\":
        return False
    found = _INLINE.match(source, start, state.posMax)
    if found is None:
        return False
    if found["dollar"] is not None and (_PRICE.match(found["dollar"]) or source[start - 1 : start].isalnum()):
        return False
    if not silent:
        token = state.push("formula", "span", 0)
        token.content = found[0]
    state.pos = found.end()
    return True


def _block(state: Any, start: int, end: int, silent: bool) -> bool:
    indent = state.sCount[start]
    if indent != state.blkIndent and not (silent and indent == 0):
        return False
    opened, quotes = Opened(_line(state, start)), _quotes(state, start)
    line = start
    while opened.state == "open":
        line += 1
        if line >= end or (state.sCount[line] < indent and not state.isEmpty(line)) or _quotes(state, line) < quotes:
            return False
        opened.take(_line(state, line))
    if opened.state == "none":
        return False
    if not silent:
        state.line = line + 1
        token = state.push("formula_block", "div", 0)
        token.content = "\n".join(_line(state, number) for number in range(start, line + 1)).strip()
        token.map = [start, state.line]
    return True


def _quotes(state: Any, number: int) -> int:
    """In how many quotes a line stands; a paragraph's `end` may lie behind that of the quote that it is in."""
    begins = state.bMarks[number]
    return state.src.count(">", state.src.rfind("\n", 0, begins) + 1, begins)


def _line(state: Any, number: int) -> str:
    return state.src[state.bMarks[number] + state.tShift[number] : state.eMarks[number]]

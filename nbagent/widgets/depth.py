"""Whether HTML is nested so deep that a parser would not come to its end.

A parser's time grows with the square of the elements that are open at once: 50,000 opening tags, which fit into one
display, would hold the kernel for a minute (and unclosed `<font>` far fewer), and a browser after it.

It guarantees: what it passes has at most `DEPTH` elements open at any time, whatever a parser makes of it. So in doubt
it counts too many: a closing tag counts only where it closes the element that was opened last, and in markup that is
not written by the book, none does. Below: nothing. Above: `media`.
"""

from __future__ import annotations

import re

DEPTH = 300
"""Elements open at once; browsers nest 512."""

_CLOSED_BY_OTHERS = """
    area base br col colgroup dd dt embed hr img input li link meta option p param source tbody td tfoot th thead tr
    track wbr
"""
_SHALLOW = frozenset(_CLOSED_BY_OTHERS.split())
"""What holds nothing, or is closed by the next of its kind."""
_OPENING = re.compile(r"<([A-Za-z][^\s/>]*)")
_ATTRIBUTE = r"""\s+[^\s"'<>/=]+(?:\s*=\s*(?:"[^"<>]*"|'[^'<>]*'|[^\s"'<>=`]+))?"""
_WRITTEN = re.compile(
    rf"""
    [^<]+ | <(?![A-Za-z/!?])
    | <!--[^<>]*-->
    | <(?P<raw>style|script|title|textarea)(?:{_ATTRIBUTE})*\s*>[^<]*</(?P=raw)\s*>
    | <(?P<opened>(?!(?:style|script|title|textarea|xmp|iframe|noembed|noframes|noscript|plaintext|svg|math|template)\b)
       [A-Za-z][\w:-]*)(?:{_ATTRIBUTE})*\s*/?>
    | </(?P<closed>[A-Za-z][\w:-]*)\s*>
    """,
    re.VERBOSE | re.IGNORECASE,
)


def too_deep(markup: str) -> bool:
    """Whether more than `DEPTH` elements may be open at once in `markup`."""
    opened = [name for name in _OPENING.findall(markup) if name.lower() not in _SHALLOW]
    return len(opened) > DEPTH and _deepest(markup) > DEPTH


def _deepest(markup: str) -> int:
    """The most elements that are open at once; too many where the markup is not by the book."""
    names: list[str] = []
    most = at = 0
    while at < len(markup):
        found = _WRITTEN.match(markup, at)
        if found is None:
            return DEPTH + 1
        at = found.end()
        if (name := found["opened"]) and name.lower() not in _SHALLOW:
            names.append(name.lower())
            most = max(most, len(names))
            if most > DEPTH:
                break
        elif (name := found["closed"]) and names and names[-1] == name.lower():
            names.pop()
    return most

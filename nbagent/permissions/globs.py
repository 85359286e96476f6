"""Globs over names and arguments: ``*`` any text, ``?`` one character, ``[abc]`` one of these, ``[!abc]`` none of them.

Used by `patterns` alone. Made here and not of regular expressions, for two reasons: the match takes no more steps than
text times pattern, whatever a hostile text holds, and a wildcard can be told what it must not stand for (`SHELL`), so
that leave for ``ls*`` is no leave for ``ls; rm -rf ~``.

A wildcard that is careful takes no character of the given set, and no path segment that climbs (``..``) beyond those
which the glob spells out itself; what the glob spells out is the user's own word and is always taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

SHELL = frozenset(";&|`$()<>{}\\" + "".join(map(chr, range(0x20))) + "\x7f") - {"\t"}
"""What a careful wildcard takes for no part of a word: a shell would begin another command with it, or another word."""

_BETWEEN = re.compile(r"[\s/=:,;&|()<>{}`$]+")
_UNQUOTED = str.maketrans("", "", "\"'\\")
_ENCODED = re.compile(r"%(2e|2f|5c)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _One:
    """One character: of `chars`, or within `ranges`; where `negated`, any other."""

    chars: frozenset[str] = frozenset()
    ranges: tuple[tuple[str, str], ...] = ()
    negated: bool = False

    @property
    def spelled(self) -> str:
        """The one character that it can be, or a letter for several."""
        return next(iter(self.chars)) if len(self.chars) == 1 and not (self.ranges or self.negated) else "x"

    def takes(self, char: str, unsafe: frozenset[str]) -> bool:
        if not self.negated and char in self.chars:
            return True
        within = char in self.chars or any(low <= char <= high for low, high in self.ranges)
        return within is not self.negated and char not in unsafe


_Part = _One | None  # None: any number of characters


@dataclass(frozen=True, slots=True)
class Glob:
    """A glob, read once; `text` is how it was written.

    Examples
    --------
    >>> Glob("ls*").matches("ls -la"), Glob("ls*").matches("cat ls")
    (True, False)
    >>> Glob("ls*").matches("ls; rm x", SHELL)
    False
    """

    text: str

    def matches(self, given: str, unsafe: frozenset[str] = frozenset()) -> bool:
        """Whether it stands for the whole of `given`, its wildcards careful of `unsafe`."""
        parts = _compiled(self.text)
        if not _stands_for(parts, given, unsafe):
            return False
        return not unsafe or _climbing(given) <= _climbing(_skeleton(parts))


def class_end(text: str, start: int) -> int:
    """The index of the ``]`` that closes the class which opens at `start`; -1 where none does."""
    first = start + 2 if text[start + 1 : start + 2] in ("!", "^") else start + 1
    return text.find("]", first + 1)


def quoted(text: str) -> str:
    """A glob that stands for `text` alone.

    Examples
    --------
    >>> quoted("ls *.py")
    'ls [*].py'
    """
    return re.sub(r"[*?[]", lambda found: f"[{found[0]}]", text)


@lru_cache(maxsize=1024)
def _compiled(text: str) -> tuple[_Part, ...]:
    return tuple(_parts(text))


def _parts(text: str) -> Iterator[_Part]:
    index = 0
    while index < len(text):
        char = text[index]
        end = class_end(text, index) if char == "[" else -1
        if char == "*":
            yield None
        elif char == "?":
            yield _One(negated=True)
        elif end > 0:
            yield _class(text[index + 1 : end])
            index = end
        else:
            yield _One(frozenset(char))
        index += 1


def _class(body: str) -> _One:
    negated = body[0] in "!^"
    members = body[1:] if negated else body
    ranges = re.findall(r"(?s)(.)-(.)", members)
    chars = re.sub(r"(?s).-.", "", members)
    return _One(frozenset(chars), tuple(ranges), negated)


def _stands_for(parts: tuple[_Part, ...], given: str, unsafe: frozenset[str]) -> bool:
    """Each part takes what it can; where one cannot go on, the last star takes one character more."""
    at = index = 0
    star, taken = -1, 0
    while index < len(given):
        part = parts[at] if at < len(parts) else _NOTHING
        if part is None:
            star, taken = at, index
            at += 1
        elif part.takes(given[index], unsafe):
            at, index = at + 1, index + 1
        elif star < 0 or given[taken] in unsafe:
            return False
        else:
            taken += 1
            at, index = star + 1, taken
    return all(part is None for part in parts[at:])


_NOTHING = _One()


def _skeleton(parts: tuple[_Part, ...]) -> str:
    """What the glob spells out, a letter in the place of what it leaves open."""
    return "".join("x" if part is None else part.spelled for part in parts)


def _climbing(text: str) -> int:
    """How many path segments of `text` are ``..``, or may be once a shell had its way with quotes and globs.

    Options and addresses may stand before the dots without anything between (``-I../x``), so a segment counts that ends
    with two dots; one of three (``./...``) does not climb.
    """
    plain = _ENCODED.sub(lambda found: {"2e": ".", "2f": "/", "5c": "/"}[found[1].lower()], text).translate(_UNQUOTED)
    return sum(map(_climbs, _BETWEEN.split(plain)))


def _climbs(segment: str) -> bool:
    if segment.startswith(".") and not _GLOBBING.isdisjoint(segment):
        return True  # shells before bash 5.2 let ``.*`` stand for ``..``
    return segment.endswith("..") and not segment.endswith("...")


_GLOBBING = frozenset("*?[")

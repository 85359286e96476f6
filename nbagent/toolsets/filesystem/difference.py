"""What a write would change, as a unified diff.

The standard library compares; here its work is bounded: what both texts begin and end with is left out first, and where
what remains is too large to compare line by line, it is shown as taken out and put in, which is no less true.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

CONTEXT = 3
"""Lines around a change."""
_LINES = 2_000
"""Changed lines on either side that are compared."""
_HUNK = re.compile(r"^@@ -(\d+)((?:,\d+)?) \+(\d+)((?:,\d+)?) @@")


def unified(old: str, new: str, path: str, *, is_new: bool = False) -> str:
    """The diff, with a head; ``""`` where nothing changes.

    Parameters
    ----------
    old, new, path
        The file's content before and after, and its name for the head.
    is_new
        There is no such file yet.
    """
    if old == new and not is_new:
        return ""
    before, after = _lines(old), _lines(new)
    start, end = _alike(before, after)
    around = 0 if max(len(before), len(after)) - start - end > _LINES else CONTEXT
    first, kept = max(start - around, 0), max(end - around, 0)
    before_part, after_part = before[first : len(before) - kept], after[first : len(after) - kept]
    if not around:
        body = _replaced(before_part, after_part, first)
    else:
        body = [_shifted(line, first) for line in difflib.unified_diff(before_part, after_part, n=CONTEXT, lineterm="")]
        del body[:2]  # its own head
    return "\n".join([f"--- {'/dev/null' if is_new else path}", f"+++ {path}", *body])


def _lines(text: str) -> list[str]:
    """The lines, the last marked where no line end follows it, as diffs do."""
    lines = text.split("\n")
    if lines[-1]:
        lines[-1] += "\n\\ No newline at end of file"
    else:
        del lines[-1]
    return lines


def _alike(before: Sequence[str], after: Sequence[str]) -> tuple[int, int]:
    """How many lines both begin with, and end with."""
    most = min(len(before), len(after))
    start = next((number for number in range(most) if before[number] != after[number]), most)
    most -= start
    end = next((number for number in range(most) if before[-1 - number] != after[-1 - number]), most)
    return start, end


def _shifted(line: str, by: int) -> str:
    """A hunk's head with the numbers that the lines have in the whole."""
    return _HUNK.sub(lambda m: f"@@ -{int(m[1]) + by}{m[2]} +{int(m[3]) + by}{m[4]} @@", line, count=1)


def _replaced(before: Sequence[str], after: Sequence[str], first: int) -> list[str]:
    head = f"@@ -{first + 1},{len(before)} +{first + 1},{len(after)} @@"
    return [head, *(f"-{line}" for line in before), *(f"+{line}" for line in after)]

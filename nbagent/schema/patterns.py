"""Regular expressions from outside, searched with a bound on the time they take.

Python's `re` backtracks, holds the interpreter and cannot be stopped, so ``^(a+)+$`` from a server would hang the
kernel. Engines that can be stopped were tried: one with a timeout still takes all memory on ``(((a{999}){999}){999})``.
So the cost of a pattern on a text is bounded by counting, and a pattern that is plainly cheap runs here; every other
runs in a short-lived Python process, which is ended after `SECONDS`. A pattern that was too slow once is not tried
again. Search semantics, as the specification says: a pattern is not anchored by itself.

The dialect is ECMAScript's where it differs in ways that people meet: ``(?<name>…)``, and ``$`` is the very end. What
only ECMAScript can read (``\\p{L}``) is left to whoever asked.
"""

from __future__ import annotations

import contextlib
import math
import re
import subprocess
import sys
from functools import lru_cache

SECONDS = 1.0
"""How long a doubtful pattern may take, with the start of its process."""

_LENGTH = 2000
_CHEAP = 1_000_000
_TOKEN = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?:|\(\?<(?![=!])|\(\?|\{[0-9]+(?:,[0-9]*)?\}\??|[*+?]\??|.", re.DOTALL
)
_CHILD = """
import re, sys
try:
    import resource, signal
    signal.alarm(3)
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
except Exception:
    pass
pattern, text = (part.decode("utf-8", "surrogatepass") for part in sys.stdin.buffer.read().split(b"\\0\\0", 1))
try:
    compiled = re.compile(pattern)
except (re.error, OverflowError, RecursionError):
    sys.stdout.write("broken")
else:
    sys.stdout.write("yes" if compiled.search(text) else "no")
"""


class BrokenPattern(Exception):
    """No regular expression."""


class SlowPattern(Exception):
    """It did not come to an end in time, or is too long to try."""


def search(pattern: str, text: str) -> bool:
    """Whether `pattern` is found in `text`.

    Raises
    ------
    BrokenPattern, SlowPattern
        There is no answer.
    """
    if pattern in _slow or len(pattern) > _LENGTH:
        raise SlowPattern(pattern)
    if r"\p{" in pattern or r"\P{" in pattern:
        return True
    tokens = _TOKEN.findall(pattern)
    translated = "".join(_pythonic(token) for token in tokens)
    if _cost(tokens, len(text)) > _CHEAP:
        return _elsewhere(pattern, translated, text)
    try:
        return re.search(translated, text) is not None
    except (re.error, OverflowError, RecursionError) as error:
        raise BrokenPattern(str(error)) from None


def check(pattern: str) -> None:
    """Raise BrokenPattern unless `pattern` is a regular expression."""
    with contextlib.suppress(SlowPattern):  # said when a text is to be checked
        search(pattern, "")


_slow: set[str] = set()


def _pythonic(token: str) -> str:
    return {"(?<": "(?P<", "$": r"\Z"}.get(token, token)


def _cost(tokens: list[str], length: int) -> float:
    """A bound on the steps of a search, infinite where counting is not enough.

    Without a repeated group, a lookaround or a back reference, every way to match is one choice of a length for each
    quantifier and of a branch for each bar.
    """
    ways = 1.0 if tokens[:1] == ["^"] else length + 1.0
    for before, token in zip(["", *tokens], tokens, strict=False):
        repeats = token[0] in "*+?{" and (token[0] != "{" or len(token) > 1)
        if token == "(?" or (token[0] == "\\" and token[1:] in set("123456789k")) or (repeats and before == ")"):
            return math.inf
        if repeats:
            ways *= _lengths(token, length)
        elif token == "|":
            ways *= 2
    return ways * (len(tokens) + length + 1)


def _lengths(quantifier: str, length: int) -> int:
    """How many lengths `quantifier` can take on a text of `length`."""
    if quantifier[0] == "?":
        return 2
    if quantifier[0] in "*+":
        return length + 1
    low, comma, high = quantifier.strip("{}?").partition(",")
    if not comma:
        return 1
    most = min(int(high or length), length)
    return max(1, most - int(low) + 1)


@lru_cache(maxsize=64)
def _elsewhere(pattern: str, translated: str, text: str) -> bool:
    """Search in a process of its own, which is ended when it takes too long.

    It has its own session, since an interrupt of the kernel reaches the whole process group; so it also ends itself.
    """
    message = translated.encode("utf-8", "surrogatepass") + b"\0\0" + text.encode("utf-8", "surrogatepass")
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _CHILD],
            input=message,
            capture_output=True,
            timeout=SECONDS,
            check=False,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        _slow.add(pattern)
        raise SlowPattern(pattern) from None
    except OSError:  # no processes here (Pyodide): nothing can be said within a bound
        raise SlowPattern(pattern) from None
    if done.stdout == b"broken":
        raise BrokenPattern(pattern)
    if done.stdout not in (b"yes", b"no"):  # it ran out of memory, or was ended
        raise SlowPattern(pattern)
    return done.stdout == b"yes"

"""What a model reads of an exception: its traceback as plain text, with the frames of the user's code alone.

The frames of nbagent, of the standard library and of what is installed say nothing that helps to mend the code, and
cost the model dearly. Causes, contexts, notes and groups stay. Below: nothing of nbagent. Above: `execution`.
"""

from __future__ import annotations

import sysconfig
import traceback
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from nbagent.toolsets.bounded import Bounded

MOST = 6_000
"""Characters of one traceback."""


def formatted(error: BaseException, shell: Any) -> str:
    """The traceback as Python prints it, bounded."""
    told = traceback.TracebackException.from_exception(error)
    for part in _parts(told, set()):
        for frame in part.stack:
            _ = frame.line  # read now, by the name of its file; it may get another below
        frames = [frame for frame in part.stack if not _of_library(frame.filename)]
        for frame in frames:
            frame.filename = _shown_name(frame.filename, shell)
        part.stack[:] = frames
        if not frames:
            untyped: Any = part
            untyped.stack = None  # without one, no headline either
    text = Bounded(MOST)
    text.add("".join(told.format()).rstrip("\n"))
    return text.text


def _parts(told: traceback.TracebackException, seen: set[int]) -> Iterator[traceback.TracebackException]:
    """The exception, its causes, contexts and members."""
    waiting = [told]
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        yield part
        members: Any = getattr(part, "exceptions", None) or ()
        waiting += [other for other in (part.__cause__, part.__context__, *members) if other is not None]


def _shown_name(filename: str, shell: Any) -> str:
    """``Cell In[3]`` for a cell, as IPython's own tracebacks call it."""
    format_name: Any = getattr(shell.compile, "format_code_name", None)
    name: tuple[str, str] | None = format_name(filename) if format_name is not None else None
    return " ".join(name) if name else filename


def _of_library(filename: str) -> bool:
    if filename.startswith("<frozen"):
        return True
    path = Path(filename)
    return any(path.is_relative_to(home) for home in _libraries()) or "site-packages" in path.parts


@cache
def _libraries() -> tuple[str, ...]:
    own = str(Path(__file__).parents[2])
    return (own, *{sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})

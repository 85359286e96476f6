"""What is wrong with a file: one `Problem` a mistake, with the line and column where it stands.

The lowest module of the package: whoever reads the file adds to its `Report`. It guarantees: no value that a variable
of the environment holds is ever in a problem's words, since expansion happens long after (`expansion`).
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from nbagent.errors import ConfigError

SHOWN = 20
"""Errors that one message holds."""

Place = tuple[str | int, ...]
"""Where something stands in a document: keys and indices, from the outside in."""
Level = Literal["error", "warning"]


class ConfigWarning(UserWarning):
    """A file has something that nbagent does not use, or not yet; it works without."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a file, or one thing of it that nbagent leaves out.

    Parameters
    ----------
    file
        The file as it was named.
    line, column
        Counted from 1; 0 where the whole file is meant.
    level
        ``error``: the file cannot be used. ``warning``: it can.
    message
        What is wrong, and what was probably meant.
    place
        Where it stands, such as ``agents.root.model``; ``""`` for the whole.
    """

    file: str
    line: int
    column: int
    level: Level
    message: str
    place: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{where}: {self.level}: {f'{self.place}: ' if self.place else ''}{self.message}"


@dataclass(slots=True)
class Report:
    """What was found in one file.

    Parameters
    ----------
    file
        The file.
    marks
        Line and column of each place, counted from 1.
    keys
        The same of the key that names a place.
    mappings
        The place of each mapping of the data, by its `id`.
    problems
        What was found so far.
    read
        The files that were read: this one, and those that it names.
    """

    file: Path
    marks: dict[Place, tuple[int, int]] = field(default_factory=dict[Place, tuple[int, int]])
    keys: dict[Place, tuple[int, int]] = field(default_factory=dict[Place, tuple[int, int]])
    mappings: dict[int, Place] = field(default_factory=dict[int, Place])
    problems: list[Problem] = field(default_factory=list[Problem])
    read: list[Path] = field(default_factory=list[Path])
    _said: set[object] = field(default_factory=set[object], repr=False)

    @property
    def folder(self) -> Path:
        """Where the file lies, to which the paths in it are relative."""
        return self.file.absolute().parent

    def path(self, given: str) -> Path:
        """A path of the file, where it is."""
        return self.folder / home(given)

    @property
    def errors(self) -> list[Problem]:
        """The problems that make the file unusable."""
        return [problem for problem in self.problems if problem.level == "error"]

    def error(self, place: Place, message: str) -> None:
        """There is a mistake at `place`, one of whose mistakes is enough."""
        self._add("error", place, message, once=spelled(place))

    def warning(self, place: Place, message: str) -> None:
        """Something at `place` is left out."""
        self._add("warning", place, message, once=(spelled(place), message))

    def at(self, line: int, column: int, message: str) -> None:
        """There is a mistake at that line and column, where the file is not even YAML."""
        self.problems.append(Problem(str(self.file), line, column, "error", message))

    def line(self, place: Place) -> str:
        """The file and the line of `place`, for a message that comes later."""
        return f"{self.file}:{self._mark(place)[0]}"

    def _add(self, level: Level, place: Place, message: str, once: object) -> None:
        if once in self._said:
            return
        self._said.add(once)
        self.problems.append(Problem(str(self.file), *self._mark(place), level, _shown(message), spelled(place)))

    def _mark(self, place: Place) -> tuple[int, int]:
        """Of the key where there is one, else of the value, else of the nearest place around it."""
        for end in range(len(place), -1, -1):
            if (mark := self.keys.get(place[:end]) or self.marks.get(place[:end])) is not None:
                return mark
        return (0, 0)

    def refused(self) -> ConfigError:
        """The errors as an exception, one a line."""
        lines = [str(problem) for problem in self.errors]
        more = len(lines) - SHOWN
        return ConfigError("\n".join([*lines[:SHOWN], *([f"… and {more} more"] if more > 0 else [])]))


def home(path: str | os.PathLike[str]) -> Path:
    """The path with ``~`` as the user's folder, where there is such a user."""
    with suppress(RuntimeError):
        return Path(path).expanduser()
    return Path(path)


def spelled(place: Place) -> str:
    """The place as a person writes it.

    Examples
    --------
    >>> spelled(("agents", "root", "toolsets", 0, "type"))
    'agents.root.toolsets[0].type'
    """
    words = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")
    return _shown(words, 200)


def _shown(text: str, most: int = 2000) -> str:
    """The text as a terminal may have it: a file's keys are anybody's words."""
    cut = text if len(text) <= most else f"{text[: most - 1]}…"
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in cut)


def meant(word: str, known: Iterable[str] | Mapping[str, object]) -> str:
    """A hint for a word that is not known.

    Examples
    --------
    >>> meant("instructon", ["instruction", "model"])
    'did you mean instruction?'
    """
    words = list(known)
    near = difflib.get_close_matches(word[:100], words, n=1)
    if near:
        return f"did you mean {near[0]}?"
    return f"known here: {', '.join(words[:30])}" if words else "there is none"

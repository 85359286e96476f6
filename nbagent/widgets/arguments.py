"""A tool call's arguments in full: as rows of a small table, or as the text that a model wrote instead of JSON.

A card's line has only their summary (`words.summary`). It guarantees: all is plain text, and bounded: a value at
`VALUE` characters, all at `ALL`, with a word about what is left out.
Below: `plaintext`, `words`. Above: `wire`, `static`, `flat`, `plain`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nbagent.plaintext import plain
from nbagent.widgets import words

VALUE = 4_000
ALL = 8_000
ROWS = 50


def rows(arguments: Mapping[str, Any] | str) -> list[tuple[str, str]]:
    """Name and value of each argument; text as it is, anything else as JSON. Nothing of arguments that are text."""
    if isinstance(arguments, str):
        return []
    made: list[tuple[str, str]] = []
    room = ALL
    for name, value in arguments.items():
        if len(made) == ROWS or room <= 0:
            made.append(("…", f"{len(arguments) - len(made):,} more"))
            break
        row = (plain(str(name), 120) or '""', _bounded(_value(value), min(VALUE, room)))
        room -= len(row[0]) + len(row[1])
        made.append(row)
    return made


def written(arguments: Mapping[str, Any] | str) -> str:
    """Arguments that are text, where the summary had to cut them; else nothing."""
    return _bounded(arguments, ALL) if isinstance(arguments, str) and is_cut(arguments) else ""


def in_full(arguments: Mapping[str, Any] | str) -> str:
    """All of them, each from a line of its own, where the summary had to cut them; else nothing."""
    if not is_cut(arguments):
        return ""
    return written(arguments) or "\n".join(f"{name}: {value}" for name, value in rows(arguments))


def is_cut(arguments: Mapping[str, Any] | str) -> bool:
    """Whether the summary leaves something out."""
    return words.summary(arguments).endswith("…")


def _value(value: Any) -> str:
    if isinstance(value, str):
        return value or '""'
    if isinstance(value, dict | list) and len(line := words.as_json(value)) > 60:
        return line if len(line) > VALUE else words.as_json(value, indent=2)
    return words.as_json(value)


def _bounded(text: str, limit: int) -> str:
    kept = plain(text[: 2 * limit])
    return kept if len(text) <= 2 * limit and len(kept) <= limit else f"{kept[:limit]}… ({len(text):,} characters)"

"""One value for a model: short ones stand in the line, others typed and bounded below the prompt, pictures are seen.

It guarantees: nothing is read whole that is large, nothing lazy is begun, nothing is changed, and no value whose name
says that it is a secret is shown. Below: `kernel.toolset.inspection`, `toolsets.pictures`. Above: `expanding`.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import fractions
import inspect
import pathlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from nbagent.errors import UsageError
from nbagent.kernel.toolset.inspection import described
from nbagent.kernel.toolset.redaction import looks_secret, redacted, without_keys
from nbagent.messages import Attachment
from nbagent.toolsets import pictures

TEXT = 20_000
"""Characters of a string in a prompt."""
LINE = 300
"""Characters of another value that stands in the line."""
_SMALL = 50
_PLAIN = (str, bool, int, float, complex, type(None), decimal.Decimal, fractions.Fraction, datetime.date, datetime.time,
          datetime.timedelta, pathlib.PurePath, uuid.UUID, enum.Enum, range)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shown:
    """A value or file as a model gets it.

    Parameters
    ----------
    name
        What the prompt calls it.
    inline
        What stands in the prompt.
    below
        What stands below it, "" where nothing does.
    attachment
        A picture or file beside it.
    """

    name: str
    inline: str
    below: str = ""
    attachment: Attachment | None = None


def shown(name: str, value: Any) -> Shown:
    """The value under `name`, which may have dots.

    Raises
    ------
    UsageError
        Its name looks like that of a secret, or it is a picture that is too large.
    """
    for part in name.split("."):
        if looks_secret(part):
            raise UsageError(
                f"{{{name}}} is not put into a prompt: its name looks like that of a secret, and a prompt goes to the "
                f"model's provider and into the notebook"
            )
    if (picture := _picture(value)) is not None:
        try:
            return Shown(name, f"`{name}`", attachment=pictures.attached(picture, name))
        except ValueError as error:
            raise UsageError(f"{{{name}}} in the prompt: {error}") from None
    if isinstance(value, str):
        return Shown(name, _text(name, str(value)))
    if _is_small(value, [_SMALL, LINE]):
        return Shown(name, redacted(str(value)))
    if (line := _own_words(value)) is not None:
        return Shown(name, line)
    return Shown(name, f"`{name}`", below=_below(name, value))


def _picture(value: Any) -> bytes | None:
    if isinstance(value, bytes | bytearray):
        return bytes(value) if pictures.mime_of(bytes(value[:16])) in pictures.SHOWN else None
    return pictures.drawn(value)


def _text(name: str, value: str) -> str:
    text = without_keys(value[:TEXT])
    cut = len(value) - TEXT
    return f"{text}\n[{name} goes on for {cut:,} more characters, which are not shown]" if cut > 0 else text


def _is_small(value: Any, left: list[int]) -> bool:
    """Whether a value is plain data, of a few items and characters; `left` counts what there may still be of them."""
    left[0] -= 1
    if min(left) < 0:
        return False
    if isinstance(value, int) and not isinstance(value, bool):
        left[1] -= value.bit_length() // 4
        return left[1] >= 0
    if isinstance(value, str):
        left[1] -= len(value)
        return left[1] >= 0
    if type(value) in (list, tuple, set, frozenset, dict):
        items: Any = value
        if len(items) > left[0]:
            return False
        if isinstance(value, dict):
            pairs = cast("Mapping[Any, Any]", value)
            if any(looks_secret(key) for key in pairs):
                return False  # `described` hides what it must
            items = [item for pair in pairs.items() for item in pair]
        return all(_is_small(item, left) for item in items)
    return isinstance(value, _PLAIN)


def _own_words(value: Any) -> str | None:
    """What an object of a class that says how it is written says, in a line; None where it says too much or nothing."""
    kind = cast("type[Any]", type(value))
    written = kind.__str__ is not object.__str__ or kind.__repr__ is not object.__repr__
    if not written or hasattr(value, "shape") or isinstance(value, type) or hasattr(value, "__len__"):
        return None
    text = str(value)
    return redacted(text) if len(text) <= LINE and "\n" not in text and not text.startswith("<") else None


def _below(name: str, value: Any) -> str:
    if inspect.isroutine(value) or inspect.isclass(value):
        return _code(name, value)
    return described(name, value)


def _code(name: str, value: Any) -> str:
    """A function or class: its source where it is there, else its signature and what it says of itself."""
    try:
        source = inspect.getsource(value)
    except (OSError, TypeError):
        try:
            source = f"{name}{inspect.signature(value)}\n{inspect.getdoc(value) or ''}"
        except (TypeError, ValueError):
            return described(name, value)
    cut = source if len(source) <= TEXT // 2 else f"{source[: TEXT // 2]}\n…"
    return f"{name}:\n{redacted(cut)}"

"""Events back from their JSON.

It guarantees: `from_dict(event.to_dict()) == event`, also after a trip through JSON, for what JSON can say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nbagent.events.catalogue import EVENTS, Event


def from_dict(data: Mapping[str, Any]) -> Event:
    """The event that `data` (of `Event.to_dict`, also after a trip through JSON) describes.

    Raises
    ------
    ValueError
        The type is unknown, or a field is missing or unknown.
    """
    values: dict[str, Any] = dict(data)
    kind = values.pop("type", None)
    cls = EVENTS.get(kind) if isinstance(kind, str) else None
    if cls is None:
        raise ValueError(f"not an event of nbagent: type {kind!r}")
    for name in ("agents", "tools", "content", "attachments"):
        if isinstance(values.get(name), list):
            values[name] = tuple(values[name])
    for name in ("timestamp", "duration", "cost"):
        if isinstance(values.get(name), str):  # JSON has no infinity: it was written as a word
            values[name] = _number(values[name])
    try:
        return cls(**values)
    except TypeError as error:
        raise ValueError(f"not a {cls.type} event: {error}") from None


def _number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        raise ValueError(f"not an event: {word!r} stands where a number belongs") from None

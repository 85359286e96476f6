"""What an event's values look like as JSON, also where JSON has no word for them.

Below `catalogue`. It guarantees that `text` gives strict JSON on one line for whatever a tool, a server or a model has
put into an event, and never raises: bytes, NaN, sets, numbers of thousands of digits, cycles, half of a surrogate pair
and objects whose ``__str__`` fails included. What JSON can say comes back as it was.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Set
from typing import Any

DEEPEST = 64
"""How many containers deep a value is written that the library's own encoder refused; what lies deeper is described."""

_strict = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
_JSON_DIGITS = 10**4000  # beyond it, Python refuses to read a number back (`sys.get_int_max_str_digits`)


def text(values: Mapping[str, Any]) -> str:
    """One line of JSON, an object.

    Parameters
    ----------
    values
        By name, as `Event.to_dict` gives them.
    """
    try:
        line = _strict(values)
        line.encode()
        return line
    except (ValueError, TypeError, RecursionError, RuntimeError):  # also what another thread changes meanwhile
        return json.dumps({str(name): _plain(value, DEEPEST) for name, value in values.items()})


def _plain(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return int(value) if -_JSON_DIGITS < value < _JSON_DIGITS else f"a number of {value.bit_length()} bits"
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    if depth and isinstance(value, Mapping):
        return {_told(key): _plain(item, depth - 1) for key, item in _items(value)}
    if depth and isinstance(value, list | tuple | Set):
        return [_plain(item, depth - 1) for item in _items(value)]
    return "…" if isinstance(value, Mapping | list | tuple | Set) else _told(value)  # too deep, or within itself


def _items(value: Any) -> list[Any]:
    """A copy, which nobody changes while it is written; what cannot be copied is empty."""
    try:
        return list(value.items() if isinstance(value, Mapping) else value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
    except Exception:  # another's container
        return []


def _told(value: Any) -> str:
    try:
        return str(value)
    except Exception:  # another's object
        return f"<{type(value).__name__}>"

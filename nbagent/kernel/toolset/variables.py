"""Which names of the namespace are the user's, and what they are: name, type, shape or length, and never a value.

The same names that `%who` lists: none of IPython's own, none that begins with an underscore. A length is taken of the
built-in containers alone, since that of a database query is the query. Below: `redaction`. Above: `inspection`,
`toolset`.
"""

from __future__ import annotations

import array
import collections
from collections.abc import Mapping
from types import ModuleType
from typing import Any, cast

from nbagent.kernel.toolset.redaction import looks_secret

MOST = 200
"""Variables that are listed."""

_MEASURED = (str, bytes, bytearray, list, tuple, dict, set, frozenset, range, collections.deque, array.array)


def names(shell: Any) -> dict[str, Any]:
    """The user's variables, by name, in order; modules left out.

    By the type itself: `isinstance` asks the object for its class, and a proxy out of its context raises there.
    """
    hidden: Mapping[str, Any] = shell.user_ns_hidden
    absent = object()
    return {
        name: value
        for name, value in sorted(shell.user_ns.copy().items())
        if not name.startswith("_") and hidden.get(name, absent) is not value
        if not issubclass(type(value), ModuleType)
    }


def listed(shell: Any) -> str:
    """The list, a line for each variable."""
    found = names(shell)
    if not found:
        return "The user has defined no variables."
    lines = [line(name, value) for name, value in list(found.items())[:MOST]]
    if (more := len(found) - MOST) > 0:
        lines.append(f"… and {more:,} more")
    return "\n".join(lines)


def line(name: str, value: Any) -> str:
    """One variable: its name, type, and shape or length; of a secret the name alone."""
    if looks_secret(name):
        return f"{name}: not shown, since the name looks like that of a secret"
    return f"{name}: {type_name(value)}{measure(value)}"


def type_name(value: Any) -> str:
    """Its type, with the package that it comes from: ``pandas.DataFrame``."""
    kind = cast("type[Any]", type(value))
    home = str(kind.__module__).partition(".")[0]
    return kind.__qualname__ if home in ("builtins", "__main__") else f"{home}.{kind.__qualname__}"


def measure(value: Any) -> str:
    """``, shape (3, 4)`` or ``, length 12``; nothing of what has neither, or does not tell."""
    try:
        shape: Any = value.shape if hasattr(cast("type[Any]", type(value)), "shape") else None
        if isinstance(shape, tuple):
            return f", shape {shape!s}"[:80]
        length = len(value) if isinstance(value, _MEASURED) else None  # pyright: ignore[reportUnknownArgumentType]
        return "" if length is None else f", length {length:,}"
    except Exception:  # the object's own code
        return ""

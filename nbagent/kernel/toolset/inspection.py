"""inspect_variable: one value in few words, bounded and redacted, since it goes to the provider of the model.

Tables give their columns and first rows, arrays their dtype and statistics, containers their first items, and all else
its repr. The ladder goes by the packages that objects come from, and imports none. Keys, columns, fields and levels
whose names look secret are named and not shown.

The objects' own code runs here, their reprs above all: on a daemon thread (`toolset` sees to that), so that one that
hangs holds nothing. Below: `redaction`, `variables`, `printed`. Above: `toolset`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from itertools import islice
from typing import Any, cast

from nbagent.errors import ToolError
from nbagent.kernel.toolset.redaction import HIDDEN, looks_secret, redacted
from nbagent.kernel.toolset.variables import measure, names, type_name
from nbagent.toolsets.bounded import Bounded

MOST = 6_000
"""Characters of one value."""
ROWS = 5
ITEMS = 20
COLUMNS = 100
COUNTED = 10_000_000
"""The most values of which statistics are made, which takes a moment and a copy."""
_DEPTH = 4
_TEXT = 300


def inspected(name: str, shell: Any) -> str:
    """The variable in words.

    Raises
    ------
    ToolError
        There is no such variable, its name looks secret, or its own code fails.
    """
    if not name.isidentifier():
        raise ToolError(
            f"{name[:80]!r} is no variable's name. Only names can be inspected; run_python runs expressions."
        )
    found = names(shell)
    if name not in found:
        raise ToolError(f"The user has no variable {name!r}; list_variables lists them.")
    if looks_secret(name):
        raise ToolError(f"{name} is not shown: its name looks like that of a secret.")
    value = found[name]
    try:
        return described(name, value)
    except Exception as error:  # the object's own code
        raise ToolError(
            f"{name} ({type_name(value)}) cannot be shown: its own code raised {type(error).__name__}"
        ) from error


def described(name: str, value: Any) -> str:
    """The value under `name` in words, bounded; raises what the object's own code raises."""
    text = Bounded(MOST)
    text.add(f"{name}: {type_name(value)}{measure(value)}\n{_told(value)}")
    return text.text


def _told(value: Any) -> str:
    home = str(type(value).__module__).partition(".")[0]
    match home, type(value).__name__:
        case "pandas" | "polars", "DataFrame":
            return _table(value)
        case "pandas" | "polars", "Series" if looks_secret(value.name):
            return "its values are not shown, since its name looks like that of a secret"
        case "pandas", "Series":
            return _series(value)
        case "numpy", "ndarray":
            return _array(value)
        case _:
            return _short(value, _DEPTH)


# ---------------------------------------------------------------- tables and arrays


def _table(frame: Any) -> str:
    """The columns with their types, and the first rows; columns that look secret hold nothing."""
    if any(_secret_label(level) for level in getattr(frame.columns, "names", ())):
        return "its columns are not shown: they are named by what looks like a secret"
    columns = list(zip(frame.columns, frame.dtypes, strict=True))
    lines = [f"  {column}: {dtype}" for column, dtype in columns[:COLUMNS]]
    if len(columns) > COLUMNS:
        lines.append(f"  … and {len(columns) - COLUMNS:,} more columns")
    rows = frame.head(ROWS)
    shown = [at for at, (column, _) in enumerate(columns[:ITEMS]) if not _secret_label(column)]
    hidden = [str(column) for column, _ in columns if _secret_label(column)]
    if hasattr(rows, "iloc"):
        rows = rows.iloc[:, shown]
        levels: list[Any] = list(rows.index.names)
        if any(_secret_label(level) for level in levels):
            hidden += [str(level) for level in levels if _secret_label(level)]
            rows = rows.reset_index(drop=True)
        head = rows.to_string(max_colwidth=60)
    else:
        head = str(rows[:, shown])
    note = [f"not shown, since they look like secrets: {', '.join(hidden[:ITEMS])}"] if hidden else []
    return "\n".join(["columns:", *lines, f"first {min(ROWS, len(frame))} rows:", redacted(head), *note])


def _secret_label(label: Any) -> bool:
    """Whether a column's label looks secret; of several levels, any of them."""
    return any(map(looks_secret, cast("tuple[Any, ...]", label))) if isinstance(label, tuple) else looks_secret(label)


def _series(series: Any) -> str:
    if any(looks_secret(level) for level in series.index.names):
        return f"dtype {series.dtype}; its labels look like secrets, and it is not shown"
    head = series.head(ITEMS)
    rows = [f"  {label}: {HIDDEN if _secret_label(label) else _short(item, 1)}" for label, item in head.items()]
    return "\n".join(
        [f"dtype {series.dtype}", *_statistics(series), f"first {len(rows)} values:", *map(redacted, rows)]
    )


def _array(values: Any) -> str:
    fields: tuple[str, ...] | None = values.dtype.names
    if fields is not None:
        shown = [field for field in fields if not looks_secret(field)]
        note = (
            [f"not shown, since they look like secrets: {sorted(set(fields) - set(shown))}"]
            if shown != list(fields)
            else []
        )
        return "\n".join([f"dtype {values.dtype}", redacted(repr(values.ravel()[:ITEMS][shown])), *note])
    head = ", ".join(_short(item, 1) for item in values.ravel()[:ITEMS].tolist())
    return "\n".join([f"dtype {values.dtype}", *_statistics(values), f"first values: {head}"])


def _statistics(values: Any) -> list[str]:
    """Least, greatest, mean and spread of numbers, and how many are missing."""
    if getattr(values.dtype, "kind", "") not in "iuf" or not 0 < values.size <= COUNTED:
        return []
    known = values[values == values]  # NaN is the one number that is not itself
    missing = f", {values.size - known.size:,} missing" if known.size != values.size else ""
    if not known.size:
        return [f"all {values.size:,} values are missing"]
    return [f"min {known.min()}, max {known.max()}, mean {known.mean():.6g}, std {known.std():.6g}{missing}"]


# ---------------------------------------------------------------- containers and the rest


def _short(value: Any, depth: int) -> str:
    """A value in a line or two, its containers opened `depth` deep."""
    match value:
        case str() | bytes():
            start = value[:_TEXT]
            # a text before its repr, which runs the lines together
            told = repr(redacted(start)) if isinstance(start, str) else redacted(repr(start))
            return told + (f" … ({len(value):,} in all)" if len(value) > _TEXT else "")
        case bool() | int() | float() | complex() | None:
            return repr(value)[:_TEXT]
        case Mapping() if depth:
            return _mapping(cast("Mapping[Any, Any]", value), depth)
        case tuple() if hasattr(cast("Any", value), "_fields"):  # its repr names them
            return redacted(_cut(repr(cast("Any", value)), _TEXT * 4))
        case list() | tuple() | Set() if depth:
            return _sequence(cast("list[Any]", value), depth)
        case Mapping() | list() | tuple() | Set():
            return f"<{type_name(value)}{measure(value)}>"
        case _:
            return redacted(_cut(repr(value), _TEXT * 4))


def _mapping(given: Mapping[Any, Any], depth: int) -> str:
    items = [
        f"{_short(key, 0)}: {HIDDEN if _secret_label(key) else _short(item, depth - 1)}"
        for key, item in islice(given.items(), ITEMS)
    ]
    return "{" + _joined(items, len(given), depth) + "}"


def _sequence(given: Iterable[Any], depth: int) -> str:
    items = [_short(item, depth - 1) for item in islice(given, ITEMS)]
    left, right = ("[", "]") if isinstance(given, list) else ("(", ")") if isinstance(given, tuple) else ("{", "}")
    return left + _joined(items, len(cast("list[Any]", given)), depth) + right


def _joined(items: list[str], count: int, depth: int) -> str:
    """The items; a line for each at the top, where a person's eye and a model's go through them."""
    more = [f"… and {count - len(items):,} more"] if count > len(items) else []
    if depth == _DEPTH and items:
        return "\n" + "".join(f"  {item},\n" for item in items) + "".join(f"  {item}\n" for item in more)
    return ", ".join(items + more)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]} … ({len(text):,} characters in all)"

"""From the text of a schema to its validator, or to the reason why it has none.

Here a schema from outside is tamed: it is checked itself, within the time of a check; parts that name another dialect
lose the name, or they would get that dialect's plain keywords; and a reference that leaves the schema is never
followed, since `jsonschema` would fetch it. Below: `keywords`. Above: `validation`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from functools import lru_cache
from importlib import import_module
from typing import Any

from nbagent.schema import patterns
from nbagent.schema.keywords import Broken, TooSlow, deadline, extended, library, look_at_the_clock, unresolvable
from nbagent.schema.shapes import is_dict, is_list, is_object

SECONDS = 1.0
"""How long one validation may take, and before it the check of its schema."""

_LARGEST = 200_000
_DATA = {"default", "enum", "const", "examples"}


def warm() -> None:
    """Import `jsonschema` ahead, from a thread: where all its formats are installed, that takes a second."""
    library()


def text_of(schema: Mapping[str, Any]) -> str:
    """The schema as JSON text, by which its validator is kept."""
    try:
        return json.dumps(schema, allow_nan=False, default=_plain)
    except (TypeError, ValueError, RecursionError) as error:
        raise Broken(f"it is no JSON ({error}).") from None


def _plain(value: Any) -> Any:
    if is_object(value):
        return dict(value)
    raise TypeError(f"{type(value).__name__} in a schema")


@lru_cache(maxsize=128)
def validator(text: str) -> Any:
    """The validator of a schema, or why it has none; found out once, since that costs more than all that follows."""
    library()  # its first import takes a second, which is not the schema's fault
    token = deadline.set(time.monotonic() + SECONDS)
    try:
        return _checked(text)
    except (Broken, TooSlow, patterns.BrokenPattern, RecursionError) as error:
        return error.with_traceback(None)
    finally:
        deadline.reset(token)


def _checked(text: str) -> Any:
    """The validator of a schema; raises `Broken` where it is not one."""
    if len(text) > _LARGEST:
        raise Broken(f"it has {len(text):,} characters, and {_LARGEST:,} are the most.")
    schema = json.loads(text)
    if not is_dict(schema):
        raise Broken("an object is expected.")
    if "unevaluatedProperties" in text and "patternProperties" in text:
        raise Broken("it joins unevaluatedProperties to patternProperties, which is not supported.")
    dialect = _dialect(schema)
    checker = library().FormatChecker(())
    checker.checks("regex", raises=patterns.BrokenPattern)(_readable)
    try:
        dialect.check_schema(schema, format_checker=checker)
    except library().SchemaError as error:
        where = "".join(f"/{part}" for part in error.path) or "the top"
        raise Broken(f"at {where[:80]}: {error.message[:120]}") from None
    _forget_dialects(schema)
    made = extended(dialect)(schema, registry=import_module("referencing").Registry())
    if '"$id"' not in text:  # with it, what a reference means depends on where it stands
        _look_up_references(schema)
    return made


def _readable(pattern: Any) -> bool:
    look_at_the_clock()
    if isinstance(pattern, str):
        patterns.check(pattern)
    return True


def _dialect(schema: dict[str, Any]) -> Any:
    known: Any = library().validators.validator_for(schema, default=library().Draft202012Validator)
    return library().Draft202012Validator if known is library().Draft3Validator else known


def _forget_dialects(schema: Any) -> None:
    """Take ``$schema`` out at every depth: a part that names another dialect would get that one's plain keywords."""
    todo = [schema]
    while todo:
        part = todo.pop()
        if is_dict(part):
            if isinstance(part.get("$schema"), str):
                del part["$schema"]
            todo.extend(part.values())
        elif is_list(part):
            todo.extend(part)


def _look_up_references(schema: Any) -> None:
    """Raise for a reference that leads nowhere, before an instance happens to meet it."""
    referencing = import_module("referencing")
    specification = import_module("referencing.jsonschema").DRAFT202012
    resolver = referencing.Registry().resolver_with_root(specification.create_resource(schema))
    todo = [schema]
    while todo:
        part = todo.pop()
        if is_dict(part):
            reference: Any = part.get("$ref")
            if isinstance(reference, str) and reference.startswith("#"):
                try:
                    resolver.lookup(reference)
                except unresolvable():
                    raise Broken(f"its reference {reference[:80]} leads nowhere.") from None
            todo.extend(value for key, value in part.items() if key not in _DATA)
        elif is_list(part):
            todo.extend(part)

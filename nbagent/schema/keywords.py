"""The keywords that `jsonschema` answers unsafely or bluntly, and the clock that every keyword looks at.

A pattern runs with a bound; a required property is an error of the field and not of the object; multiples are exact;
and since a schema of a few lines can ask for exponential work, each keyword first looks whether its time is up.
Below: `patterns`, `formats`. Above: `compiling`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from fractions import Fraction
from functools import lru_cache
from importlib import import_module
from typing import Any

from nbagent.schema import formats, patterns
from nbagent.schema.shapes import is_dict

deadline: ContextVar[float] = ContextVar("nbagent_schema_deadline", default=math.inf)
"""When the check under way must have ended, by the monotonic clock."""

WORDED = {"required", "additionalProperties", "dependentRequired", "propertyNames"}
"""Keywords whose errors come with their words."""


class Broken(Exception):
    """The schema itself is wrong; the message says where."""


class TooSlow(Exception):
    """The time is up."""


def look_at_the_clock() -> None:
    """Raise `TooSlow` when the time is up."""
    if time.monotonic() > deadline.get():
        raise TooSlow


def library() -> Any:
    """`jsonschema`, imported at first use; it has no types of its own."""
    return import_module("jsonschema")


def unresolvable() -> type[Exception]:
    """The exception of a reference that leads nowhere."""
    error: type[Exception] = import_module("referencing.exceptions").Unresolvable
    return error


_Keyword = Callable[[Any, Any, Any, Any], Any]


@lru_cache(maxsize=8)
def extended(dialect: Any) -> Any:
    """The validator class of a dialect, with our keywords and our integers."""

    def integer(_: Any, value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool)

    ours: dict[str, _Keyword] = {
        "format": _format,
        "multipleOf": _multiple_of,
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "propertyNames": _property_names,
        "required": _required,
        "additionalProperties": _additional_properties,
    }
    theirs: dict[str, _Keyword] = dict(dialect.VALIDATORS)
    keywords = {name: _timed(ours.get(name, keyword)) for name, keyword in theirs.items()}
    if "dependentRequired" in keywords:
        keywords["dependentRequired"] = _timed(_dependent_required)
    checker = dialect.TYPE_CHECKER.redefine("integer", integer)
    return library().validators.extend(dialect, keywords, type_checker=checker)


def _timed(keyword: _Keyword) -> _Keyword:
    def checked(validator: Any, value: Any, instance: Any, schema: Any) -> Any:
        look_at_the_clock()
        try:
            yield from keyword(validator, value, instance, schema) or ()
        except unresolvable() as error:
            reference: Any = getattr(error, "ref", "")
            raise Broken(f"its reference {str(reference)[:80]} leads nowhere.") from None

    return checked


def _error(text: str, *path: str) -> Any:
    return library().ValidationError(text, path=path)


def _format(validator: Any, name: Any, instance: Any, schema: Any) -> Iterator[Any]:
    if isinstance(instance, str) and not formats.fits(instance, name):
        yield _error("format")


def _multiple_of(validator: Any, step: Any, instance: Any, schema: Any) -> Iterator[Any]:
    # exact: in floats 0.3 is no multiple of 0.1
    if validator.is_type(instance, "number") and Fraction(str(instance)) % Fraction(str(step)):
        yield _error("multipleOf")


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[Any]:
    if isinstance(instance, str) and not patterns.search(pattern, instance):
        yield _error("pattern")


def _pattern_properties(validator: Any, by_pattern: Any, instance: Any, schema: Any) -> Iterator[Any]:
    if is_dict(instance):
        for pattern, part in by_pattern.items():
            for key, value in instance.items():
                if patterns.search(pattern, key):
                    yield from validator.descend(value, part, path=key, schema_path=pattern)


def _property_names(validator: Any, names: Any, instance: Any, schema: Any) -> Iterator[Any]:
    if is_dict(instance):
        for key in instance:
            if next(iter(validator.descend(key, names)), None) is not None:
                yield _error("This name is not allowed for a field.", key)


def _required(validator: Any, names: Any, instance: Any, schema: Any) -> Iterator[Any]:
    if is_dict(instance):
        for name in names:
            if name not in instance:
                yield _error("Required.", name)


def _dependent_required(validator: Any, dependents: Any, instance: Any, schema: Any) -> Iterator[Any]:
    if is_dict(instance):
        for key, names in dependents.items():
            for name in names:
                if key in instance and name not in instance:
                    yield _error(f"Required together with {key[:40]}.", name)


def _additional_properties(validator: Any, allowed: Any, instance: Any, schema: Any) -> Iterator[Any]:
    if not is_dict(instance):
        return
    known: Any = schema.get("properties", {})
    by_pattern: Any = schema.get("patternProperties", {})
    for key, value in instance.items():
        if key in known or any(patterns.search(pattern, key) for pattern in by_pattern):
            continue
        if is_dict(allowed):
            yield from validator.descend(value, allowed, path=key)
        elif allowed is False:
            yield _error("There is no such field.", key)

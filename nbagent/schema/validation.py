"""`validate`: does a JSON value fit a schema, and if not, what is wrong where.

`jsonschema` does the walking; the keywords that it answers unsafely (patterns) or bluntly (a required property is an
error of the object, not of the field) are replaced. Every keyword looks at a clock, since a schema of a few lines
can ask for exponential work. Nothing is fetched: a reference that leaves the schema makes it a broken one.
"""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from fractions import Fraction
from functools import lru_cache
from importlib import import_module
from typing import Any

from nbagent.schema import formats, messages, patterns
from nbagent.schema.shapes import is_dict, is_list, is_object

SECONDS = 1.0
"""How long one validation may take."""

_DEPTH = 60
_deadline: ContextVar[float] = ContextVar("nbagent_schema_deadline", default=math.inf)


class _Broken(Exception):
    """The schema itself is wrong."""


class _TooSlow(Exception):
    """The clock ran out."""


def validate(instance: Any, schema: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with `instance`.

    Parameters
    ----------
    instance
        A JSON value: dict, list, str, int, float, bool or None.
    schema
        A JSON schema (draft 4 to 2020-12 by its ``$schema``, else 2020-12).

    Returns
    -------
    dict
        One message a place, by its path: a field's name, ``items[2].name`` further down, ``""`` for the whole. Empty
        where the instance fits. A broken schema, or one that takes over a second to check, is an error of the whole.

    Examples
    --------
    >>> validate({"age": 130}, {"properties": {"age": {"type": "integer", "minimum": 0, "maximum": 120}}})
    {'age': 'Between 0 and 120.'}
    """
    token = _deadline.set(math.inf)
    try:
        wrong = _not_json(instance)
        validator = _validator(_text(schema))
        _deadline.set(time.monotonic() + SECONDS)
        return wrong or _errors(validator.iter_errors(instance))
    except _Broken as error:
        return {"": f"The schema of this question is broken: {error}"}
    except patterns.BrokenPattern as error:
        return {"": f"The schema of this question is broken: a pattern in it is no regular expression ({error})."}
    except patterns.SlowPattern:
        return {"": "This could not be checked: a pattern in the schema takes too long."}
    except _TooSlow:
        return {"": f"This could not be checked within {SECONDS:g} s: the schema asks for too much."}
    except RecursionError:
        return {"": "This could not be checked: the schema refers to itself without end, or is nested too deeply."}
    finally:
        _deadline.reset(token)


def with_defaults(content: Mapping[str, Any] | None, schema: Mapping[str, Any] | None) -> dict[str, Any]:
    """`content` with the defaults of its missing properties, also of nested objects that are there.

    Examples
    --------
    >>> with_defaults({"a": 1}, {"properties": {"a": {"default": 0}, "b": {"default": 2}}})
    {'a': 1, 'b': 2}
    """
    filled = dict(content or {})
    properties: Any = (schema or {}).get("properties")
    if not is_object(properties):
        return filled
    for name, field in properties.items():
        if not is_object(field):
            continue
        if name not in filled and "default" in field:
            filled[name] = copy.deepcopy(field["default"])
        elif is_dict(filled.get(name)):
            filled[name] = with_defaults(filled[name], field)
    return filled


# ---------------------------------------------------------------- the instance


def _not_json(instance: Any) -> dict[str, str]:
    """The first place that is no JSON: NaN, an infinity, a key that is no text, an object of Python's, a cycle."""
    todo: list[tuple[str, Any, int]] = [("", instance, 0)]
    while todo:
        path, value, depth = todo.pop()
        if isinstance(value, float) and not math.isfinite(value):
            return {path: "A finite number expected."}
        if depth > _DEPTH:
            return {path: "Nested too deeply."}
        if is_dict(value):
            names: list[Any] = list(value)
            if not all(isinstance(name, str) for name in names):
                return {path: "The names of an object's fields are text."}
            todo.extend((_joined(path, key), item, depth + 1) for key, item in value.items())
        elif is_list(value):
            todo.extend((_joined(path, index), item, depth + 1) for index, item in enumerate(value))
        elif value is not None and not isinstance(value, str | int | float | bool):
            return {path: f"Not a JSON value ({type(value).__name__})."}
    return {}


def _joined(path: str, part: str | int) -> str:
    if isinstance(part, int):
        return f"{path}[{part}]"
    return f"{path}.{part}" if path else part


def _errors(found: Iterator[Any]) -> dict[str, str]:
    errors: dict[str, str] = {}
    for error in found:
        for path, text in _told(error, ()):
            errors.setdefault(path, text)
    return errors


def _told(error: Any, prefix: tuple[str | int, ...]) -> Iterator[tuple[str, str]]:
    parts: tuple[str | int, ...] = (*prefix, *error.path)
    path = ""
    for part in parts:
        path = _joined(path, part)
    if error.validator in ("anyOf", "oneOf") and all(e.validator == "const" and not e.path for e in error.context):
        yield path, messages.message("enum", [e.validator_value for e in error.context], None, {})
    elif error.validator in ("anyOf", "oneOf") and error.context:
        branch, kinds = _closest(error.context)
        if kinds:
            yield path, f"{kinds[0].upper()}{kinds[1:]} expected."
        for inner in branch:
            yield from _told(inner, parts)
    elif error.validator is None:
        yield path, "This is not allowed."
    elif error.validator in _WORDED:
        yield path, error.message
    else:
        yield path, messages.message(error.validator, error.validator_value, error.instance, error.schema)


def _closest(context: list[Any]) -> tuple[list[Any], str]:
    """The errors of the branch that fits best, or, where none has the right type, the types that would do."""
    branches: dict[int, list[Any]] = {}
    for error in context:
        branches.setdefault(error.schema_path[0], []).append(error)
    of_kind = [b for b in branches.values() if not any(e.validator == "type" and not e.path for e in b)]
    if of_kind:
        return min(of_kind, key=len), ""
    types: list[str] = []
    for branch in branches.values():
        value: Any = next(e.validator_value for e in branch if e.validator == "type" and not e.path)
        types.extend([value] if isinstance(value, str) else value)
    return [], messages.kinds(list(dict.fromkeys(types)))


# ---------------------------------------------------------------- the schema


def _text(schema: Mapping[str, Any]) -> str:
    """The schema as JSON text, by which its validator is kept."""
    try:
        return json.dumps(schema, allow_nan=False, default=_plain)
    except (TypeError, ValueError, RecursionError) as error:
        raise _Broken(f"it is no JSON ({error}).") from None


def _plain(value: Any) -> Any:
    if is_object(value):
        return dict(value)
    raise TypeError(f"{type(value).__name__} in a schema")


def _library() -> Any:
    """`jsonschema`, imported at first use; it has no types of its own."""
    return import_module("jsonschema")


def _unresolvable() -> type[Exception]:
    error: type[Exception] = import_module("referencing.exceptions").Unresolvable
    return error


@lru_cache(maxsize=128)
def _validator(text: str) -> Any:
    """The validator of a schema; checked once, since its check costs more than all that follow.

    Raises
    ------
    _Broken
        The schema is not one.
    """
    schema = json.loads(text)
    if not is_dict(schema):
        raise _Broken("an object is expected.")
    if "unevaluatedProperties" in text and "patternProperties" in text:
        raise _Broken("it joins unevaluatedProperties to patternProperties, which is not supported.")
    dialect = _dialect(schema)
    checker = _library().FormatChecker(())
    checker.checks("regex", raises=patterns.BrokenPattern)(_readable)
    try:
        dialect.check_schema(schema, format_checker=checker)
    except _library().SchemaError as error:
        where = "".join(f"/{part}" for part in error.path) or "the top"
        raise _Broken(f"at {where[:80]}: {error.message[:120]}") from None
    _forget_dialects(schema)
    made = _extended(dialect)(schema, registry=import_module("referencing").Registry())
    _resolve_all(made, schema)
    return made


def _readable(pattern: Any) -> bool:
    if isinstance(pattern, str):
        patterns.check(pattern)
    return True


def _dialect(schema: dict[str, Any]) -> Any:
    known: Any = _library().validators.validator_for(schema, default=_library().Draft202012Validator)
    return _library().Draft202012Validator if known is _library().Draft3Validator else known


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


def _resolve_all(validator: Any, schema: Any) -> None:
    """Raise for a reference of the top-level document that leads nowhere, before an instance happens to meet it."""
    todo = [schema]
    while todo:
        part = todo.pop()
        if is_dict(part):
            reference: Any = part.get("$ref")
            if isinstance(reference, str) and reference.startswith("#") and "$id" not in part:
                try:
                    validator._resolver.lookup(reference)
                except _unresolvable():
                    raise _Broken(f"its reference {reference[:80]} leads nowhere.") from None
            todo.extend(part.values())
        elif is_list(part):
            todo.extend(part)


# ---------------------------------------------------------------- the keywords

_Keyword = Callable[[Any, Any, Any, Any], Any]
_WORDED = {"required", "additionalProperties", "dependentRequired", "propertyNames"}
"""Keywords whose errors come with their words."""


@lru_cache(maxsize=8)
def _extended(dialect: Any) -> Any:
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
    return _library().validators.extend(dialect, keywords, type_checker=checker)


def _timed(keyword: _Keyword) -> _Keyword:
    def checked(validator: Any, value: Any, instance: Any, schema: Any) -> Any:
        if time.monotonic() > _deadline.get():
            raise _TooSlow
        try:
            yield from keyword(validator, value, instance, schema) or ()
        except _unresolvable() as error:
            reference: Any = getattr(error, "ref", "")
            raise _Broken(f"its reference {str(reference)[:80]} leads nowhere.") from None

    return checked


def _error(text: str, *path: str) -> Any:
    return _library().ValidationError(text, path=path)


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

"""`validate`: does a JSON value fit a schema, and if not, what is wrong where; and the defaults of a schema.

`jsonschema` does the walking; here its errors become one message a place. The whole has a time (`compiling.SECONDS`),
and never raises, whatever the schema. Below: `compiling`, `messages`.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator, Mapping
from typing import Any

from nbagent.schema import compiling, messages, patterns
from nbagent.schema.keywords import WORDED, Broken, TooSlow, deadline
from nbagent.schema.shapes import is_dict, is_list, is_object

_DEPTH = 60


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
    token = deadline.set(math.inf)
    try:
        wrong = _not_json(instance)
        validator = compiling.validator(compiling.text_of(schema))
        if isinstance(validator, Exception):
            raise validator
        deadline.set(time.monotonic() + compiling.SECONDS)
        return wrong or _errors(validator.iter_errors(instance))
    except Broken as error:
        return {"": f"The schema of this question is broken: {error}"}
    except patterns.BrokenPattern as error:
        return {"": f"The schema of this question is broken: a pattern in it is no regular expression ({error})."}
    except patterns.SlowPattern:
        return {"": "This could not be checked: a pattern in the schema takes too long."}
    except TooSlow:
        return {"": f"This could not be checked within {compiling.SECONDS:g} s: the schema asks for too much."}
    except RecursionError:
        return {"": "This could not be checked: the schema refers to itself without end, or is nested too deeply."}
    finally:
        deadline.reset(token)


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
    elif error.validator in WORDED:
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

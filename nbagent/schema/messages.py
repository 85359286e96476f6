"""What is wrong, in words that help a person at a form and a model at its tool call.

One short sentence a failed keyword, which says what would be right; never the value itself, which may be long or
private.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

_KINDS = {
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "nothing",
}
_FORMATS = {
    "email": "An email address, such as name@example.org.",
    "idn-email": "An email address, such as name@example.org.",
    "uri": "A full address, such as https://example.org.",
    "date": "A date, such as 2026-11-25.",
    "date-time": "A date and a time with its zone, such as 2026-11-25T14:30:00Z.",
    "time": "A time with its zone, such as 14:30:00Z.",
    "uuid": "A UUID, such as 123e4567-e89b-12d3-a456-426614174000.",
}


def message(keyword: str, value: Any, instance: Any, schema: Mapping[str, Any]) -> str:
    """The sentence for `keyword` with `value` in `schema`, which `instance` does not satisfy."""
    if keyword == "type":
        return _type(value, instance)
    if keyword in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
        return _bounds(schema)
    if keyword in ("minLength", "maxLength"):
        return _length(keyword, value, len(instance), schema)
    if keyword in ("minItems", "maxItems", "minProperties", "maxProperties"):
        return _size(keyword, value, len(instance))
    if keyword == "enum":
        return f"One of: {_listed(value)}."
    if keyword == "format":
        return _FORMATS.get(value, f"Not in the format {_cut(value)}.")
    sentences = {
        "pattern": f"Must match the pattern {_cut(value)}",
        "const": f"Must be {_cut(value)}.",
        "multipleOf": f"A multiple of {value}.",
        "uniqueItems": "The same item stands twice.",
        "contains": "The list lacks an item that it must hold.",
        "not": "This is not allowed.",
    }
    return sentences.get(keyword, f"Does not fit the schema ({keyword}).")


def kinds(types: list[str]) -> str:
    """The types in words, such as "text or nothing"."""
    return " or ".join(_KINDS.get(name, name) for name in types)


def _type(value: Any, instance: Any) -> str:
    types: list[str] = [value] if isinstance(value, str) else list(value)
    if "integer" in types and isinstance(instance, float):
        return "A whole number, written without a decimal point."
    words = kinds(types)
    return f"{words[0].upper()}{words[1:]} expected, not {_kind_of(instance)}."


def _kind_of(instance: Any) -> str:
    if instance is None:
        return _KINDS["null"]
    for types, kind in ((bool, "boolean"), (str, "string"), (int, "integer"), (float, "number"), (list, "array")):
        if isinstance(instance, types):
            return _KINDS[kind]
    return _KINDS["object"]


def _bounds(schema: Mapping[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if low is not None and low == high and above is None and below is None:
        return f"Exactly {low}."
    if low is not None and high is not None and above is None and below is None:
        return f"Between {low} and {high}."
    given = (("at least", low), ("more than", above), ("at most", high), ("less than", below))
    text = " and ".join(f"{words} {bound}" for words, bound in given if bound is not None and bound is not True)
    return f"{text[0].upper()}{text[1:]}."


def _length(keyword: str, limit: int, length: int, schema: Mapping[str, Any]) -> str:
    plural = "" if limit == 1 else "s"
    if schema.get("minLength") == schema.get("maxLength"):
        return f"Exactly {limit} character{plural}, {length} now."
    if keyword == "minLength":
        return f"At least {limit} character{plural}, {length} so far."
    return f"At most {limit} character{plural}, {length} now."


def _size(keyword: str, limit: int, size: int) -> str:
    bound = "At least" if keyword.startswith("min") else "At most"
    noun = "item" if keyword.endswith("Items") else "field"
    return f"{bound} {limit} {noun}{'' if limit == 1 else 's'}, {size} so far."


def spelled(values: Sequence[Any]) -> list[str]:
    """Values as they are read: text as it is, unless another value would look the same, and the rest as in JSON."""
    others = {_json(value) for value in values if not isinstance(value, str)}
    return [value if isinstance(value, str) and value not in others else _json(value) for value in values]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _listed(values: Any) -> str:
    shown = [_cut(text, 40) or '""' for text in spelled(list(values)[:12])]
    return ", ".join(shown) + (" …" if len(values) > 12 else "")


def _cut(value: Any, limit: int = 80) -> str:
    text = value if isinstance(value, str) else _json(value)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"

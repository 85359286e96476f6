"""Which field asks for a property: MCP's flat schema by kind, anything else as JSON.

MCP's subset is text (with formats), numbers, booleans, and choices in four spellings (``enum``, ``enum`` with
``enumNames``, ``oneOf`` of ``const`` and ``title``, and lists whose ``items`` are such). Beyond it, what common
servers send is understood: a local ``$ref``, and "or null". Sizes are capped, since the schema comes from outside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nbagent.schema.messages import spelled
from nbagent.schema.shapes import is_list, is_object
from nbagent.widgets.forms.choices import LONG, ChoiceField, ChoicesField, FilterField
from nbagent.widgets.forms.fields import (
    BooleanField,
    DateField,
    DateTimeField,
    Field,
    JSONField,
    NumberField,
    Spec,
    TextField,
)
from nbagent.widgets.forms.parts import Parts

_MOST_FIELDS = 60
_MOST_CHOICES = 500


def fields(schema: Mapping[str, Any], parts: Parts) -> list[Field]:
    """The fields of a form for `schema`, required ones first; one JSON field named "" for what is no flat object."""
    properties: Any = schema.get("properties")
    if not is_object(properties) or len(properties) > _MOST_FIELDS:
        bare = schema.get("type") == "object" and not (
            set(schema) - {"type", "properties", "title", "description", "$schema"}
        )
        whole = Spec("", {"title": "Answer", **schema}, required=True, whole=True)
        return [] if bare else [JSONField(whole, parts)]
    required: Any = schema.get("required")
    names: set[Any] = {name for name in required if isinstance(name, str)} if is_list(required) else set()
    first = sorted(properties, key=lambda name: name not in names)
    return [field_for(name, _followed(properties[name], schema), name in names, parts) for name in first]


def field_for(name: str, schema: Any, required: bool, parts: Parts) -> Field:
    """The field that suits the property best."""
    if not is_object(schema):
        return JSONField(Spec(name, {}, required), parts)
    schema, nullable = _without_null(schema)
    spec = Spec(name, schema, required, nullable)
    choices = _choices(schema)
    if choices is not None:
        return (FilterField if len(choices[0]) > LONG else ChoiceField)(spec, parts, *choices)
    kind = schema.get("type")
    if kind == "string":
        return _TEXTS.get(str(schema.get("format")), TextField)(spec, parts)
    if kind in ("number", "integer"):
        return NumberField(spec, parts)
    if kind == "boolean" and not nullable:
        return BooleanField(spec, parts)
    items: Any = schema.get("items")
    several = _choices(items) if kind == "array" and is_object(items) else None
    return ChoicesField(spec, parts, *several) if several is not None else JSONField(spec, parts)


_TEXTS: dict[str, type[Field]] = {"date": DateField, "date-time": DateTimeField}


def _choices(schema: Mapping[str, Any]) -> tuple[Sequence[Any], Sequence[str]] | None:
    """Values and their titles, in any of the spellings, or None."""
    if schema.get("type") in ("array", "object"):
        return None
    listed: Any = schema.get("oneOf") or schema.get("anyOf")
    if is_list(listed) and all(is_object(one) and "const" in one for one in listed):
        texts = spelled([one["const"] for one in listed])
        titles = [str(one.get("title", text)) for one, text in zip(listed, texts, strict=True)]
        return _capped([one["const"] for one in listed], titles)
    if "const" in schema and "enum" not in schema:
        return _capped([schema["const"]], spelled([schema["const"]]))
    values: Any = schema.get("enum")
    if not is_list(values):
        return None
    names: Any = schema.get("enumNames")
    named = is_list(names) and len(names) == len(values)
    return _capped(values, [str(name) for name in names] if named else spelled(values))


def _capped(values: list[Any], titles: list[str]) -> tuple[Sequence[Any], Sequence[str]] | None:
    scalar = all(value is None or isinstance(value, str | int | float) for value in values)
    return (values, titles) if scalar and 0 < len(values) <= _MOST_CHOICES else None


def _without_null(schema: Mapping[str, Any]) -> tuple[Mapping[str, Any], bool]:
    """The schema of what is not null, and whether null is allowed beside it."""
    kinds: Any = schema.get("type")
    if is_list(kinds) and len(kinds) == 2 and "null" in kinds:
        return {**schema, "type": next((kind for kind in kinds if kind != "null"), "null")}, True
    listed: Any = schema.get("anyOf")
    if is_list(listed) and all(is_object(one) for one in listed):
        others = [one for one in listed if one.get("type") != "null"]
        if len(others) == 1 and len(listed) == 2:
            around = {key: value for key, value in schema.items() if key != "anyOf"}
            return {**others[0], **around}, True
    return schema, False


def _followed(part: Any, root: Mapping[str, Any]) -> Any:
    """`part` with a local reference replaced by what it names, also inside "or null" and as a list's items."""
    for _ in range(8):
        if not is_object(part):
            return part
        reference: Any = part.get("$ref")
        if not isinstance(reference, str) or not reference.startswith("#/"):
            break
        target: Any = root
        for step in reference[2:].split("/"):
            target = target.get(step.replace("~1", "/").replace("~0", "~")) if is_object(target) else None
        if not is_object(target):
            return part
        part = {**target, **{key: value for key, value in part.items() if key != "$ref"}}
    listed: Any = part.get("anyOf")
    if is_list(listed) and len(listed) == 2 and any(is_object(one) and "$ref" in one for one in listed):
        part = {**part, "anyOf": [_followed(one, root) for one in listed]}
    items: Any = part.get("items")
    if is_object(items) and "$ref" in items:
        part = {**part, "items": _followed(items, root)}
    return part

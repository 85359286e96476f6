"""Whatever MCP's schema allows can be entered into a form and comes back equal; whatever it forbids stays in the form.

Schemas and instances are made up, and entered by what a front end would send. Judges of what is forbidden are the
check that every answer passes in the end (`nbagent.runtime.answers.checked`) and, without what nbagent adds to it,
`jsonschema`.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from nbagent.errors import InvalidAnswer
from nbagent.events import ElicitationRequest
from nbagent.runtime.answers import checked
from nbagent.schema import secret_field, validate
from nbagent.widgets.forms import ElicitationForm
from nbagent.widgets.forms.fields import Field

Wire = dict[str, Any]
Kind = tuple[dict[str, Any], Any, Wire]
"""A property's schema, a value of it, and the state in which a front end sends that value."""

thorough = settings(
    max_examples=500,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
words = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=12)
finite = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def texts(draw: st.DrawFn) -> Kind:
    value = draw(words)
    schema: dict[str, Any] = {"type": "string"}
    if draw(st.booleans()):
        schema |= {"minLength": draw(st.integers(0, len(value))), "maxLength": draw(st.integers(len(value), 300))}
    return schema, value, {"value": value}


@st.composite
def formatted(draw: st.DrawFn) -> Kind:
    name = draw(st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True))
    form, value = draw(
        st.sampled_from(
            [("email", f"{name}@example.org"), ("uri", f"https://example.org/{name}?q=1"), (None, f"id-{name}")]
        )
    )
    schema = {"type": "string", "format": form} if form else {"type": "string", "pattern": "^id-[a-z0-9]+$"}
    return schema, value, {"value": value}


@st.composite
def days(draw: st.DrawFn) -> Kind:
    day = draw(st.dates())
    wire = {"year": day.year, "month": day.month - 1, "date": day.day}
    return {"type": "string", "format": "date"}, day.isoformat(), {"value": wire}


@st.composite
def moments(draw: st.DrawFn) -> Kind:
    time = draw(st.datetimes(datetime.datetime(1900, 1, 1), datetime.datetime(2900, 1, 1)))
    time = time.replace(microsecond=0)
    wire = {"year": time.year, "month": time.month - 1, "date": time.day, "hours": time.hour, "minutes": time.minute}
    wire |= {"seconds": time.second, "milliseconds": 0}
    return {"type": "string", "format": "date-time"}, f"{time.isoformat()}Z", {"value": wire}


@st.composite
def numbers(draw: st.DrawFn) -> Kind:
    whole = draw(st.booleans())
    value: Any = draw(st.integers() if whole else finite | st.integers())
    schema: dict[str, Any] = {"type": "integer" if whole else "number"}
    below, above = draw(st.tuples(*[st.integers() if whole else finite] * 2))
    if draw(st.booleans()):
        schema["minimum"] = min(value, below)
    elif below < value:
        schema["exclusiveMinimum"] = below
    if draw(st.booleans()):
        schema["maximum"] = max(value, above)
    elif above > value:
        schema["exclusiveMaximum"] = above
    if isinstance(value, int) and value and draw(st.booleans()):
        schema["multipleOf"] = draw(st.sampled_from([1, abs(value)]))
    return schema, value, {"value": repr(value)}


booleans = st.booleans().map(lambda value: ({"type": "boolean"}, value, {"value": value}))
listed = st.lists(words, min_size=1, max_size=6, unique=True)


def spelled(values: list[str], how: str) -> dict[str, Any]:
    """A list of choices in one of MCP's spellings."""
    titled = [{"const": value, "title": value.upper()} for value in values]
    return {
        "enum": {"type": "string", "enum": values},
        "names": {"type": "string", "enum": values, "enumNames": [value.upper() for value in values]},
        "oneOf": {"type": "string", "oneOf": titled},
        "anyOf": {"anyOf": titled},
    }[how]


@st.composite
def choices(draw: st.DrawFn) -> Kind:
    values = draw(listed)
    schema = spelled(values, draw(st.sampled_from(["enum", "names", "oneOf"])))
    value = draw(st.sampled_from(values))
    return schema, value, {"index": ("place", value)}


@st.composite
def several(draw: st.DrawFn) -> Kind:
    values = draw(listed)
    chosen = draw(st.lists(st.sampled_from(values), min_size=1, unique=True))
    schema: dict[str, Any] = {"type": "array", "items": spelled(values, draw(st.sampled_from(["enum", "anyOf"])))}
    if draw(st.booleans()):
        schema |= {"minItems": draw(st.integers(0, len(chosen))), "maxItems": draw(st.integers(len(chosen), 9))}
    if draw(st.booleans()):
        schema["uniqueItems"] = True
    return schema, chosen, {"index": [values.index(one) for one in chosen]}


@st.composite
def long_choices(draw: st.DrawFn) -> Kind:
    values = [f"{word} {number}" for word in draw(st.lists(words, min_size=1, max_size=2)) for number in range(20)]
    values = list(dict.fromkeys(values))
    value = draw(st.sampled_from(values))
    return spelled(values, draw(st.sampled_from(["enum", "names", "oneOf"]))), value, {"filter": value}


@st.composite
def scalars(draw: st.DrawFn) -> Kind:
    values = draw(st.permutations([True, 1.5, "1", 7, "", None]))
    value = draw(st.sampled_from(values))
    return {"enum": list(values)}, value, {"index": ("place", value)}


@st.composite
def nested(draw: st.DrawFn) -> Kind:
    inner = draw(st.dictionaries(words, st.integers() | words | st.lists(st.booleans(), max_size=3), max_size=3))
    schema: dict[str, Any] = {"type": "object", "required": list(inner), "maxProperties": len(inner)}
    return schema, inner, {"value": json.dumps(inner)}


kinds: st.SearchStrategy[Kind] = st.one_of(
    texts(),
    formatted(),
    days(),
    moments(),
    numbers(),
    booleans,
    choices(),
    long_choices(),
    several(),
    scalars(),
    nested(),
)
names = st.from_regex(r"[a-z]{1,6}", fullmatch=True) | words
"""Of properties: plain ones, and any text at all."""


@st.composite
def dressed(draw: st.DrawFn, schema: dict[str, Any]) -> dict[str, Any]:
    """The property's schema with a title and a description, or without."""
    about = draw(st.fixed_dictionaries({}, optional={"title": words, "description": words}))
    return schema | about


@st.composite
def questions(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any], dict[str, Wire]]:
    """A schema, an instance of it, and the wire state of each property that is in the instance."""
    chosen = draw(st.lists(names, max_size=4, unique=True))
    properties: dict[str, Any] = {}
    instance: dict[str, Any] = {}
    wires: dict[str, Wire] = {}
    required: list[str] = []
    for name in chosen:
        schema, value, wire = draw(kinds)
        fate = draw(st.sampled_from(["entered", "default", "left out", "required"]))
        properties[name] = draw(dressed(schema)) | ({"default": value} if fate == "default" else {})
        if fate == "left out":
            continue
        instance[name] = value
        if fate == "required":
            required.append(name)
        if fate != "default":
            wires[name] = wire
    return {"type": "object", "properties": properties, "required": required}, instance, wires


def enter(field: Field, wire: Wire) -> None:
    """What the front end sends, as its widget takes it."""
    match wire:
        case {"index": ("place", value)}:
            schema = field.spec.schema
            values = schema.get("enum") or [one["const"] for one in schema["oneOf"]]
            blank = len(field.input.options) - len(values)
            place = next(at for at, one in enumerate(values) if one == value and type(one) is type(value))
            field.input.set_state({"index": place + blank})
        case {"filter": value}:
            schema = field.spec.schema
            values = schema.get("enum") or [one["const"] for one in schema["oneOf"]]
            field.input.set_state({"value": field.input.options[values.index(value) + 1]})
        case {"value": False} if field.raw is False:  # ticked and unticked: what was never touched is left out
            field.input.set_state({"value": True})
            field.input.set_state({"value": False})
        case _:
            field.input.set_state(wire)


def filled(schema: dict[str, Any], wires: dict[str, Wire], then: Callable[[ElicitationForm, list[Any]], None]) -> None:
    """Make the form, enter the wire states, and look at it; it is disposed of afterwards."""
    sent: list[Any] = []
    form = ElicitationForm(request(schema), lambda *answer: sent.append(answer))
    try:
        for field in form.fields:
            if field.spec.name in wires:
                enter(field, wires[field.spec.name])
        then(form, sent)
    finally:
        form.dispose()


def request(schema: dict[str, Any]) -> ElicitationRequest:
    """The question of that schema."""
    return ElicitationRequest(
        session_id="s", agent_name="a", stream_id="x", seq=1, timestamp=0.0, id="q", message="?", schema=schema
    )


@pytest.mark.slow
@thorough
@given(questions())
def test_a_valid_instance_can_be_entered_and_comes_back_equal(question: Any) -> None:
    schema, instance, wires = question
    assume(secret_field(schema) is None)
    assert validate(instance, schema) == {}

    def look(form: ElicitationForm, sent: list[Any]) -> None:
        assert not form.submit.disabled, [field.error for field in form.fields]
        form.submit.click()
        ((action, content),) = sent
        assert (action, content) == ("accept", instance)
        assert {name: type(value) for name, value in content.items()} == {n: type(v) for n, v in instance.items()}

    filled(schema, wires, look)


@st.composite
def wrong(draw: st.DrawFn) -> Kind:
    """A property's schema, a value that it forbids, and the wire state that says so."""
    number = draw(st.integers(-1000, 1000))
    text = draw(st.text("abc", min_size=1, max_size=8))
    cases: list[Kind] = [
        ({"type": "string", "minLength": len(text) + 1}, text, {"value": text}),
        ({"type": "string", "maxLength": len(text) - 1}, text, {"value": text}),
        ({"type": "string", "pattern": "^[0-9]+$"}, text, {"value": text}),
        ({"type": "string", "format": "email"}, f"{text}@", {"value": f"{text}@"}),
        ({"type": "string", "format": "uri"}, f"{text}.org", {"value": f"{text}.org"}),
        ({"type": "integer", "minimum": number + 1}, number, {"value": str(number)}),
        ({"type": "number", "maximum": number - 0.5}, number, {"value": str(number)}),
        ({"type": "integer"}, number + 0.5, {"value": str(number + 0.5)}),
        ({"type": "number"}, text, {"value": text}),
        ({"type": "array", "items": {"enum": ["a", "b", "c"]}, "maxItems": 1}, ["a", "c"], {"index": [0, 2]}),
        ({"type": "array", "items": {"enum": ["a", "b", "c"]}, "minItems": 2}, ["b"], {"index": [1]}),
    ]
    return draw(st.sampled_from(cases))


@st.composite
def entries(draw: st.DrawFn) -> Kind:
    """A property's schema, a value that it may or may not allow, and the wire state of it."""
    size, text, number = (
        draw(st.integers(0, 6)),
        draw(st.text("ab1é@.", min_size=1, max_size=8)),
        draw(st.integers(-9, 9)),
    )
    picked = sorted(draw(st.sets(st.integers(0, 3), min_size=1)))
    inner = draw(st.dictionaries(st.sampled_from("ab"), st.integers(0, 3) | st.text("x", max_size=2)))
    low = draw(st.integers(-9, 9))
    array = {"type": "array", "items": {"type": "string", "enum": list("pqrs")}}
    shape = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}, "required": ["a"]}
    cases: list[Kind] = [
        ({"type": "string", "minLength": size}, text, {"value": text}),
        ({"type": "string", "maxLength": size}, text, {"value": text}),
        (
            {"type": "string", "pattern": draw(st.sampled_from(["^[ab]+$", "1", "^.{2,4}$", "é|@"]))},
            text,
            {"value": text},
        ),
        ({"type": "string", "format": draw(st.sampled_from(["email", "uri"]))}, text, {"value": text}),
        ({"type": "integer", "minimum": low, "maximum": low + size}, number, {"value": str(number)}),
        ({"type": "number", "exclusiveMinimum": low, "multipleOf": 2}, number, {"value": str(number)}),
        ({"type": "integer"}, number / 2, {"value": repr(number / 2)}),
        ({**array, "minItems": size % 4, "maxItems": 3}, ["pqrs"[at] for at in picked], {"index": picked}),
        (shape, inner, {"value": json.dumps(inner)}),
    ]
    return draw(st.sampled_from(cases))


@pytest.mark.slow
@thorough
@given(questions(), st.lists(entries(), min_size=1, max_size=2), st.booleans())
def test_the_form_the_final_check_and_jsonschema_refuse_alike(question: Any, entered: list[Kind], short: bool) -> None:
    schema, instance, wires = question
    schema, instance, wires = {**schema, "properties": dict(schema["properties"])}, dict(instance), dict(wires)
    for number, (part, value, wire) in enumerate(entered):
        name = f"Entered {number}"
        schema["properties"][name], instance[name], wires[name] = part, value, wire
    if short:  # what is required is not there
        schema["properties"]["Left out"] = {"type": "string"}
        schema["required"] = [*schema["required"], "Left out"]
    assume(secret_field(schema) is None)
    try:
        checked(request(schema), "accept", instance, fill=False)
        refused = False
    except InvalidAnswer:
        refused = True
    assert refused or Draft202012Validator(schema).is_valid(instance)

    def look(form: ElicitationForm, sent: list[Any]) -> None:
        assert form.submit.disabled is refused
        form.submit.click()
        assert sent == ([] if refused else [("accept", instance)])

    filled(schema, wires, look)


@settings(thorough, max_examples=100)
@given(questions(), wrong())
def test_what_the_schema_forbids_the_form_refuses_at_the_field(question: Any, forbidden: Kind) -> None:
    schema, instance, wires = question
    part, value, wire = forbidden
    schema = schema | {"properties": {**schema["properties"], "Wrong": part}}
    assume(secret_field(schema) is None)
    assert set(validate({**instance, "Wrong": value}, schema)) == {"Wrong"}

    def look(form: ElicitationForm, sent: list[Any]) -> None:
        form.submit.click()
        assert form.submit.disabled and sent == []
        assert [field.spec.name for field in form.fields if field.error] == ["Wrong"]

    filled(schema, wires | {"Wrong": wire}, look)


@settings(thorough, max_examples=60)
@given(questions())
def test_what_is_required_and_left_empty_is_refused(question: Any) -> None:
    schema, _, wires = question
    # a list may be empty and a box unticked: these hold a value without being touched
    empty = [n for n in schema["required"] if schema["properties"][n].get("type") not in ("array", "boolean")]
    assume(empty and secret_field(schema) is None)

    def look(form: ElicitationForm, sent: list[Any]) -> None:
        form.submit.click()
        assert sent == [] and form.submit.disabled

    filled(schema, {name: wire for name, wire in wires.items() if name != empty[0]}, look)

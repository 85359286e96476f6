"""Whatever MCP's schema allows can be entered into a form and comes back equal; whatever it forbids stays in the form.

Schemas and instances are made up, and entered by what a front end would send.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nbagent.events import ElicitationRequest
from nbagent.schema import secret_field, validate
from nbagent.widgets.forms import ElicitationForm
from nbagent.widgets.forms.fields import Field

Wire = dict[str, Any]
Kind = tuple[dict[str, Any], Any, Wire]
"""A property's schema, a value of it, and the state in which a front end sends that value."""

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
    if draw(st.booleans()):
        schema["minimum"] = min(value, draw(st.integers() if whole else finite))
    if draw(st.booleans()):
        schema["maximum"] = max(value, draw(st.integers() if whole else finite))
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
    return schema, chosen, {"index": [values.index(one) for one in chosen]}


kinds: st.SearchStrategy[Kind] = st.one_of(
    texts(), formatted(), days(), moments(), numbers(), booleans, choices(), several()
)


@st.composite
def questions(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any], dict[str, Wire]]:
    """A schema, an instance of it, and the wire state of each property that is in the instance."""
    names = draw(st.lists(st.from_regex(r"[a-z]{1,6}", fullmatch=True), max_size=5, unique=True))
    properties: dict[str, Any] = {}
    instance: dict[str, Any] = {}
    wires: dict[str, Wire] = {}
    required: list[str] = []
    for name in names:
        schema, value, wire = draw(kinds)
        fate = draw(st.sampled_from(["entered", "default", "left out", "required"]))
        properties[name] = schema | ({"default": value} if fate == "default" else {})
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
            field.input.set_state({"index": values.index(value) + blank})
        case {"value": False} if field.raw is False:  # ticked and unticked: what was never touched is left out
            field.input.set_state({"value": True})
            field.input.set_state({"value": False})
        case _:
            field.input.set_state(wire)


def filled(schema: dict[str, Any], wires: dict[str, Wire], then: Callable[[ElicitationForm, list[Any]], None]) -> None:
    """Make the form, enter the wire states, and look at it; it is disposed of afterwards."""
    sent: list[Any] = []
    asked = ElicitationRequest(
        session_id="s", agent_name="a", stream_id="x", seq=1, timestamp=0.0, id="q", message="?", schema=schema
    )
    form = ElicitationForm(asked, lambda *answer: sent.append(answer))
    try:
        for field in form.fields:
            if field.spec.name in wires:
                enter(field, wires[field.spec.name])
        then(form, sent)
    finally:
        form.dispose()


@settings(max_examples=200, deadline=None)
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


@settings(max_examples=100, deadline=None)
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


@settings(max_examples=60, deadline=None)
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

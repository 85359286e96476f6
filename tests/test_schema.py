"""`nbagent.schema`: what fits, what is said where it does not, and that nothing from outside hangs or raises."""

from __future__ import annotations

import math
import time
from typing import Any

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbagent.schema import secret_field, validate, with_defaults
from nbagent.schema.patterns import search

PERSON: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 3, "maxLength": 6},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
        "mail": {"type": "string", "format": "email"},
        "pets": {"type": "array", "items": {"type": "string", "enum": ["cat", "dog"]}, "minItems": 1, "maxItems": 2},
    },
    "required": ["name"],
}


def one(value: Any, schema: dict[str, Any]) -> str:
    """What is said of `value` as a field x of an object."""
    return validate({"x": value}, {"type": "object", "properties": {"x": schema}}).get("x", "")


def test_a_valid_instance_has_no_errors() -> None:
    assert validate({"name": "Ada", "age": 36, "mail": "ada@example.org", "pets": ["cat"]}, PERSON) == {}


@pytest.mark.parametrize(
    ("instance", "errors"),
    [
        ({}, {"name": "Required."}),
        ({"name": "Al"}, {"name": "At least 3 characters, 2 so far."}),
        ({"name": "Adalbert"}, {"name": "At most 6 characters, 8 now."}),
        ({"name": "Ada", "age": 130}, {"age": "Between 0 and 120."}),
        ({"name": "Ada", "age": "36"}, {"age": "A whole number expected, not text."}),
        ({"name": "Ada", "mail": "ada@"}, {"mail": "An email address, such as name@example.org."}),
        ({"name": "Ada", "pets": []}, {"pets": "At least 1 item, 0 so far."}),
        ({"name": "Ada", "pets": ["cat", "cow"]}, {"pets[1]": "One of: cat, dog."}),
        ({"age": -1}, {"name": "Required.", "age": "Between 0 and 120."}),
        ([], {"": "An object expected, not a list."}),
    ],
)
def test_each_error_stands_at_its_field_in_words_for_a_person(instance: Any, errors: dict[str, str]) -> None:
    assert validate(instance, PERSON) == errors


def test_nested_errors_name_their_path() -> None:
    item = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    schema = {"properties": {"items": {"type": "array", "items": item}}}
    assert validate({"items": [{"name": "a"}, {}, {"name": 1}]}, schema) == {
        "items[1].name": "Required.",
        "items[2].name": "Text expected, not a whole number.",
    }


@pytest.mark.parametrize("value", [3.0, 1e3, True, "3", None])
def test_only_a_whole_number_is_an_integer(value: Any) -> None:
    assert one(value, {"type": "integer"})
    assert not one(3, {"type": "integer"})


def test_true_is_no_number() -> None:
    assert one(True, {"type": "number"}) == "A number expected, not true or false."
    assert not one(3, {"type": "number"}) and not one(3.5, {"type": "number"})


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("schema", [{"type": "number"}, {}, {"type": ["string", "number"]}])
def test_nan_and_infinity_are_refused_whatever_the_schema(value: float, schema: dict[str, Any]) -> None:
    assert one(value, schema) == "A finite number expected."
    assert validate({"a": [{"b": value}]}, {}) == {"a[0].b": "A finite number expected."}


@pytest.mark.parametrize("value", [object(), {1: 2}, {"a": {2, 3}}, b"x"])
def test_what_is_not_json_is_an_error(value: Any) -> None:
    assert validate(value, {})


def test_an_instance_that_contains_itself_is_an_error() -> None:
    value: list[Any] = []
    value.append(value)
    assert list(validate(value, {}).values()) == ["Nested too deeply."]


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        (
            "email",
            ["a@b.org", "first.last+tag@sub.example.org"],
            ["a", "a@", "@b.org", "a b@c.org", "a@b.org\n", "a@@b.org"],
        ),
        ("uri", ["https://example.org/a?b#c", "urn:isbn:1"], ["example.org", "http://a b", "http://a\n", "", "//x"]),
        ("date", ["2026-02-28"], ["2026-02-30", "26-02-28", "20260228", "2026-02-28\n", "٢٠٢٦-02-28"]),
        (
            "date-time",
            ["2026-11-25T14:30:00Z", "2026-11-25T14:30:00.5+01:00", "2026-11-25t14:30:00z"],
            [
                "2026-11-25T14:30:00",
                "2026-11-25",
                "2026-02-30T14:30:00Z",
                "2026-11-25T25:00:00Z",
                "2026-11-25T14:30:00Z\n",
            ],
        ),
        ("time", ["14:30:00Z"], ["14:30:00", "25:00:00Z"]),
        ("uuid", ["123e4567-e89b-12d3-a456-426614174000"], ["123e4567"]),
    ],
)
def test_formats_are_really_checked(name: str, good: list[str], bad: list[str]) -> None:
    schema = {"type": "string", "format": name}
    assert [value for value in good if one(value, schema)] == []
    assert [value for value in bad if not one(value, schema)] == []


def test_an_unknown_format_is_an_annotation() -> None:
    assert not one("x", {"type": "string", "format": "colour"})


def test_multiples_are_exact() -> None:
    assert not one(0.3, {"multipleOf": 0.1})
    assert one(0.35, {"multipleOf": 0.1}) == "A multiple of 0.1."
    assert not one(1e308, {"multipleOf": 0.5})


def test_choices_are_named() -> None:
    titled = {"oneOf": [{"const": "a", "title": "A"}, {"const": "b", "title": "B"}]}
    assert one("c", titled) == "One of: a, b."
    assert not one("b", titled)


def test_an_alternative_tells_of_its_closest_branch() -> None:
    schema = {"anyOf": [{"type": "object", "required": ["id"]}, {"type": "null"}]}
    assert one(3, schema) == "An object or nothing expected."
    assert validate({"x": {}}, {"properties": {"x": schema}}) == {"x.id": "Required."}


def test_unknown_fields_are_named() -> None:
    assert validate({"a": 1, "b": 2}, {"properties": {"a": {}}, "additionalProperties": False}) == {
        "b": "There is no such field."
    }


# ---------------------------------------------------------------- hostile schemas


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "strin"},
        {"properties": []},
        {"properties": {"x": {"pattern": "["}}},
        {"properties": {"x": {"minLength": "3"}}},
        {"$ref": "#/$defs/none"},
        {"$ref": "https://example.org/schema.json"},
        {"properties": {"x": {"$ref": "file:///etc/passwd"}}},
        {"const": math.nan},
        {"default": object()},
        [],
    ],
)
def test_a_broken_schema_is_one_clear_error(schema: Any) -> None:
    errors = validate({"x": "text"}, schema)
    assert list(errors) == [""] and errors[""].startswith("The schema of this question is broken")


def test_a_schema_is_never_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    import urllib.request

    asked: list[Any] = []
    monkeypatch.setattr(urllib.request, "urlopen", lambda *args, **kwargs: asked.append(args))  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    assert validate({}, {"$ref": "http://127.0.0.1:9/schema.json"})
    assert asked == []


def doubling(depth: int) -> dict[str, Any]:
    """A few lines that ask for 2**depth checks."""
    parts: dict[str, Any] = {f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(depth)}
    return {"$ref": "#/$defs/a0", "$defs": {**parts, f"a{depth}": {"type": "string"}}}


@pytest.mark.parametrize(
    ("instance", "schema"),
    [
        ("a" * 40 + "!", {"pattern": "^(a+)+$"}),
        ("a" * 60 + "!", {"pattern": "^(a|aa)+$"}),
        ("a" * 5000, {"pattern": "(((a{999}){999}){999}){999}"}),
        ("a" * 20000, {"pattern": "a*a*a*a*a*b"}),
        ({"a" * 40 + "!": 1}, {"patternProperties": {"^(a+)+$": {}}}),
        ({"a" * 40 + "!": 1}, {"patternProperties": {"^(a+)+$": {}}, "additionalProperties": False}),
        ({"a" * 40 + "!": 1}, {"patternProperties": {"^(a+)+$": {}}, "unevaluatedProperties": False}),
        (1, doubling(40)),
        ({}, {"$ref": "#"}),
        (["a" * 40 + "!"], {"items": {"$schema": "http://json-schema.org/draft-07/schema#", "pattern": "^(c|a+)+$"}}),
        ({}, {"properties": {str(n): {"pattern": f"^(a+)+{n}$"} for n in range(1000)}}),
        ({}, {"description": "x" * 300_000}),
    ],
)
def test_a_hostile_schema_neither_hangs_nor_raises(instance: Any, schema: dict[str, Any]) -> None:
    began = time.monotonic()
    assert validate(instance, schema)
    assert time.monotonic() - began < 4


def test_a_pattern_that_was_too_slow_leaves_no_process() -> None:
    before = psutil.Process().children(recursive=True)
    assert validate("c" * 40 + "!", {"pattern": "^(c+)+$"})
    assert psutil.Process().children(recursive=True) == before


def test_what_only_ecmascript_can_read_is_left_to_the_asker() -> None:
    assert search(r"^\p{Lu}", "é")


@pytest.mark.parametrize("pattern", ["(a", "(?i)(a", "(a)+(", "a{2,1}", "(?<=a+)(b)+"])
def test_a_pattern_that_is_none_is_said_to_be_broken(pattern: str) -> None:
    assert "broken" in validate({}, {"properties": {"x": {"pattern": pattern}}})[""]


@pytest.mark.timed
def test_a_pattern_that_was_too_slow_is_not_tried_again() -> None:
    schema = {"pattern": "^(b+)+$"}
    first = validate("b" * 40 + "!", schema)
    began = time.monotonic()
    assert validate("b" * 41 + "!", schema) == first
    assert time.monotonic() - began < 0.5


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        ("b", "abc", "xyz"),
        ("^[a-z]{2,4}$", "abc", "abc\n"),
        (r"^\d+(-\d+)*$", "1-22-3", "1-"),
        ("^(?!foo)", "bar", "foo"),
        (r"^(?<y>[0-9]{4})$", "2026", "26"),
        (r"(a)\1", "aa", "ab"),
        ("a|b", "b", "c"),
        (r"[$]", "$", "x"),
    ],
)
def test_patterns_are_searched_in_ecmascripts_way(pattern: str, good: str, bad: str) -> None:
    assert search(pattern, good) and not search(pattern, bad)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=12,
)
keywords = st.sampled_from(
    [
        "type",
        "properties",
        "items",
        "enum",
        "oneOf",
        "minimum",
        "required",
        "$ref",
        "format",
        "additionalProperties",
        "not",
    ]
)


@settings(max_examples=150)
@given(json_values, st.dictionaries(keywords, json_values | st.just({"type": "string"}), max_size=4))
def test_validate_answers_whatever_it_is_given(instance: Any, schema: dict[str, Any]) -> None:
    assert all(isinstance(text, str) and text for text in validate(instance, schema).values())


# ---------------------------------------------------------------- defaults and secrets


def test_defaults_fill_what_is_missing_and_are_not_shared() -> None:
    schema: dict[str, Any] = {
        "properties": {
            "a": {"default": 1},
            "tags": {"default": ["x"]},
            "deep": {"properties": {"b": {"default": 2}}},
            "bare": {},
        }
    }
    filled = with_defaults({"deep": {}, "a": 0}, schema)
    assert filled == {"deep": {"b": 2}, "a": 0, "tags": ["x"]}
    filled["tags"].append("y")
    assert schema["properties"]["tags"]["default"] == ["x"]
    assert with_defaults(None, None) == {}


def asks(name: str, **field: Any) -> bool:
    return (
        secret_field({"type": "object", "properties": {"a": {"type": "string"}, name: field or {"type": "string"}}})
        == name
    )


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "user_password",
        "Confirm password",
        "apiKey",
        "api_key",
        "API key",
        "openaiAPIKey",
        "githubToken",
        "token",
        "access_token",
        "client_secret",
        "pin",
        "PIN",
        "card_pin",
        "Password (8 or more)",
        "GitHub token for deploys",
        "otp",
        "passphrase",
        "private_key",
        "Kennwort",
        "cvv",
        "cardNumber",
        "password2",
    ],
)
def test_a_field_that_asks_for_a_secret_is_found(name: str) -> None:
    assert asks(name)
    assert asks("x", type="string", title=name)


@pytest.mark.parametrize(
    "name",
    [
        "author",
        "tokens_used",
        "token_count",
        "max_token",
        "next_page_token",
        "opinion",
        "spinner",
        "pinned",
        "secretary",
        "password_policy",
        "keyword",
        "authentication_method",
        "key",
        "tokenizer",
        "shipping",
        "passenger",
        "card_holder",
        "Number of tokens",
        "passport",
        "bypass",
        "iban",
    ],
)
def test_a_field_that_only_sounds_like_a_secret_is_not(name: str) -> None:
    assert not asks(name)


def test_the_kind_of_a_field_decides_too() -> None:
    assert asks("x", type="string", format="password")
    assert asks("pin", type="integer")
    assert not asks("token", type="integer")
    assert not asks("reset_password", type="boolean")
    assert not asks("secret", type="string", enum=["yes", "no"])
    assert not asks("note", type="string", description="Please give us no password or pin")
    assert secret_field({"properties": {"login": {"properties": {"password": {"type": "string"}}}}}) == "login.password"
    assert secret_field(None) is None


@pytest.mark.parametrize("name", ["pass\u200bword", "\uff50assword", "pass\xadword"])
def test_a_secret_is_one_in_disguise_too(name: str) -> None:
    assert secret_field({"properties": {name: {"type": "string"}}}) == name
    assert secret_field({"properties": {"x": {"type": "string", "writeOnly": True}}}) == "x"
    assert secret_field({"if": {}, "then": {"properties": {"pwd": {"type": "string"}}}}) == "pwd"

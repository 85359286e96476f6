"""Expansion of variables in prompts: known names alone, everything else untouched."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbagent.errors import UsageError
from nbagent.notebook.prompt import expand


class Broken:
    @property
    def value(self) -> str:
        raise RuntimeError("no value today")


NAMES = {"name": "Ada", "n": 3, "box": SimpleNamespace(size=7, lid=SimpleNamespace(colour="red")), "broken": Broken()}


def test_known_names_and_their_attributes_are_replaced() -> None:
    assert expand("{name} has {n}: {box.size}, {box.lid.colour}\n{name}", NAMES).text == "Ada has 3: 7, red\nAda"


@pytest.mark.parametrize(
    "text",
    [
        "$5 and $name and ${n}1"[:13],
        "{1,2}",
        '{"a": 1}',
        "{unknown}",
        "{name!r}",
        "{n:03d}",
        "{ name }",
        "{{name}}",
        "{}",
        "{name",
        "name}",
        "{box.missing}",
        "{name.}",
        "{n+1}",
        "{len}",
    ],
)
def test_everything_else_stays(text: str) -> None:
    assert expand(text, NAMES).text == text


def test_a_property_that_raises_is_one_clear_line() -> None:
    with pytest.raises(UsageError, match=r"\{broken.value\} in the prompt could not be read: RuntimeError: no value"):
        expand("{broken.value}", NAMES)


def test_a_value_is_not_expanded_again() -> None:
    assert expand("{a}", {"a": "{b}", "b": "no"}).text == "{b}"


@given(st.text())
def test_without_names_nothing_changes(text: str) -> None:
    assert expand(text, {}).text == text

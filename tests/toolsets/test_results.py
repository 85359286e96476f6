"""What a function returned, as the model reads it and the card shows it."""

from __future__ import annotations

import base64
import datetime
import enum
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from nbagent.ports import ToolResult
from nbagent.toolsets.results import to_result
from tests.toolsets.asking import Card, make_context

PNG = b"\x89PNG\r\n\x1a\n rest"


@dataclass
class Point:
    x: int


class Model(BaseModel):
    n: int


class Colour(enum.Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is", "as it is"),
        (None, "done"),
        (3, "3"),
        (True, "true"),
        ({"ä": [1, None]}, '{"ä":[1,null]}'),
        ({1}, "[1]"),
        (Point(1), '{"x":1}'),
        (Model(n=2), '{"n":2}'),
        ([Point(1), Colour.RED], '[{"x":1},"red"]'),
        (datetime.date(2026, 7, 28), '"2026-07-28"'),
        (Path("a/b"), "a/b"),
        (b"bytes of text", "bytes of text"),
        (b"\xff\x00", "[application/octet-stream, 2 bytes]"),
        ({"odd": types.SimpleNamespace(a=1)}, '{"odd":"namespace(a=1)"}'),
    ],
)
def test_a_value_becomes_text(value: object, text: str) -> None:
    assert to_result(value, make_context()) == ToolResult(text)


@pytest.mark.parametrize("value", [PNG, (PNG, "image/png")])
def test_the_bytes_of_an_image_become_an_image_block(value: object) -> None:
    block = {"type": "image", "data": base64.b64encode(PNG).decode(), "mimeType": "image/png"}
    assert to_result(value, make_context()) == ToolResult("[image/png, 13 bytes]", content=(block,))


def shown(**methods: Callable[[Any], Any]) -> object:
    return type("Shown", (), {"__repr__": lambda self: "<shown>", **methods})()


def test_an_object_that_shows_itself_is_shown_on_the_card() -> None:
    card = Card()
    value = shown(_repr_html_=lambda self: "<b>hi</b>", _repr_mimebundle_=lambda self, **k: ({"text/x": "y"}, {}))
    assert to_result(value, make_context(card=card)) == ToolResult("<shown>")
    assert card.bundles == [{"text/plain": "<shown>", "text/html": "<b>hi</b>", "text/x": "y"}]


def test_an_object_that_is_a_picture_becomes_an_image_block() -> None:
    card = Card()
    result = to_result(shown(_repr_png_=lambda self: PNG), make_context(card=card))
    assert [block["mimeType"] for block in result.content] == ["image/png"]
    assert not card.bundles


def test_a_figure_of_matplotlib_becomes_an_image_block() -> None:
    class Figure:
        def savefig(self, file: Any, **options: Any) -> None:
            file.write(PNG)

    Figure.__module__ = "matplotlib.figure"
    before = "matplotlib" in sys.modules  # another test may have drawn
    assert to_result(Figure(), make_context()).content[0]["mimeType"] == "image/png"
    assert ("matplotlib" in sys.modules) == before


def test_a_display_that_fails_shows_nothing_and_keeps_the_value() -> None:
    def fail(self: object) -> str:
        raise ValueError

    card = Card()
    assert to_result(shown(_repr_html_=fail), make_context(card=card)) == ToolResult("<shown>")
    assert not card.bundles

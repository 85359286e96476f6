"""Variables in a prompt: short ones in the line, others typed and bounded below it; pictures seen; secrets kept."""

from __future__ import annotations

import dataclasses
import datetime
import pathlib
import time
from collections.abc import Iterator
from typing import Any

import numpy
import pandas
import pytest
from pydantic import BaseModel

from nbagent.errors import UsageError
from nbagent.notebook.prompt import aside, expand
from nbagent.notebook.prompt.expanding import HEAD
from nbagent.notebook.prompt.rendering import TEXT


@dataclasses.dataclass
class Point:
    x: int
    y: int


class Model(BaseModel):
    name: str


class Hanging:
    def __repr__(self) -> str:
        while True:
            time.sleep(0.01)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("text", "text"),
        (3, "3"),
        (2.5, "2.5"),
        (True, "True"),
        (None, "None"),
        ([1, "a", {"b": 2}], "[1, 'a', {'b': 2}]"),
        (datetime.date(2026, 11, 28), "2026-11-28"),
        (pathlib.PurePosixPath("a/b"), "a/b"),
        (Point(1, 2), "Point(x=1, y=2)"),
        (Model(name="Ada"), "name='Ada'"),
    ],
)
def test_a_short_value_stands_in_the_line(value: Any, told: str) -> None:
    assert expand("Look at {it}, please", {"it": value}).text == f"Look at {told}, please"


def test_a_table_is_shown_as_schema_and_head() -> None:
    frame = pandas.DataFrame({"city": ["Ghent", "Bern"] * 500, "n": range(1000), "api_key": ["sk-secret"] * 1000})
    text = expand("What is in {df}?", {"df": frame}).text
    assert text.startswith(f"What is in `df`?\n\n{HEAD}\n\ndf: pandas.DataFrame, shape (1000, 3)\ncolumns:\n  city:")
    assert "n: int64" in text and "Ghent" in text
    assert "sk-secret" not in text and "999" not in text
    assert len(text) < 1500


def test_an_array_is_shown_as_type_statistics_and_first_values() -> None:
    text = expand("{values}", {"values": numpy.arange(1_000_000, dtype="float32")}).text
    assert "numpy.ndarray, shape (1000000,)" in text and "dtype float32" in text
    assert "min 0.0, max 999999.0" in text
    assert len(text) < 1500


def test_what_is_long_is_bounded_and_named_once() -> None:
    names = {"rows": list(range(100_000)), "big": 10**4000, "text": "x" * (TEXT + 7)}
    text = expand("{rows} and {rows}, {text}", names).text
    assert text.startswith("`rows` and `rows`, xxx")
    assert "[text goes on for 7 more characters, which are not shown]" in text
    assert text.count("rows: list, length 100,000") == 1 and "99,980 more" in text
    assert len(expand("{big}", names).text) < 2000


def test_what_is_lazy_is_not_begun() -> None:
    began = False

    def numbers() -> Iterator[int]:
        nonlocal began
        began = True
        yield 1

    assert "generator" in expand("{it}", {"it": numbers()}).text
    assert not began


def test_a_function_is_shown_by_its_source() -> None:
    text = expand("What does {test} do?", {"test": test_what_is_lazy_is_not_begun}).text
    assert "def test_what_is_lazy_is_not_begun" in text and "began = False" in text


@pytest.mark.parametrize("name", ["api_key", "password", "box.token"])
def test_a_name_that_looks_secret_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="looks like that of a secret"):
        expand(f"{{{name}}}", {"api_key": "1", "password": "2", "box": type("Box", (), {"token": "3"})()})


def test_a_key_under_another_name_is_hidden() -> None:
    key = "sk-canary1f0c9a2b7d3e4f56"
    for value in (f"it is {key}", [key], {"password": "hunter2"}, {"a": {"token": "hunter2"}}):
        text = expand("{it}", {"it": value}).text
        assert key not in text and "hunter2" not in text


def test_an_object_whose_own_code_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aside, "PATIENCE", 0.2)
    with pytest.raises(UsageError, match=r"\{it\} in the prompt takes more than 0 s to be shown"):
        expand("{it}", {"it": Hanging()})


def test_an_object_whose_own_code_leaves_is_one_clear_line() -> None:
    class Leaving:
        def __str__(self) -> str:
            raise SystemExit(3)

    with pytest.raises(UsageError, match="could not be read: SystemExit: 3"):
        expand("{it}", {"it": Leaving()})


def test_a_figure_is_a_picture_beside_the_prompt() -> None:
    from matplotlib.figure import Figure

    said = expand("What does {figure} show?", {"figure": Figure(figsize=(1, 1))})
    assert said.text == "What does `figure` show?"
    (picture,) = said.attachments
    assert (picture.mime, picture.name) == ("image/png", "figure") and picture.size > 100


def test_a_picture_that_is_too_large_is_one_clear_line() -> None:
    with pytest.raises(UsageError, match=r"\{it\} in the prompt: it has 6,000,008 bytes; a model is sent 5,000,000"):
        expand("{it}", {"it": b"\x89PNG\r\n\x1a\n" + bytes(6_000_000)})

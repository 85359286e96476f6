"""An agent's output type: `Result.output` is an instance, or the run is a clear error."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

import pytest
from pydantic import BaseModel, create_model
from typing_extensions import TypedDict

from nbagent.errors import ConfigError, RunError
from nbagent.runtime import Runtime
from nbagent.session import Session
from tests.runtime.support import scripted

pytestmark = pytest.mark.anyio


@dataclass
class City:
    name: str
    people: int


class Person(BaseModel):
    name: str


@pytest.mark.parametrize(
    "text", ['{"name": "Bern", "people": 146000}', '```json\n{"name": "Bern", "people": 146000}\n```']
)
async def test_the_output_is_an_instance(text: str) -> None:
    result = await Runtime(scripted(text, output_type=City)).run(Session(), "hi")
    assert result.output == City("Bern", 146000)


async def test_a_model_that_answers_badly_is_told_and_answers_again() -> None:
    session = Session()
    result = await Runtime(scripted("Ada!", '{"name": "Ada"}', output_type=Person)).run(session, "hi")
    assert result.output == Person(name="Ada")
    assert session.messages[2].role == "user" and "schema" in session.messages[2].content


async def test_an_answer_that_never_fits_is_an_error() -> None:
    with pytest.raises(RunError) as caught:
        await Runtime(scripted("a", "b", "c", "d", output_type=City)).run(Session(), "hi")
    assert caught.value.code == "invalid_output"


class Town(TypedDict):
    name: str
    people: int


@pytest.mark.parametrize("kind", [City, Town, create_model("Model", name=(str, ...), people=(int, ...))])
async def test_a_list_of_them_goes_straight_into_a_table(kind: Any) -> None:
    text = '[{"name": "Bern", "people": 146000}, {"name": "Ghent", "people": 265000}]'
    result = await Runtime(scripted(text, output_type=list[kind])).run(Session(), "hi")
    frame = result.frame()
    assert list(frame.columns) == ["name", "people"]
    assert frame.people.sum() == 411_000


@pytest.mark.parametrize(
    ("kind", "text", "output"),
    [
        (list[int], "[1, 2]", [1, 2]),
        (Literal["yes", "no"], '"yes"', "yes"),
        (int | None, "3", 3),
        (list[str], "[]", []),
    ],
)
async def test_any_type_that_pydantic_knows_will_do(kind: Any, text: str, output: Any) -> None:
    result = await Runtime(scripted(text, output_type=kind)).run(Session(), "hi")
    assert result.output == output
    items = output if isinstance(output, list) else [output]
    assert [row["value"] for row in result.frame().to_dict("records")] == items


@pytest.mark.parametrize("kind", [str, Literal["good", "bad"], Enum("Mood", {"GOOD": "good"})])
async def test_a_text_needs_no_quotes(kind: Any) -> None:
    result = await Runtime(scripted("good", output_type=kind)).run(Session(), "hi")
    assert getattr(result.output, "value", result.output) == "good"


async def test_a_long_wrong_answer_is_told_in_bounds() -> None:
    session = Session()
    wrong = "[" + ",".join(["{}"] * 5000) + "]"
    await Runtime(scripted(wrong, "[]", output_type=list[City])).run(session, "hi")
    assert "and 9990 more mistakes" in session.messages[2].content and len(session.messages[2].content) < 2000


async def test_a_result_without_output_has_no_table() -> None:
    result = await Runtime(scripted("hello")).run(Session(), "hi")
    with pytest.raises(ValueError, match="give the agent an output_type="):
        result.frame()


async def test_without_an_output_type_there_is_no_output() -> None:
    assert (await Runtime(scripted("hello")).run(Session(), "hi")).output is None


async def test_a_type_that_cannot_be_validated_is_refused_at_once() -> None:
    class Opaque:
        pass

    with pytest.raises(ConfigError, match="output_type"):
        scripted("hello", output_type=Opaque)

"""The final answer of an agent that has an output type: read from its text, and what is wrong with it.

Used by `loop`, which asks the model again where the text does not fit. It guarantees: a fence around the JSON, which
many models cannot leave out, does no harm; an answer that is a text needs no quotes; and what is wrong is told in
bounds, whatever the answer's length.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbagent.runtime.life import Life

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError

_TOLD = 10
"""Mistakes that a model is told at once."""
_LENGTH = 300
"""Characters of one of them."""


def read_output(run: Life, text: str) -> str | None:
    """Set the run's output from the final text; what is wrong with it, or None."""
    adapter = run.agent.output_adapter
    if adapter is None:
        return None
    from pydantic import ValidationError

    try:
        run.output = _validated(adapter, _unfenced(text))
    except ValidationError as error:
        return _mistakes(error)
    return None


def _validated(adapter: TypeAdapter[Any], text: str) -> Any:
    from pydantic import ValidationError

    try:
        return adapter.validate_json(text)
    except ValidationError as error:
        words = adapter.json_schema().get("type") == "string"  # str, an Enum or Literal of words
        if not words or error.errors(include_url=False)[0]["type"] != "json_invalid":
            raise
        return adapter.validate_python(text)


def _mistakes(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    told = [f"{'.'.join(map(str, one['loc'])) or 'answer'}: {one['msg']}"[:_LENGTH] for one in found[:_TOLD]]
    more = [f"and {len(found) - _TOLD} more mistakes"] if len(found) > _TOLD else []
    return "; ".join(told + more)


def _unfenced(text: str) -> str:
    stripped = text.strip()
    if stripped.startswith("```") and stripped.endswith("```"):
        return stripped.split("\n", 1)[-1].rsplit("```", 1)[0]
    return stripped

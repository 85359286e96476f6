"""The final answer of an agent that has an output type: read from its text, and what is wrong with it.

Used by `loop`, which asks the model again where the text does not fit. It guarantees: a fence around the JSON, which
many models cannot leave out, does no harm.
"""

from __future__ import annotations

from nbagent.runtime.life import Life


def read_output(run: Life, text: str) -> str | None:
    """Set the run's output from the final text; what is wrong with it, or None."""
    adapter = run.agent.output_adapter
    if adapter is None:
        return None
    from pydantic import ValidationError

    try:
        run.output = adapter.validate_json(_unfenced(text))
    except ValidationError as error:
        return "; ".join(f"{'.'.join(map(str, e['loc'])) or 'answer'}: {e['msg']}" for e in error.errors())
    return None


def _unfenced(text: str) -> str:
    stripped = text.strip()
    if stripped.startswith("```") and stripped.endswith("```"):
        return stripped.split("\n", 1)[-1].rsplit("```", 1)[0]
    return stripped

"""The check of the arguments of nbagent's own tools against their schemas, which are flat and few.

`nbagent.schema` would do it too, and its first use imports for a second, on the loop's thread, just when the first task
is given away. A test holds the two to the same verdicts. Used by `generated`.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

from nbagent.errors import ToolError


def checked(arguments: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments with the defaults of those that are missing.

    Raises
    ------
    ToolError
        They do not fit; the message names each that is wrong.
    """
    properties: Mapping[str, Mapping[str, Any]] = schema["properties"]
    given = {name: copy.copy(about["default"]) for name, about in properties.items() if "default" in about}
    given |= arguments
    wrong = {name: "is required" for name in schema["required"] if name not in given}
    wrong |= {name: "there is no such argument" for name in given if name not in properties}
    for name, about in properties.items():
        if name in given and (problem := _problem(given[name], about)):
            wrong[name] = problem
    if wrong:
        raise ToolError("Invalid arguments: " + "; ".join(f"{name}: {problem}" for name, problem in wrong.items()))
    return given


def _problem(value: Any, about: Mapping[str, Any]) -> str:
    """What is wrong with one argument, or ""."""
    match about["type"]:
        case "string":
            if not isinstance(value, str):
                return "must be a text"
            if len(value) < about.get("minLength", 0):
                return "must not be empty"
            if value not in about.get("enum", (value,)):
                return f"{value!r} is none of {', '.join(about['enum'])}"
        case "number":
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                return "must be a number"
            if not about["minimum"] <= value <= about["maximum"]:
                return f"must be from {about['minimum']} to {about['maximum']}"
        case "array":
            if not isinstance(value, list) or any(_problem(item, about["items"]) for item in value):  # pyright: ignore[reportUnknownVariableType]
                return "must be a list of texts, none of them empty"
        case other:
            raise AssertionError(other)
    return ""

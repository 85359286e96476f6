"""Data held against `shape.Document`: each mistake is one problem, in words that say what belongs there.

Between `reading` and the building modules. An unknown key is a warning and is left out, so that a file for a newer
docker-agent still loads; all else that does not fit is an error. It guarantees: no value of the file is in the words,
since people write keys and passwords where they must not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from pydantic import ValidationError

from nbagent.config.problems import Place, Report, meant
from nbagent.config.shape import Document, Shape

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

HINTS = 100
"""Problems of a file after which none is told what was probably meant, since comparing words takes time."""

_NOUNS = {
    "string_type": "a text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping (key: value)",
    "model_type": "a mapping (key: value)",
}
_KINDS = {str: "a text", int: "a number", float: "a number", bool: "true or false", list: "a list", dict: "a mapping"}


def check(data: dict[str, Any], report: Report) -> Document | None:
    """The document, or None where the report has errors then."""

    def unknown(shape: type[Shape], mapping: dict[str, Any], key: str) -> None:
        place = (*report.mappings.get(id(mapping), ()), key)
        if key in shape.ELSEWHERE:
            report.warning(place, "nbagent does not use this key of docker-agent's; it is left out")
        else:
            hint = f"; {meant(key, shape.keys())}" if len(report.problems) < HINTS else ""
            report.warning(place, f"this key is not known and is left out{hint}")

    try:
        return Document.model_validate(data, context=unknown)
    except ValidationError as error:
        for place, faults in _by_place(error, data).items():
            report.error(place, _words(faults))
    return None


def schema() -> dict[str, Any]:
    """The JSON schema of a file, for editors."""
    made = Document.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made, "title": "nbagent: agents in a file"}


def _by_place(error: ValidationError, data: dict[str, Any]) -> dict[Place, list[ErrorDetails]]:
    """The faults by where they stand; of a union's branches, the one that came furthest."""
    found: dict[Place, list[ErrorDetails]] = {}
    for fault in error.errors(include_url=False):
        found.setdefault(_place(fault, data), []).append(fault)
    return {
        place: faults
        for place, faults in found.items()
        if not any(other[: len(place)] == place and len(other) > len(place) for other in found)
    }


def _place(fault: ErrorDetails, data: Any) -> Place:
    """The fault's path without what pydantic puts between: the names of a union's branches."""
    place: Place = ()
    value: Any = data
    for part in fault["loc"]:
        if (isinstance(value, dict) and part in value) or (isinstance(value, list) and isinstance(part, int)):
            place, value = (*place, part), cast("Any", value)[part]
    return (*place, fault["loc"][-1]) if fault["type"] == "missing" else place


def _words(faults: list[ErrorDetails]) -> str:
    nouns = list(dict.fromkeys(_NOUNS[fault["type"]] for fault in faults if fault["type"] in _NOUNS))
    first = faults[0]
    given: Any = first["input"]
    if nouns:
        kind = next((words for cls, words in _KINDS.items() if type(cast("object", given)) is cls), "nothing")
        return f"{' or '.join(nouns)} belongs here, and this is {kind}{_hint(nouns, first['input'])}"
    limits: dict[str, Any] = first.get("ctx", {})
    match first["type"]:
        case "missing":
            return "this key is missing"
        case "literal_error":
            words = [word.strip("' ") for word in str(limits["expected"]).replace(" or ", ", ").split(",")]
            return f"one of {', '.join(words)} belongs here; {meant(given, words) if isinstance(given, str) else ''}"
        case "greater_than_equal":
            return f"it must be at least {limits['ge']:g}"
        case "less_than_equal":
            return f"it must be at most {limits['le']:g}"
        case "too_short":
            return "there must be at least one"
        case _:
            return first["msg"]


def _hint(nouns: list[str], given: Any) -> str:
    if nouns == ["a text"] and isinstance(given, int | float):
        return "; put quotes around it"
    if nouns == ["a list"]:
        return "; write it as - item, one a line"
    return ""

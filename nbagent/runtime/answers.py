"""What counts as an answer: the check of content against its question, and the answers that a caller gave beforehand.

Used by `questions` (for `answers=`) and `runtime` (for `Runtime.answer`). It guarantees that what reaches an asker fits
the schema that it asked with, and that content that does not fit changes nothing.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from typing import Any, get_args

from nbagent import boundary
from nbagent.errors import InvalidAnswer
from nbagent.events import Action, ElicitationRequest, Event
from nbagent.ports import ElicitationResult
from nbagent.runtime.options import Answers

ACTIONS: tuple[str, ...] = get_args(Action)


class BadAnswers(Exception):
    """`answers=` failed or does not fit the question."""


def checked(
    request: Event, action: str, content: Mapping[str, Any] | None, *, note: str = "", fill: bool = True
) -> ElicitationResult:
    """The answer, complete and valid.

    Parameters
    ----------
    request
        The event that asked.
    action
        ``accept``, ``decline`` or ``cancel``.
    content
        What was accepted; a reason or scope where a call was to be confirmed.
    note
        Why, where nobody answered.
    fill
        Whether missing properties get their defaults.

    Raises
    ------
    InvalidAnswer
        The action is none of the three, or the content does not fit the schema.
    """
    if action not in ACTIONS:
        raise InvalidAnswer({"": f"the action is one of {', '.join(ACTIONS)}, not {action!r}"})
    if content is not None and not isinstance(content, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidAnswer({"": f"the content is an object of field names and values, not {type(content).__name__}"})
    values = None if content is None else _own(content)
    if isinstance(request, ElicitationRequest):
        values = _fitting(request, values or {}, fill) if action == "accept" else None
    return ElicitationResult(action, values, note)  # pyright: ignore[reportArgumentType]


def _own(content: Mapping[str, Any]) -> dict[str, Any]:
    """A copy, so that what was checked is what is used, whatever the caller does with its own."""
    try:
        return copy.deepcopy(dict(content))
    except Exception as error:  # what cannot be copied is no JSON
        raise InvalidAnswer({"": f"the content cannot be read: {boundary.told(error)}"}) from None


def _fitting(request: ElicitationRequest, content: dict[str, Any], fill: bool) -> dict[str, Any] | None:
    from nbagent.schema import validate, with_defaults

    if request.mode == "url":
        return None
    if request.schema is None:
        return content
    if fill:
        filled = with_defaults(content, request.schema)
        wrong = [path.replace("[", ".").split(".")[0] for path in validate(filled, request.schema)]
        # a default that does not fit is the asker's mistake, and nobody's answer
        content = {name: value for name, value in filled.items() if name in content or name not in wrong}
    if errors := validate(content, request.schema):
        raise InvalidAnswer(errors)
    return content


async def answer(request: ElicitationRequest, answers: Answers) -> ElicitationResult:
    """What `answers=` says to a question.

    Raises
    ------
    BadAnswers
        The function raised or returned something else than (action, content), or the content does not fit.
    """
    try:
        if callable(answers):
            given = boundary.call(answers, request)
            if inspect.isawaitable(given):
                given = await boundary.drive(given)
            if not isinstance(given, tuple | list) or len(given) != 2:  # pyright: ignore[reportUnknownArgumentType]
                raise BadAnswers(f"answers= returned {given!r} for {request.message!r}; return (action, content)")
            return checked(request, *given)  # pyright: ignore[reportUnknownArgumentType]
        known = request.schema.get("properties", {}) if request.schema is not None else answers
        return checked(request, "accept", {name: value for name, value in answers.items() if name in known})
    except InvalidAnswer as error:
        raise BadAnswers(f"answers= does not fit {request.message!r}: {error}") from None
    except BadAnswers:
        raise
    except BaseException as error:  # the user's function, or what it returned
        if not boundary.is_failure(error):
            raise
        raise BadAnswers(f"answers= failed on {request.message!r}: {boundary.told(error)}") from error

"""Variables in a prompt: `{name}` and `{name.attr}` become their values, everything else stays as it was written.

IPython's own expansion is off for nbagent's magics: it turns `$5` into `5` and `{1,2}` into a tuple. Here a brace is
special only where it holds a name that the caller's frame knows; `{unknown}`, `{"a": 1}`, `{{name}}`, `{}` and every
dollar reach the model untouched.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from nbagent.errors import UsageError

_FIELD = re.compile(r"(?<!\{)\{([^\W\d]\w*(?:\.[^\W\d]\w*)*)\}(?!\})")
_MISSING = object()


def expand(text: str, names: Mapping[str, Any]) -> str:
    """`text` with `{name}` and `{name.attr}` replaced by ``str()`` of the values that `names` holds.

    Raises
    ------
    UsageError
        A property or ``str()`` of a value raised; the message names it.

    Examples
    --------
    >>> expand('Pay $5 to {who}: {"a": {1,2}}', {"who": "Ada"})
    'Pay $5 to Ada: {"a": {1,2}}'
    """

    def replace(match: re.Match[str]) -> str:
        try:
            value = _look_up(match[1], names)
            return match[0] if value is _MISSING else str(value)
        except Exception as error:  # a property of the user's own
            raise UsageError(f"{match[0]} in the prompt could not be read: {type(error).__name__}: {error}") from error

    return _FIELD.sub(replace, text)


def _look_up(path: str, names: Mapping[str, Any]) -> Any:
    first, *attributes = path.split(".")
    value = names.get(first, _MISSING)
    for attribute in attributes:
        if value is _MISSING:
            break
        value = getattr(value, attribute, _MISSING)
    return value

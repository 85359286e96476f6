"""Whose value is not shown: what an agent is told goes to the provider of its model, and into the saved notebook.

A name decides, by the words that `nbagent.schema` knows secrets by: a variable's, a key's, a column's, a field's in a
repr. What stands in a value is not searched, but for the shapes that give themselves away: ``name=value`` with such a
name, the password in an address, the credentials of a request, the keys of providers. Below:
`schema`. Above: `variables`, `inspection`.
"""

from __future__ import annotations

import re

from nbagent.schema import secret_field

HIDDEN = "‹hidden›"

_VALUE = r"""b?"(?:[^"\\]|\\.)*"|b?'(?:[^'\\]|\\.)*'|[^\s,;&'")}\]]+"""
_NAMED = re.compile(
    rf"""(?<![\w-])(?P<name>[A-Za-z_][\w-]*)(?P<sign>["']?\s*[=:]\s*)(?P<value>{_VALUE})""", re.IGNORECASE
)
_CREDENTIALS = re.compile(r"\b(bearer|basic)\s+[\w.~+/=-]{6,}", re.IGNORECASE)
_KEY = re.compile(r"\b(?:sk-|gh[opsru]_|github_pat_|glpat-|xox[abprs]-|hf_|AKIA|AIza)[\w-]{16,}")
"""Keys that providers begin in a way of their own, so that they can be found when they leak."""
_IN_ADDRESS = re.compile(r"(?<=://)([^\s/:@]*):[^\s/@]+(?=@)")


def looks_secret(name: object) -> bool:
    """Whether a name says that what it names is a secret; of several secrets too (``api_keys``)."""
    if not isinstance(name, str):
        return False
    forms = {name, name.removesuffix("s")} if not name.lower().endswith("tokens") else {name}
    return any(secret_field({"properties": {form: {"type": "string"}}}) is not None for form in forms)


def redacted(text: str) -> str:
    """`text` without the values of what looks like a secret in it.

    Examples
    --------
    >>> redacted("Config(host='db', password='hunter2')")
    "Config(host='db', password=‹hidden›)"
    """
    text = _CREDENTIALS.sub(rf"\1 {HIDDEN}", _NAMED.sub(_without_value, text))
    return _IN_ADDRESS.sub(rf"\1:{HIDDEN}", _KEY.sub(HIDDEN, text))


def without_keys(text: str) -> str:
    """`text` without the keys of providers in it, else as it is: for texts that are the user's own."""
    return _KEY.sub(HIDDEN, text)


def _without_value(match: re.Match[str]) -> str:
    if not looks_secret(match["name"]):
        return match[0]
    return f"{match['name']}{match['sign']}{HIDDEN}"

"""Where keys and addresses come from: the environment, the file ``.env`` of the working folder, the system's keyring.

Used by `provided`, anew for each request, so that a key that was put right counts at once. It guarantees: the
environment comes first and is never changed; nothing found is logged or shown; `without` takes a key out of any text.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

KEYRING_SERVICE = "nbagent"
"""The service under which the system's keyring keeps keys, each by the name of its environment variable."""
LARGEST = 1_000_000
"""Bytes of ``.env`` that are read."""
SHORTEST = 8
"""Characters of a key that no word contains by chance."""

_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*$")
_QUOTED = re.compile(r"""(?:"((?:[^"\\]|\\.)*)"|'([^']*)')\s*(?:#.*)?$""")
_ESCAPED = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True, repr=False)
class Secrets:
    """What can be looked up for one request, read once.

    Parameters
    ----------
    file
        What the ``.env`` of the working folder says.
    """

    file: dict[str, str]

    def get(self, name: str) -> str | None:
        """The value of an environment variable or, where it has none, of ``.env``; None where neither has."""
        return os.environ.get(name) or self.file.get(name) or None

    def is_of_file(self, name: str) -> bool:
        """Whether the value of `name` is ``.env``'s, not the environment's."""
        return not os.environ.get(name) and bool(self.file.get(name))

    def key(self, names: Iterable[str]) -> str | None:
        """The first of the keys that there is, also in the keyring."""
        known = tuple(names)
        return next((value for name in known if (value := self.get(name))), None) or _in_keyring(known)


def read_secrets(folder: Path | None = None) -> Secrets:
    """What there is to look up now.

    Parameters
    ----------
    folder
        Where ``.env`` is looked for; the working folder where none is given.
    """
    try:
        with (folder or Path.cwd()).joinpath(".env").open("rb") as file:
            text = file.read(LARGEST).decode("utf-8-sig", "replace")
    except OSError:
        return Secrets({})
    return Secrets(parsed(text))


def parsed(text: str) -> dict[str, str]:
    """The variables that the text of a ``.env`` file sets; lines that set none are passed over.

    Examples
    --------
    >>> parsed("export A='1' # one\\nB=two # 2\\n# C=3")
    {'A': '1', 'B': 'two'}
    """
    found: dict[str, str] = {}
    for line in text.splitlines():
        match = _LINE.match(line)
        if match is not None:
            found[match[1]] = _value(match[2])
    return found


def _value(raw: str) -> str:
    quoted = _QUOTED.match(raw)
    if quoted is None:
        return re.split(r"(?:^|\s)#", raw, maxsplit=1)[0].strip()
    if quoted[2] is not None:
        return quoted[2]
    return _ESCAPED.sub(lambda match: {"n": "\n", "t": "\t"}.get(match[1], match[1]), quoted[1])


def _in_keyring(names: Iterable[str]) -> str | None:
    if find_spec("keyring") is None:
        return None
    import keyring  # pyright: ignore[reportMissingImports]
    from keyring.errors import KeyringError  # pyright: ignore

    for name in names:
        try:
            value: object = keyring.get_password(KEYRING_SERVICE, name)  # pyright: ignore
        except KeyringError:  # pyright: ignore[reportUnknownVariableType]
            return None  # locked, or there is none on this machine
        if isinstance(value, str) and value:
            return value
    return None


def without(text: str, key: str | None) -> str:
    """`text` with the key taken out of it; a short one, as servers that ask for none are given, not out of words.

    Examples
    --------
    >>> without("the key x is no maximum", "x")
    'the key [key] is no maximum'
    """
    if not key:
        return text
    if len(key) >= SHORTEST:
        return text.replace(key, "[key]")
    return re.sub(rf"(?<!\w){re.escape(key)}(?!\w)", "[key]", text)

"""Variables of the environment in a file: ``${env.NAME}``, ``${NAME}`` and ``$NAME``.

They come from the environment, then from ``.env`` in the working folder, and are filled in when a server is started, a
hook is called or a model is asked, never when the file is read: so a file can be checked where its secrets are not, and
no value is in anything that was loaded. In instructions only ``${env.NAME}`` is a variable, since
``$5`` is a price there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from nbagent.errors import ConfigError
from nbagent.models.keys import read_secrets

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_ANY = re.compile(rf"\$\$|\$\{{(?:env\.)?({_NAME})\}}|\$({_NAME})")
_DELIBERATE = re.compile(rf"\$\{{env\.({_NAME})\}}")


def filled(text: str, where: str) -> str:
    """The text with the values in it; ``$$`` is a dollar.

    Raises
    ------
    ConfigError
        A variable is not set; the message names it and `where`.
    """

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        return _value(name, where) if name else "$"

    return _ANY.sub(value, text)


def filled_words(text: str, where: str) -> str:
    """The same for words to a model: ``${env.NAME}`` alone.

    Raises
    ------
    ConfigError
        A variable is not set.
    """
    return _DELIBERATE.sub(lambda match: _value(match[1], where), text)


def filled_all(texts: Mapping[str, str], where: str) -> dict[str, str]:
    """Each value of a mapping, such as an environment or headers.

    Raises
    ------
    ConfigError
        A variable is not set.
    """
    return {name: filled(text, where) for name, text in texts.items()}


def _value(name: str, where: str) -> str:
    value = os.environ.get(name, read_secrets().get(name))
    if value is None:
        raise ConfigError(f"the environment variable {name} is not set, and {where} needs it")
    return value

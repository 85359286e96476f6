"""Slash commands: ``%agent_run AGENT /name words`` says the prompt that the agent keeps under that name.

In it ``$1``, ``$2`` … are the words, as ``${args[0]}``, ``${args[1]}`` … are; ``${args}`` is all of them, and so is
``${args.join(" ")}``. Where none of these stands in it, the words come after it. What the words hold is not looked
through again. An agent that keeps no prompts gets what was written. Below: `parsing`. Above: `plan`, `completion`.
"""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from nbagent.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from nbagent.agent import Agent, Team
    from nbagent.runtime import Runtime

_COMMAND = re.compile(r"/([^\s/]+)(?:\s+(.*))?", re.DOTALL)
_WORD = re.compile(
    r"""\$(?P<one>[1-9])(?!\d)  # not in a price such as $15
    | \$\{\s* args \s*(?: \[\s*(?P<index>\d{1,3})\s*\] | \.join\((?P<quote>["'])(?P<by>.*?)(?P=quote)\) )?\s*\}""",
    re.VERBOSE,
)


def commands_of(declared: Agent | Team | Runtime) -> Mapping[str, str]:
    """The prompts that the agent keeps which the user talks to."""
    from nbagent.agent import Agent, Team

    if isinstance(declared, Agent):
        return declared.commands
    return (declared if isinstance(declared, Team) else declared.team).root.commands


def spoken(prompt: str, commands: Mapping[str, str]) -> str:
    """The prompt, or the one that it names.

    Raises
    ------
    UsageError
        The agent keeps prompts, and none under that name; or it has a variable that is not set.

    Examples
    --------
    >>> spoken("/plan Sunday", {"plan": "Make a plan for $1."})
    'Make a plan for Sunday.'
    """
    match = _COMMAND.fullmatch(prompt)
    if match is None or not commands:
        return prompt
    name, rest = match[1], (match[2] or "").strip()
    if name not in commands:
        near = difflib.get_close_matches(name, commands, n=1)
        hint = f"did you mean /{near[0]}?" if near else f"known are {', '.join(f'/{one}' for one in commands)}"
        raise UsageError(f"unknown command /{name}; {hint}")
    try:
        text = commands[name]
    except ConfigError as error:
        raise UsageError(str(error)) from None
    if not _WORD.search(text):
        return f"{text}\n\n{rest}" if rest else text
    words = _split(rest)
    return _WORD.sub(lambda found: _filled(found, words, rest), text)


def _filled(found: re.Match[str], words: Sequence[str], rest: str) -> str:
    """What stands for one of the words, or for all of them."""
    index = int(found["one"]) - 1 if found["one"] else int(found["index"]) if found["index"] else None
    if index is not None:
        return words[index] if index < len(words) else ""
    return rest if found["by"] is None else found["by"].join(words)


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:  # an apostrophe, as in: the user's words
        return text.split()

"""Slash commands: ``%agent_run AGENT /name words`` says the prompt that the agent keeps under that name.

In it ``$1``, ``$2`` … are the words; where none of them stands in it, the words come after it. An agent that keeps no
prompts gets what was written. Below: `parsing`. Above: `plan`, `completion`.
"""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING

from nbagent.errors import UsageError

if TYPE_CHECKING:
    from nbagent.agent import Agent, Team
    from nbagent.runtime import Runtime

_COMMAND = re.compile(r"/([A-Za-z0-9][\w.-]*)(?:\s+(.*))?", re.DOTALL)
_WORD = re.compile(r"\$([1-9])")


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
        The agent keeps prompts, and none under that name.

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
    text = commands[name]
    if not _WORD.search(text):
        return f"{text}\n\n{rest}" if rest else text
    words = _split(rest)
    return _WORD.sub(lambda found: words[int(found[1]) - 1] if int(found[1]) <= len(words) else "", text)


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:  # an apostrophe, as in: the user's words
        return text.split()

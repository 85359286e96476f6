"""What the words of a magic's line stand for: an agent, a model, an answering object in the caller's frame, or a file.

Reads a snapshot of the frame's variables, so that nothing holds the frame itself. Below: `agent`, `config`, `runtime`.
"""

from __future__ import annotations

import difflib
import os
from collections import ChainMap
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from nbagent.errors import ConfigError, UsageError
from nbagent.notebook.commands import commands_of
from nbagent.runtime.recorded import FILES as ANSWERS

if TYPE_CHECKING:
    from nbagent.agent import Agent, Team
    from nbagent.runtime import Runtime

Names = Mapping[str, Any]
FILES = (".yaml", ".yml")
"""What the name of a file with a team ends in."""


def names_of(frame: FrameType | None) -> Names:
    """The variables that code in `frame` can see, its locals before its globals, without the builtins."""
    if frame is None:
        return {}
    if frame.f_locals is frame.f_globals:
        return dict(frame.f_globals)
    return ChainMap(dict(frame.f_locals), frame.f_globals)


def agent_names(names: Names) -> list[str]:
    """The public variables that hold something to run, and ``demo``; for completion and for error messages."""
    found = {name for name, value in names.items() if not name.startswith("_") and _is_agent(value)}
    return sorted(found | {"demo"})


def file_names(endings: tuple[str, ...] = FILES) -> list[str]:
    """The files of the working folder that may hold a team, or what else ends so; for completion."""
    try:
        return sorted(name for name in os.listdir() if name.lower().endswith(endings) and not name.startswith("."))
    except OSError:
        return []


def find_agent(name: str, names: Names, bundled: Callable[[str], Agent | None]) -> Agent | Team | Runtime:
    """The agent, team or runtime that the variable `name` holds, the `bundled` one, or the team of the file `name`.

    Raises
    ------
    UsageError
        There is no such variable, or it holds something else; or the file cannot be used.
    """
    if name.lower().endswith(FILES):
        return _of_file(name, quiet=False)
    value = names.get(name)
    if value is not None and _is_agent(value):
        return value
    if (agent := bundled(name)) is not None:
        return agent
    if value is not None:
        if isinstance(value, type):
            raise UsageError(f"{name} is a class; name a variable that holds one, as in helper = {name}(…)")
        kind = type(value).__name__
        raise UsageError(f"{name} is of type {kind}, not an Agent, Team or Runtime")
    known = agent_names(names)
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"
    raise UsageError(f"unknown agent {name}; {hint}")


def _of_file(name: str, *, quiet: bool) -> Team:
    """The team that a file declares, the same one as long as the file stays as it is."""
    from nbagent import config

    try:
        return config.load_kept(name, quiet=quiet)
    except ConfigError as error:
        first, *others = str(error).splitlines()
        more = f"\n… and {len(others)} more: python -m nbagent validate {name}" if others else ""
        raise UsageError(f"{first}{more}") from None


def known_commands(name: str, names: Names) -> list[str]:
    """The slash commands of an agent, for completion; none where the name means nothing yet."""
    is_file = name.lower().endswith(FILES)
    try:
        declared = _of_file(name, quiet=True) if is_file else find_agent(name, names, lambda _: None)
        return [f"/{command}" for command in commands_of(declared)]
    except UsageError:
        return []


def find_answers(name: str, names: Names) -> Mapping[str, Any] | Callable[..., Any] | os.PathLike[str] | None:
    """What ``--answers NAME`` names, a variable or else a file, or None without it.

    Raises
    ------
    UsageError
        There is no such variable, or it can answer nothing.
    """
    if not name:
        return None
    if name not in names:
        if not name.lower().endswith(ANSWERS):
            raise UsageError(f"--answers: there is no variable {name}, and a file ends in {', '.join(ANSWERS)}")
        return Path(name).expanduser()
    value = names[name]
    if isinstance(value, Mapping | os.PathLike) or callable(value):
        return value  # pyright: ignore[reportUnknownVariableType]
    raise UsageError(f"--answers: {name} is of type {type(value).__name__}, not a mapping, a function or a path")


def find_model(name: str, names: Names) -> Any:
    """What ``--model MODEL`` names: the object or string in that variable, else the name itself; None without it."""
    return names.get(name, name) if name else None


def _is_agent(value: object) -> bool:
    from nbagent.agent import Agent, Team
    from nbagent.runtime import Runtime

    return isinstance(value, Agent | Team | Runtime)

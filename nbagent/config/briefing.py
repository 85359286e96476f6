"""What an agent is told beside its instructions, gathered anew before each call of its model.

``add_date``, ``add_environment_info`` and ``add_prompt_files``, and the variables of the instructions. Read each time,
so that a kernel that runs for days knows the date, and a prompt file that was edited counts. It guarantees: little is
read (`LARGEST` bytes a file), and a file that is not there is passed over, as docker-agent does.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from nbagent.agent import Agent
from nbagent.config import expansion
from nbagent.config.problems import home

LARGEST = 100_000
"""Bytes of a prompt file that are read."""


@dataclass(frozen=True, slots=True)
class Briefing:
    """What is added to an agent's instructions.

    Parameters
    ----------
    folder
        Where prompt files are looked for first; then in the working folder, and up from there.
    date, environment
        Whether to tell today's date, and where the agent works.
    files
        Names of prompt files.
    where
        For messages.
    """

    folder: Path
    date: bool = False
    environment: bool = False
    files: Sequence[str] = ()
    where: str = "the file"

    def told(self, instructions: str) -> str:
        """The instructions with what is added now.

        Raises
        ------
        ConfigError
            A variable in them is not set.
        """
        parts = [expansion.filled_words(instructions, self.where)]
        if self.date:
            parts.append(f"Today is {datetime.now().astimezone():%A, %Y-%m-%d}.")
        if self.environment:
            parts.append(_environment())
        parts += [self._file(name) for name in self.files]
        return "\n\n".join(part for part in parts if part.strip())

    def _file(self, name: str) -> str:
        here = Path.cwd()
        for folder in (self.folder, here, *here.parents):
            with suppress(OSError):
                if (path := folder / home(name)).is_file():
                    return f"From {name}:\n\n{_beginning(path)}"
        return ""


def _beginning(path: Path) -> str:
    with open(path, "rb") as file:
        return file.read(LARGEST).decode("utf-8", "replace").strip()


def _environment() -> str:
    here = Path.cwd()
    in_git = any((folder / ".git").exists() for folder in (here, *here.parents))
    facts = {
        "Working directory": os.fspath(here),
        "In a git repository": "yes" if in_git else "no",
        "Operating system": platform.system(),
        "Architecture": platform.machine(),
    }
    return "\n".join(["Where you work:", *(f"- {name}: {value}" for name, value in facts.items())])


class ConfiguredAgent(Agent):
    """An agent of a file, whose instructions are put together when they are read, as its prompts are.

    Parameters
    ----------
    name, options
        Those of `Agent`.
    briefing
        What is added to its instructions.
    """

    _prompts: Mapping[str, str]

    def __init__(self, name: str, *, briefing: Briefing, **options: Any) -> None:
        self._briefing = briefing
        super().__init__(name, **options)

    @property
    def instructions(self) -> str:
        """The instructions, as they are now.

        Raises
        ------
        ConfigError
            A variable in them is not set.
        """
        return self._briefing.told(self._written)

    @instructions.setter
    def instructions(self, text: str) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        self._written = text

    @property
    def commands(self) -> Mapping[str, str]:
        """The prompts by name, each with its variables as they are when it is looked up."""
        return _Filled(self._prompts, self._briefing.where)

    @commands.setter
    def commands(self, prompts: Mapping[str, str]) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        self._prompts = prompts


class _Filled(Mapping[str, str]):
    """Texts whose variables are filled in when one of them is looked up."""

    def __init__(self, texts: Mapping[str, str], where: str) -> None:
        self._texts = texts
        self._where = where

    def __getitem__(self, name: str) -> str:
        return expansion.filled_words(self._texts[name], f"the command {name} of {self._where}")

    def __contains__(self, name: object) -> bool:
        return name in self._texts

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)

"""Files for the tests of `nbagent.config`."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import nbagent
from nbagent.agent import Team
from nbagent.config import Problem, validate
from nbagent.models import ScriptedModel

FILES = Path(__file__).parent / "files"
ALL = sorted(FILES.glob("*.yaml"))

MINIMAL = """
agents:
  root:
    model: openai/gpt-5-mini
"""


def written(folder: Path, text: str) -> Path:
    """A file with that text."""
    path = folder / "team.yaml"
    path.write_text(textwrap.dedent(text))
    return path


def said(folder: Path, text: str) -> list[str]:
    """What is said about a file with that text, without its path."""
    path = written(folder, text)
    return [str(problem).removeprefix(f"{path}:") for problem in validate(path)]


def errors(folder: Path, text: str) -> list[Problem]:
    """The mistakes in a file with that text."""
    return [problem for problem in validate(written(folder, text)) if problem.level == "error"]


def loaded(path: Path, *turns: Any, agent: str = "root") -> Team:
    """The team of a file, one agent of which plays `turns`."""
    return nbagent.load(path, models={agent: ScriptedModel(turns)})

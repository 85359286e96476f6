"""Skills: instructions for one kind of task, kept in a folder of their own and read when such a task comes.

`load_skills` reads ``*/SKILL.md`` below a folder: YAML front matter with a `name` and a `description`, then the
instructions. An `Agent` declares them, and the runtime makes the tool `run_skill` of them. Below: `errors`. Above:
`agent`.

It guarantees: what is wrong is one `ConfigError` that names the file and the line; no file outside of the folder is
read, wherever a link points; YAML is read as data, and nothing in it is executed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from nbagent.errors import ConfigError

if TYPE_CHECKING:
    from yaml.nodes import MappingNode

FILE = "SKILL.md"
LARGEST = 200_000
"""Bytes that one file may have: a model reads all of it."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_FENCE = "---"


@dataclass(frozen=True, slots=True)
class Skill:
    """What an agent can be told to do a task by.

    Parameters
    ----------
    name
        Letters, digits, ``_`` and ``-``, at most 64.
    description
        When to use it, for the agent that chooses.
    instructions
        What the agent reads beside its own instructions while it does the task.
    path
        Where it was read, or None.

    Raises
    ------
    ConfigError
        One of them is missing, or the name cannot be one.
    """

    name: str
    description: str
    instructions: str
    path: Path | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfigError(f"skill {self.name!r}: a name has letters, digits, _ and - alone, at most 64")
        for what in ("description", "instructions"):
            if not getattr(self, what).strip():
                raise ConfigError(f"skill {self.name!r} has no {what}")


def load_skills(folder: str | Path) -> tuple[Skill, ...]:
    """The skills of a folder, in the order of their names.

    Parameters
    ----------
    folder
        Each of its folders that holds a ``SKILL.md`` is a skill; hidden ones are left out.

    Returns
    -------
    tuple[Skill, ...]
        At least one.

    Raises
    ------
    ConfigError
        There is no such folder or no skill in it, a file is no skill, two have one name, or a link leads out.
    """
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise ConfigError(f"skills: {root} is not a folder")
    files = sorted(path for path in root.glob(f"*/{FILE}") if not path.parent.name.startswith("."))
    if not files:
        raise ConfigError(f"skills: there is no */{FILE} in {root}")
    skills: dict[str, Skill] = {}
    for file in files:
        skill = _read(file, root)
        if (other := skills.setdefault(skill.name, skill)) is not skill:
            raise ConfigError(f"{file}: a skill named {skill.name!r} is in {other.path} too; rename one")
    return tuple(skills[name] for name in sorted(skills))


def check_skills(skills: str | Path | Sequence[Any], where: str) -> tuple[Skill, ...]:
    """The skills that were declared: those of a folder, or the objects themselves.

    Raises
    ------
    ConfigError
        They cannot be; `where` says whose they are.
    """
    if isinstance(skills, str | Path):
        return load_skills(skills) if str(skills) else ()
    names: set[str] = set()
    for skill in skills:
        if not isinstance(skill, Skill):
            raise ConfigError(f"{where}: {skill!r} is not a Skill; give a folder, or what load_skills(…) returns")
        if skill.name in names:
            raise ConfigError(f"{where}: two are named {skill.name!r}; rename one")
        names.add(skill.name)
    return tuple(skills)


def _read(file: Path, root: Path) -> Skill:
    text = _text(file, root)
    lines = text.split("\n")
    if lines[0].rstrip() != _FENCE:
        raise ConfigError(f"{file}:1: a skill begins with {_FENCE}, its name and description, and {_FENCE}")
    end = next((number for number, line in enumerate(lines[1:], 1) if line.rstrip() == _FENCE), None)
    if end is None:
        raise ConfigError(f"{file}:1: the front matter has no end; close it by a line that is {_FENCE}")
    known = _front_matter("\n".join(lines[1:end]), file)
    body = "\n".join(lines[end + 1 :]).strip()
    if not body:
        raise ConfigError(f"{file}:{len(lines)}: there are no instructions below the front matter")
    name, line = known["name"]
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{file}:{line}: name {name!r}: letters, digits, _ and - alone, at most 64")
    return Skill(name, known["description"][0], body, file)


def _text(file: Path, root: Path) -> str:
    try:
        if not file.resolve(strict=True).is_relative_to(root.resolve()):
            raise ConfigError(f"{file}: it is a link that leads out of {root}; copy the skill into it")
        if file.stat().st_size > LARGEST:
            raise ConfigError(f"{file}: {file.stat().st_size:,} bytes; a skill has {LARGEST:,} at most")
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError(f"{file}:{line}: this is not UTF-8") from None
    except (OSError, RuntimeError) as error:
        raise ConfigError(f"{file}: it cannot be read: {error}") from None


def _front_matter(text: str, file: Path) -> Mapping[str, tuple[str, int]]:
    """`name` and `description`, each with the line that it stands in."""
    import yaml

    try:
        node: Any = cast("Any", yaml).compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        problem = getattr(error, "problem", None) or "it cannot be read"
        raise ConfigError(f"{file}:{mark.line + 2 if mark else 2}: the front matter is not YAML: {problem}") from None
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(f"{file}:2: the front matter is no mapping; write name: … and description: …")
    known = _texts(node, file)
    for wanted in ("name", "description"):
        if wanted not in known:
            raise ConfigError(f"{file}:2: the front matter has no {wanted}")
    return known


def _texts(mapping: MappingNode, file: Path) -> dict[str, tuple[str, int]]:
    known: dict[str, tuple[str, int]] = {}
    pairs: Any = mapping.value
    for key, value in pairs:
        name, line = key.value, key.start_mark.line + 2
        if name not in ("name", "description"):
            continue  # what other programs keep there is theirs
        if name in known:
            raise ConfigError(f"{file}:{line}: {name} stands here a second time")
        if value.tag != "tag:yaml.org,2002:str" or not str(value.value).strip():
            raise ConfigError(f"{file}:{line}: {name} must be a text; put quotes around it")
        known[name] = (str(value.value).strip(), line)
    return known

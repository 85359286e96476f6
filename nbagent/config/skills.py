"""The skills that an agent of a file has: of the folders where skills are kept, and those that stand in the file.

``skills: true`` takes all of the folders in `FOLDERS`, beside the file and in the working folder; a list chooses some
by name, names further folders (with a ``/`` in them) and holds skills itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nbagent.config.problems import Place, Report, meant
from nbagent.errors import ConfigError
from nbagent.skills import FILE, Skill, load_skills

if TYPE_CHECKING:
    from nbagent.config import shape

FOLDERS = (".agents/skills", ".claude/skills")
"""Where skills are looked for."""
_LOCAL = "local"


def made(name: str, agent: shape.Agent, report: Report) -> tuple[Skill, ...]:
    """The skills of an agent; what is wrong is in the report then."""
    place: Place = ("agents", name, "skills")
    if isinstance(agent.skills, bool):
        return tuple(_local(place, report).values()) if agent.skills else ()
    words = [one for one in agent.skills if isinstance(one, str)]
    chosen: dict[str, Skill] = {}
    names = [word for word in words if "/" not in word and word != _LOCAL]
    known = _local(place, report) if names or _LOCAL in words else {}
    if _LOCAL in words or not names:
        chosen |= known if _LOCAL in words else {}
    for index, one in enumerate(agent.skills):
        here = (*place, index)
        if not isinstance(one, str):
            chosen |= _inline(one, here, report)
        elif one.startswith(("http://", "https://")):
            report.warning(here, "nbagent takes no skills from the net; it is left out")
        elif "/" in one:
            chosen |= _in(report.path(one), here, report)
        elif one in known:
            chosen[one] = known[one]
        elif one != _LOCAL:
            report.error(here, f"there is no such skill; {meant(one, known)}")
    return tuple(chosen.values())


def _local(place: Place, report: Report) -> dict[str, Skill]:
    found: dict[str, Skill] = {}
    folders = {base / folder: None for base in (report.folder, Path.cwd()) for folder in FOLDERS}
    for folder in folders:
        if any(folder.glob(f"*/{FILE}")):
            found = _in(folder, place, report) | found
    if not found:
        report.warning(place, f"there are no skills in {' or '.join(FOLDERS)}")
    return found


def _in(folder: Path, place: Place, report: Report) -> dict[str, Skill]:
    try:
        skills = load_skills(folder)
    except ConfigError as error:
        report.error(place, str(error))
        return {}
    except OSError as error:  # a name that no file can have
        report.error(place, f"skills: {error.strerror}")
        return {}
    report.read += [skill.path for skill in skills if skill.path is not None]
    return {skill.name: skill for skill in skills}


def _inline(given: shape.InlineSkill, place: Place, report: Report) -> dict[str, Skill]:
    try:
        skill = Skill(given.name, given.description, given.instructions)
    except ConfigError as error:
        report.error(place, str(error))
        return {}
    return {skill.name: skill}

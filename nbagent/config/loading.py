"""`load` and `validate`: a file read, checked and built, in one go.

The top of the package. What is heavy (pydantic, PyYAML) is imported here, when a file is loaded. It guarantees: a file
that cannot be used is one `ConfigError` with every mistake in it; loading starts no process and sends nothing.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbagent.config.problems import ConfigWarning, Problem, Report, home, meant
from nbagent.errors import ConfigError
from nbagent.models import resolve
from nbagent.ports import Model

if TYPE_CHECKING:
    from nbagent.agent import Team


def load(path: str | os.PathLike[str], *, models: Mapping[str, Model | str] | None = None) -> Team:
    """The team that a file in docker-agent's YAML declares.

    Nothing is started and no variable of the environment is read: servers, keys and addresses are looked for when an
    agent runs. Paths in the file are relative to the folder that it lies in. A file can name programs to run and
    addresses to send keys to: load those that you would run as a script.

    Parameters
    ----------
    path
        The file.
    models
        Models that stand in for those of the file, by the name of an agent or of one below ``models:``; for tests, and
        for notebooks without a key.

    Returns
    -------
    Team
        Its first agent is the one named ``root``, else the first of the file.

    Raises
    ------
    ConfigError
        It cannot be used; a line for each mistake, with file, line and column.

    Warns
    -----
    ConfigWarning
        It holds something that nbagent does not use; one for each.

    Examples
    --------
    ::

        team = nbagent.load("team.yaml", models={"root": ScriptedModel(["Hello!"])})
        print(nbagent.run_sync(team, "Hi").text)
    """
    loaded = _loaded(path, models or {})
    if loaded.team is None:
        raise loaded.report.refused()
    _tell(loaded.report)
    return loaded.team


def validate(path: str | os.PathLike[str]) -> list[Problem]:
    """Everything that is wrong with a file, and everything in it that nbagent leaves out.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    list[Problem]
        In the order of the file; empty where nothing is to be said. Those of level ``error`` make it unusable.
    """
    return _in_order(_loaded(path, {}).report)


def schema() -> dict[str, Any]:
    """The JSON schema of a file, for editors."""
    from nbagent.config import checking

    return checking.schema()


@dataclass(frozen=True, slots=True)
class _Loaded:
    team: Team | None
    report: Report


def _loaded(path: str | os.PathLike[str], models: Mapping[str, Model | str]) -> _Loaded:
    from nbagent.config import building, checking, reading

    report = Report(home(path))
    given = {name: resolve(model) for name, model in models.items()}
    data = reading.read(report)
    if report.errors:
        return _Loaded(None, report)
    document = checking.check(data, report)
    if document is None:
        return _Loaded(None, report)
    for name in given:
        if name not in document.agents and name not in document.models:
            known = [*document.agents, *document.models]
            raise ConfigError(
                f"models={{{name!r}: …}}: {path} has no agent or model of that name; {meant(name, known)}"
            )
    return _Loaded(building.build(document, report, given), report)


def _tell(report: Report) -> None:
    """Warn of what is left out of a file that can be used, at line and column.

    Python shows the source line of a warning, in which a key or a password may stand: of ``team.yaml:3`` it finds none.
    """
    for problem in _in_order(report):
        words = f"{problem.place}: {problem.message}" if problem.place else problem.message
        warnings.warn_explicit(words, ConfigWarning, f"{problem.file}:{problem.line}", problem.column)


def _in_order(report: Report) -> list[Problem]:
    return sorted(report.problems, key=lambda problem: (problem.line, problem.column))


# ---------------------------------------------------------------- for %agent_run


_Stamp = tuple[tuple[str, int, int], ...]
_kept: dict[Path, tuple[_Stamp, Team]] = {}


def load_kept(path: str | os.PathLike[str], *, quiet: bool = False) -> Team:
    """The same team again, as long as neither the file nor one that it names has changed.

    Parameters
    ----------
    path
        The file.
    quiet
        Without the warnings, which come when it is loaded the next time.

    Raises
    ------
    ConfigError
        It cannot be used.
    """
    where = home(path).absolute()
    known = _kept.get(where)
    if known is not None and known[0] == _stamp(Path(name) for name, _, _ in known[0]):
        return known[1]
    loaded = _loaded(path, {})
    if loaded.team is None:
        raise loaded.report.refused()
    if not quiet:
        _kept[where] = (_stamp(file.absolute() for file in loaded.report.read), loaded.team)
        _tell(loaded.report)
    return loaded.team


def _stamp(files: Iterable[Path]) -> _Stamp:
    return tuple((os.fspath(file), *_version(file)) for file in files)


def _version(file: Path) -> tuple[int, int]:
    try:
        status = file.stat()
    except OSError:
        return (0, 0)
    return (status.st_mtime_ns, status.st_size)

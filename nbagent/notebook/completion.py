"""Tab completion for nbagent's magics: options, their values, the names of agents and of runs.

`candidates` is pure; `install` makes it a matcher of IPython's completer that suppresses the others, jedi included,
since to them an agent's prompt is Python. After the agent's name the prompt begins, where `/`, `{` and `@` have
something to complete: the agent's own prompts, the variables that the prompt would expand, and files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from nbagent.events import Action
from nbagent.notebook.names import ANSWERS, Names, agent_names, file_names, known_commands
from nbagent.notebook.parsing import APPROVE, OPTIONS, unquoted
from nbagent.notebook.prompt.files import names as prompt_files

if TYPE_CHECKING:
    from IPython.core.completer import CompletionContext

    from nbagent.notebook.workspace import Workspace

_MAGIC = re.compile(r"^\s*(?:[^%\s][^%]*=\s*)?%%?(agent_\w+)\s+(.*)$", re.DOTALL)
_FILE = re.compile(r"(?:^|[(\[])@([^\s\"'@]*)$")
_FIELD = re.compile(r"\{(\w*)$")
_SHORT = {option.short: name for name, option in OPTIONS.items() if option.short}


@dataclass(frozen=True, slots=True)
class Known:
    """What there is to choose from.

    Parameters
    ----------
    names
        The user's variables.
    sessions
        The names of sessions.
    runs
        The runs' names.
    questions
        The names of the questions that wait.
    files
        The names of files that may hold a team.
    answers
        The names of files that may hold answers.
    """

    names: Names
    sessions: Callable[[], list[str]]
    runs: Callable[[], list[str]]
    questions: Callable[[], list[str]] = list
    files: Callable[[], list[str]] = list
    answers: Callable[[], list[str]] = list


def candidates(before: str, known: Known) -> tuple[str, list[str]] | None:
    """What may stand at the end of `before`, the line up to the cursor.

    Returns
    -------
    tuple or None
        The fragment that is completed and the words for it; None where the line is none of nbagent's.
    """
    found = _MAGIC.match(before)
    if found is None:
        return None
    magic, line = found[1], found[2]
    fragment = "" if line[-1:].isspace() or not line else line.split()[-1]
    if magic in ("agent_stop", "agent_show"):
        return fragment, _starting(fragment, known.runs())
    if magic == "agent_answer":
        named = fragment != line.strip()
        return fragment, _starting(fragment, [*([] if named else known.questions()), *get_args(Action)])
    if magic != "agent_run":
        return fragment, []
    words = line[: len(line) - len(fragment)].split()
    agent, option = _read(words)
    if agent:
        if fragment.startswith("/") and words[-1] == agent:
            return fragment, _starting(fragment, known_commands(unquoted(agent), known.names))
        if (file := _FILE.search(fragment)) is not None:
            return file[1], prompt_files(file[1])
        field = _FIELD.search(fragment)
        return (field[1], _starting(field[1], _public(known.names))) if field else (fragment, [])
    if option:
        return fragment, _starting(fragment, _values(option, known))
    options = list(OPTIONS) if fragment.startswith("-") else []
    files = known.files() if fragment and not options else []
    return fragment, _starting(fragment, [*(options or agent_names(known.names)), *files])


def install(workspace: Workspace) -> Callable[[], None]:
    """Add the matcher to the shell's completer; what is returned takes it out again."""
    from IPython.core import completer as ipython

    completer: Any = workspace.shell.Completer

    def _waiting() -> list[str]:
        return list(workspace.answering.waiting())

    @ipython.context_matcher()  # pyright: ignore
    def agent_matcher(context: CompletionContext) -> Any:
        names: dict[str, Any] = workspace.shell.user_ns  # pyright: ignore
        known = Known(
            names,
            workspace.sessions.names,
            lambda: [run.id for run in workspace.runs.all],
            _waiting,
            file_names,
            lambda: file_names(ANSWERS),
        )
        found = candidates(context.text_until_cursor, known)
        if found is None:
            return {"completions": [], "suppress": False}
        fragment, words = found
        completions = [ipython.SimpleCompletion(text=word, type="magic") for word in words]
        return {"completions": completions, "suppress": True, "matched_fragment": fragment, "ordered": True}

    completer.custom_matchers.append(agent_matcher)
    return lambda: completer.custom_matchers.remove(agent_matcher)


def _read(words: list[str]) -> tuple[str, str]:
    """The agent, where it was named already, and else the option that still waits for its value."""
    waiting = ""
    for word in words:
        if waiting:
            waiting = ""
        elif not word.startswith("-"):
            return word, ""
        else:
            name = _SHORT.get(word, word)
            waiting = name if name in OPTIONS and OPTIONS[name].value else ""
    return "", waiting


def _values(option: str, known: Known) -> list[str]:
    match option:
        case "--approve":
            return list(APPROVE)
        case "--session":
            return known.sessions()
        case "--answers":
            names = [n for n in _public(known.names) if isinstance(known.names[n], Mapping) or callable(known.names[n])]
            return [*names, *known.answers()]
        case "--record-answers":
            return []
        case _:
            return [n for n in _public(known.names) if hasattr(known.names[n], "stream")]


def _public(names: Names) -> list[str]:
    return sorted(name for name in names if not name.startswith("_"))


def _starting(fragment: str, words: list[str]) -> list[str]:
    return [word for word in words if word.startswith(fragment)]

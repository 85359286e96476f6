"""Answers in a file: read for `answers=`, and written by `record_answers=`.

Two kinds of file. One object (JSON or YAML) holds values by field name, as a mapping given to `answers=` would. A list
of answers (JSON or YAML), or one answer a line (``.jsonl``), is a recording: each answer is given once, to the first
question with its ``message`` (and its ``source``, where it names one), in the order of the file. An answer without a
message is for the next question whatever it says. ::

    {"message": "Which city?", "source": "travel", "action": "accept", "content": {"city": "Oslo"}}

What is recorded is what a person, or `answers=`, decided; a question that nobody answered is not. The file holds what
was typed, in the clear, so it is made readable by its owner alone; fields that ask for a secret are never put. Below:
`config.reading` (YAML). Beside: `answers`, which checks what is read against the question.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from nbagent.errors import ConfigError
from nbagent.events import Action, ElicitationRequest
from nbagent.ports import ElicitationResult
from nbagent.schema.shapes import is_dict, is_list

FILES = (".json", ".jsonl", ".yaml", ".yml")
"""How the name of a file of answers ends."""

_LARGEST = 10_000_000
_KEYS = {"message", "source", "action", "content"}


@dataclass(slots=True)
class Recording:
    """Answers from a file, each given once; a function of the question, as `answers=` takes one.

    Parameters
    ----------
    name
        The file's, for messages.
    entries
        The answers that are left.
    """

    name: str
    entries: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def __call__(self, request: ElicitationRequest) -> tuple[str, Any]:
        """The first answer that is left for the question.

        Raises
        ------
        LookupError
            None is.
        """
        asked = (request.message, request.source)
        for at, entry in enumerate(self.entries):
            if (entry.get("message", request.message), entry.get("source", request.source)) == asked:
                del self.entries[at]
                return entry.get("action", "accept"), entry.get("content")
        raise LookupError(f"{self.name} holds no answer to it that is left")


def read(path: str | os.PathLike[str]) -> Mapping[str, Any] | Recording:
    """The answers in a file.

    Raises
    ------
    ConfigError
        It cannot be read, or holds no answers.
    """
    file = Path(path)
    try:
        if file.stat().st_size > _LARGEST:
            raise ConfigError(f"answers={file.name}: the file is larger than {_LARGEST // 1_000_000} MB")
        text = file.read_text(encoding="utf-8-sig")
        found = _data(file, text)
    except OSError as error:
        raise ConfigError(f"answers={file}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"answers={file.name}: {' '.join(str(error).split())[:200]}") from None
    if is_dict(found):
        return found
    if not is_list(found):
        raise ConfigError(f"answers={file.name}: an object of values by field name is expected, or a list of answers")
    return Recording(file.name, [_checked(file, number, entry) for number, entry in enumerate(found, 1)])


def _data(file: Path, text: str) -> Any:
    if file.suffix.lower() == ".jsonl":
        return [_line(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if file.suffix.lower() in (".yaml", ".yml"):
        from nbagent.config.reading import plain_data

        return plain_data(text)
    return json.loads(text)


def _line(number: int, line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise ValueError(f"line {number} is not JSON: {error}") from None


def _checked(file: Path, number: int, entry: Any) -> dict[str, Any]:
    """The answer; raises `ConfigError` for what is none."""
    where = f"answers={file.name}, answer {number}"
    if not is_dict(entry):
        raise ConfigError(
            f'{where}: an object like {{"message": "…", "action": "accept", "content": {{…}}}} is expected'
        )
    keys = set(entry)
    if "type" in keys and "stream_id" in keys:
        raise ConfigError(
            f"{where}: this file holds the events of a run, which keep no answers; record_answers= makes one that does"
        )
    if unknown := sorted(map(str, keys - _KEYS)):
        raise ConfigError(f"{where}: {unknown[0]!r} is unknown; known are message, source, action and content")
    actions = get_args(Action)
    if entry.get("action", "accept") not in actions:
        raise ConfigError(f"{where}: the action is one of {', '.join(actions)}, not {entry['action']!r}")
    return entry


class AnswerRecorder:
    """Writes what is decided, one line each; the file is begun anew.

    Parameters
    ----------
    path
        Where; its folder exists.

    Raises
    ------
    ConfigError
        The file cannot be written, or would be read by another format's rules.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        if self._path.suffix.lower() != ".jsonl":
            raise ConfigError(f"record_answers={self._path.name}: the name must end in .jsonl, one answer a line")
        try:
            os.close(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
            self._path.chmod(0o600)
        except OSError as error:
            raise ConfigError(f"record_answers={self._path}: {error.strerror or error}") from None

    def note(self, message: str, source: str, outcome: ElicitationResult) -> None:
        """Write a decision down; one that explains itself by a note was nobody's."""
        if outcome.note:
            return
        entry: dict[str, Any] = {"message": message, "source": source, "action": outcome.action}
        if outcome.content is not None:
            entry["content"] = outcome.content
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")

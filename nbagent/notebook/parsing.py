"""What a magic's line says: options, the agent's name and the prompt, as one frozen dataclass.

`%agent_run [options] AGENT PROMPT`: options stand before the agent, and all that follows the agent is the prompt,
word for word, so that a prompt needs no quoting (one pair of quotes around the whole is taken off). That is why this
is a scanner of its own and not argparse or shlex, which would split the prompt, eat its quotes and stumble over an
apostrophe.

It guarantees: every mistake is a `nbagent.errors.UsageError` of one line that says what to write instead.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, cast, get_args

from nbagent.errors import UsageError
from nbagent.events import Action

Approve = Literal["ask", "all", "none"]
APPROVE: tuple[Approve, ...] = ("ask", "all", "none")


@dataclass(frozen=True, slots=True)
class Option:
    """One option of `%agent_run`: its short form or "", what its value is called ("" for a switch), its help."""

    short: str
    value: str
    help: str


OPTIONS: Mapping[str, Option] = MappingProxyType(
    {
        "--background": Option("-b", "", "return at once; the run goes on in its cell, on a fork of the session"),
        "--new": Option("-n", "", "begin a fresh session with this agent"),
        "--session": Option("", "NAME", "go on with the session of that name, or begin it"),
        "--model": Option("", "MODEL", "another model for this run: its name, or a variable that holds one"),
        "--approve": Option("", "ask|all|none", "tool calls that can hurt: ask (the default), run all, refuse all"),
        "--answers": Option("", "NAME|FILE", "what answers forms: a mapping, a function of the question, or a file"),
        "--record-answers": Option("", "FILE", "write what is answered to FILE.jsonl, which --answers takes"),
        "--plain": Option("", "", "text instead of widgets"),
    }
)
"""The options of `%agent_run`, by their long form."""

_SHORT = {option.short: name for name, option in OPTIONS.items() if option.short}
_QUOTES = "\"'"
_WORD = re.compile(r"""\s*("[^"]*"|'[^']*'|\S+)""", re.DOTALL)


@dataclass(frozen=True, slots=True)
class RunCommand:
    """What `%agent_run` was asked to do; see `OPTIONS`."""

    agent: str
    prompt: str
    background: bool = False
    new: bool = False
    session: str = ""
    model: str = ""
    approve: Approve = "ask"
    answers: str = ""
    record_answers: str = ""
    plain: bool = False


@dataclass(frozen=True, slots=True)
class AnswerCommand:
    """What `%agent_answer` was asked to do; without a `question`, to the newest."""

    question: str | None
    action: Action
    content: dict[str, Any] | None = None


def parse_run(line: str, body: str | None = None) -> RunCommand:
    """Read `%agent_run LINE`, or `%%agent_run LINE` with `body` as the prompt.

    Raises
    ------
    UsageError
        An option, the agent or the prompt is missing or wrong.
    """
    options, rest = _take_options(line)
    agent, rest = _take_agent(rest, body is not None)
    if body is not None:
        later, rest = _take_options(rest)
        options |= later
        if rest:
            raise UsageError(f"with %%agent_run the prompt stands below the line; found {_quoted(rest)} after {agent}")
    prompt = (rest if body is None else body).strip()
    if body is None:
        _refuse_late_option(prompt, agent)
        prompt = unquoted(prompt)
    if not prompt:
        raise UsageError(f"no prompt: write what {agent} is to do, as in %agent_run {agent} What is new?")
    return _command(agent, prompt, options)


def parse_id(line: str, magic: str) -> str | None:
    """Read the one optional identifier of `%agent_stop` and `%agent_show`.

    Raises
    ------
    UsageError
        There is more than one word, or an option.
    """
    words = line.split()
    if not words:
        return None
    if len(words) > 1 or words[0].startswith("-"):
        raise UsageError(f"%{magic} takes one run's id at most; %agent_list shows them")
    return unquoted(words[0])


def parse_nothing(line: str, magic: str) -> None:
    """Read the line of `%agent_pending` and `%agent_list`, which take nothing.

    Raises
    ------
    UsageError
        There is something.
    """
    if line.strip():
        raise UsageError(f"%{magic} takes nothing and lists all; found {_quoted(line.strip())}")


def parse_answer(line: str) -> AnswerCommand:
    """Read `%agent_answer [ID] accept|decline|cancel [JSON]`.

    Raises
    ------
    UsageError
        The action is missing or unknown, or the content is no object in JSON.
    """
    question, (action, rest) = None, _take_word(line.strip())
    if action and action not in get_args(Action):
        question, (action, rest) = action, _take_word(rest)
    if action not in get_args(Action):
        raise UsageError("write %agent_answer [ID] accept|decline|cancel [JSON]; %agent_pending lists what waits")
    if not rest:
        return AnswerCommand(question, cast(Action, action))
    try:
        content: Any = json.loads(unquoted(rest))
        json.dumps(content, ensure_ascii=False).encode()  # which half a pair of surrogates fails
    except UnicodeEncodeError:
        raise UsageError(f"{_quoted(rest)} holds half a character: write the whole of it") from None
    except ValueError as error:
        raise UsageError(f"{_quoted(rest)} is not JSON: {error}") from None
    if action == "cancel" or not isinstance(content, dict):
        form = "cancel takes no content" if action == "cancel" else 'the content is an object: {"name": value, …}'
        raise UsageError(form)
    return AnswerCommand(question, cast(Action, action), cast("dict[str, Any]", content))


def unquoted(text: str) -> str:
    """`text` without the one pair of quotes that encloses the whole of it, if there is one."""
    for quote in ('"""', "'''", '"', "'"):
        inner = text[len(quote) : -len(quote)]
        if len(text) >= 2 * len(quote) and text.startswith(quote) and text.endswith(quote) and quote not in inner:
            return inner
    return text


def _take_options(text: str) -> tuple[dict[str, str], str]:
    """The options at the beginning of `text`, by long form, and what follows them."""
    options: dict[str, str] = {}
    rest = text.strip()
    while rest.startswith("-"):
        word, after = _take_word(rest)
        if word == "--":
            return options, after
        name, _, attached = word.partition("=")
        name = _known_option(name)
        if not OPTIONS[name].value:
            if attached:
                raise UsageError(f"{name} takes no value")
            options[name], rest = "yes", after
            continue
        if not attached:
            attached, after = _take_word(after)
        if not attached or (attached.startswith("-") and "=" not in word):
            raise UsageError(f"{name} needs a value: {name} {OPTIONS[name].value}")
        options[name], rest = unquoted(attached), after
    return options, rest


def _take_word(text: str) -> tuple[str, str]:
    found = _WORD.match(text)
    return (found[1], text[found.end() :].lstrip()) if found else ("", "")


def _known_option(word: str) -> str:
    name = _SHORT.get(word, word)
    if name in OPTIONS:
        return name
    near = difflib.get_close_matches(word, [*OPTIONS, *_SHORT], n=1)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(OPTIONS)}"
    raise UsageError(f"unknown option {word}; {hint}")


def _take_agent(text: str, is_cell: bool) -> tuple[str, str]:
    word, rest = _take_word(text)
    if not word:
        form = "%%agent_run [options] AGENT" if is_cell else "%agent_run [options] AGENT PROMPT"
        raise UsageError(f"no agent: write {form}, where AGENT is a variable that holds one, or demo")
    return unquoted(word), rest


def _refuse_late_option(prompt: str, agent: str) -> None:
    word = prompt.split(maxsplit=1)[0].partition("=")[0] if prompt else ""
    if word in OPTIONS or word in _SHORT:
        raise UsageError(
            f"{word} stands after {agent}, where the prompt begins: put options before the agent, or quote the prompt"
        )


def _command(agent: str, prompt: str, options: Mapping[str, str]) -> RunCommand:
    approve = options.get("--approve", "ask")
    if approve not in APPROVE:
        raise UsageError(f"--approve takes ask, all or none, not {_quoted(approve)}")
    if "--new" in options and "--session" in options:
        raise UsageError("--new begins a fresh session and --session goes on with one: choose one of the two")
    return RunCommand(
        agent=agent,
        prompt=prompt,
        background="--background" in options,
        new="--new" in options,
        session=options.get("--session", ""),
        model=options.get("--model", ""),
        approve=approve,
        answers=options.get("--answers", ""),
        record_answers=options.get("--record-answers", ""),
        plain="--plain" in options,
    )


def _quoted(text: str, limit: int = 40) -> str:
    line = " ".join(text.split())
    return f'"{line if len(line) <= limit else line[: limit - 1] + "…"}"'

"""Slash commands of a file: what becomes of the words after the name, of variables, and of names that nobody knows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

import nbagent
from nbagent.config import ConfigWarning
from nbagent.errors import UsageError
from nbagent.notebook.commands import commands_of, spoken
from nbagent.notebook.completion import Known, candidates
from tests.config.support import FILES, written

GARDEN = FILES / "commands.yaml"


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> Mapping[str, str]:
    monkeypatch.setenv("GARDEN", "the roof")
    return commands_of(nbagent.load(GARDEN))


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("/plan spring 'little time'", "Plan the beds for spring, with little time in mind."),
        ("/plan", "Plan the beds for , with  in mind."),
        ("/plan $2 ${args}", "Plan the beds for $2, with ${args} in mind."),
        ("/sow May quickly", "What can be sown in May? All that I said: May quickly."),
        ("/compare peas beans", "Compare peas and beans for the roof."),
        ("/water", "How much water is enough?"),
        ("/water in June", "How much water is enough?\n\nin June"),
    ],
)
def test_words_go_where_the_prompt_has_them(commands: Mapping[str, str], prompt: str, said: str) -> None:
    assert spoken(prompt, commands) == said


def test_a_price_is_no_word() -> None:
    assert spoken("/buy two", {"buy": "Buy $1 for $15."}) == "Buy two for $15."


@pytest.mark.parametrize(("name", "near"), [("pln", "plan"), ("fix:lint", "plan"), ("Water", "water"), ("søw", "sow")])
def test_a_name_that_nobody_knows_is_refused_in_one_line(commands: Mapping[str, str], name: str, near: str) -> None:
    with pytest.raises(UsageError, match=rf"unknown command /{name}; .*/{near}") as raised:
        spoken(f"/{name} a b", commands)
    assert "\n" not in str(raised.value)


def test_a_variable_that_is_not_set_is_said_when_its_prompt_is_called_and_not_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("GARDEN", raising=False)
    found = commands_of(nbagent.load(GARDEN))
    assert spoken("/water", found) == "How much water is enough?"
    with pytest.raises(UsageError, match=r"GARDEN is not set, and the command compare of agent root of commands\.yaml"):
        spoken("/compare a b", found)


def test_tab_completes_the_commands_of_a_file_whatever_its_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GARDEN", raising=False)
    assert candidates(f"%agent_run {GARDEN} /", Known({}, list, list)) == ("/", ["/plan", "/sow", "/compare", "/water"])
    assert candidates(f"%agent_run {GARDEN} /co", Known({}, list, list)) == ("/co", ["/compare"])


def test_what_nobody_can_call_and_what_is_not_run_is_warned_of(tmp_path: Path) -> None:
    text = 'agents: {root: {model: openai/a, commands: {"two words": Hi, look: "Read !`ls` first."}}}'
    with pytest.warns(ConfigWarning) as warned:
        nbagent.load(written(tmp_path, text))
    words = [str(one.message) for one in warned]
    assert "nobody can call it by /name" in words[0] and "runs no !`command`" in words[1]

"""What the words of a line stand for, what may be completed, and when a value is echoed: the pure parts."""

from __future__ import annotations

import inspect
from types import FrameType
from typing import Any

import pytest

from nbagent import Agent, Runtime, Team
from nbagent.errors import UsageError
from nbagent.models import ScriptedModel
from nbagent.notebook.completion import Known, candidates
from nbagent.notebook.echo import is_bare
from nbagent.notebook.names import agent_names, find_agent, find_answers, find_model, names_of

HELPER = Agent("helper", model=ScriptedModel(["hi"]))
NAMES: dict[str, Any] = {
    "helper": HELPER,
    "team": Team(HELPER),
    "runtime": Runtime(HELPER),
    "_hidden": HELPER,
    "number": 3,
    "filled": {"city": "Rome"},
    "other_model": ScriptedModel(["x"]),
}


def bundled(name: str) -> Agent | None:
    return Agent("demo", model=ScriptedModel([])) if name == "demo" else None


def test_agents_teams_runtimes_and_the_demo_are_found() -> None:
    assert [find_agent(name, NAMES, bundled) for name in ("helper", "team", "runtime", "_hidden")] == [
        HELPER, NAMES["team"], NAMES["runtime"], HELPER,
    ]  # fmt: skip
    found = find_agent("demo", NAMES, bundled)
    assert isinstance(found, Agent)
    assert find_agent("demo", {"demo": HELPER}, bundled) is HELPER
    assert agent_names(NAMES) == ["demo", "helper", "runtime", "team"]


@pytest.mark.parametrize(
    ("name", "words"), [("helpr", "did you mean helper"), ("zzz", "known here: demo, helper"), ("number", "type int")]
)
def test_what_is_no_agent_is_said_in_one_line(name: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        find_agent(name, NAMES, bundled)


def test_answers_and_models() -> None:
    assert find_answers("", NAMES) is None
    assert find_answers("filled", NAMES) == {"city": "Rome"}
    for name in ("nothing", "number"):
        with pytest.raises(UsageError, match=name):
            find_answers(name, NAMES)
    assert find_model("", NAMES) is None
    assert find_model("other_model", NAMES) is NAMES["other_model"]
    assert find_model("openai:gpt-5-mini", NAMES) == "openai:gpt-5-mini"


def test_a_frames_names_are_its_locals_before_its_globals() -> None:
    number = 7
    names = names_of(inspect.currentframe())
    assert names["number"] == number
    assert names["HELPER"] is HELPER
    assert "print" not in names
    assert names_of(None) == {}


@pytest.mark.parametrize(
    ("before", "fragment", "words"),
    [
        ("%agent_run ", "", ["demo", "helper", "runtime", "team"]),
        ("%agent_run he", "he", ["helper"]),
        ("%%agent_run --plain te", "te", ["team"]),
        ("x = %agent_run --ap", "--ap", ["--approve"]),
        ("%agent_run -", "-", None),
        ("%agent_run --approve a", "a", ["ask", "all"]),
        ("%agent_run --session ", "", ["taxes"]),
        ("%agent_run --answers ", "", ["filled", "kept.jsonl"]),
        ("%agent_run --answers k", "k", ["kept.jsonl"]),
        ("%agent_run --model ", "", ["other_model"]),
        ("%agent_run helper pri", "pri", []),
        ("%agent_run helper {num", "num", ["number"]),
        ("%agent_stop r", "r", ["r1", "r2"]),
        ("%agent_show ", "", ["r1", "r2"]),
    ],
)
def test_completion(before: str, fragment: str, words: list[str] | None) -> None:
    found = candidates(before, Known(NAMES, lambda: ["taxes"], lambda: ["r1", "r2"], answers=lambda: ["kept.jsonl"]))
    assert found is not None
    assert found[0] == fragment
    if words is None:
        assert "--background" in found[1]
    else:
        assert found[1] == words


@pytest.mark.parametrize(
    "before", ["helper", "print(%agent_run", "%time helper ", "agent_run he", "x = 5 % agent_run "]
)
def test_other_lines_are_left_to_others(before: str) -> None:
    assert candidates(before, Known(NAMES, list, list)) is None


def test_echo_a_value_that_nobody_takes() -> None:
    seen: list[bool] = []

    def magic() -> int:
        frame: FrameType | None = inspect.currentframe()
        seen.append(is_bare(frame and frame.f_back))
        return 1

    space = {"magic": magic}
    exec(compile("magic()", "cell", "single"), space)
    exec(compile("magic()\nx = magic()\nprint(magic())\ny = [magic()]", "cell", "exec"), space)
    exec("def f():\n    magic()\n    z = magic()\n    return magic()\nf()", space)
    assert seen == [True, True, False, False, False, True, False, False]

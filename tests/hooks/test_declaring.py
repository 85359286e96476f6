"""How hooks are declared: what is taken, what is refused where it was written, and which hooks a call is for."""

from __future__ import annotations

from typing import Any

import pytest

from nbagent.agent import Agent, Team
from nbagent.errors import ConfigError
from nbagent.hooks import CommandHook, HookContext, HookResult, call, check, chosen, matching
from nbagent.models import ScriptedModel
from nbagent.session import Session

pytestmark = pytest.mark.anyio


def one(context: HookContext) -> None: ...


def two(context: HookContext) -> None: ...


def three(context: HookContext) -> None: ...


def test_one_hook_or_several_and_matchers_among_them() -> None:
    assert check({"stop": one}) == {"stop": (one,)}
    guard = matching("shell", one, two)
    assert check({"pre_tool_use": guard}) == {"pre_tool_use": (guard,)}
    declared = check({"pre_tool_use": [guard, three]})
    assert check(declared) == declared
    assert list(chosen(declared["pre_tool_use"], "shell")) == [one, two, three]
    assert list(chosen(declared["pre_tool_use"], "other")) == [three]


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("shell|write_.*", "write_file", True),
        ("shell|write_.*", "shell", True),
        ("shell|write_.*", "shell_history", False),
        ("shell|write_.*", "a_shell", False),
        ("", "anything", True),
        ("*", "anything", True),
        ("Shell", "shell", False),
        ("(?i)Shell", "shell", True),
    ],
)
def test_a_matcher_fits_the_whole_name(pattern: str, name: str, fits: bool) -> None:
    assert (list(chosen([matching(pattern, one)], name)) == [one]) is fits


@pytest.mark.parametrize("pattern", ["(", "**", "a{2,1}", 5])
def test_a_pattern_that_is_none_is_refused(pattern: Any) -> None:
    with pytest.raises(ConfigError, match="not a regular expression over tool names"):
        matching(pattern, one)


def test_a_matcher_needs_hooks() -> None:
    with pytest.raises(ConfigError, match="give the hooks"):
        matching("shell")
    with pytest.raises(ConfigError, match="is not a function"):
        matching("shell", "guard.py")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("point", ["session_start", "user_prompt_submit", "on_user_input", "stop"])
def test_a_matcher_stands_where_there_is_a_tool(point: str) -> None:
    with pytest.raises(ConfigError, match="for pre_tool_use, permission_request, post_tool_use alone"):
        Agent("a", model=ScriptedModel([]), hooks={point: matching("shell", one)})


@pytest.mark.parametrize("given", [5, "guard.py", b"guard.py", {"shell": one}, None])
def test_what_is_no_hook_is_refused(given: Any) -> None:
    with pytest.raises(ConfigError, match="neither a function nor several"):
        Team(Agent("a", model=ScriptedModel([])), hooks={"stop": given})


def test_an_unknown_point_is_refused() -> None:
    with pytest.raises(ConfigError, match="there is no hook point 'before'; there are: session_start"):
        check({"before": one})


@pytest.mark.parametrize("command", ["", " ", [], [""], [5], ["x", 5]])
def test_a_command_is_a_text_or_texts(command: Any) -> None:
    with pytest.raises(ConfigError, match="give a program and its arguments"):
        CommandHook(command)


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
def test_a_command_has_time(timeout: float) -> None:
    with pytest.raises(ConfigError, match="a number of seconds, more than 0"):
        CommandHook("true", timeout=timeout)


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["./guards/guard.py", "--token=hunter2"], "guard.py"),
        ("./guard.py --token hunter2", "guard.py"),
        ("TOKEN=hunter2 A=b ./guard.sh", "guard.sh"),
        (["python3.11", "guards/guard.py"], "guard.py"),
        ("python -c 'print(1)'", "python"),
        ("bash guard.sh", "guard.sh"),
        ("curl https://user:hunter2@example.org", "curl"),
        ("node hunter2", "node"),
        ("'unbalanced hunter2", "command"),
        ("TOKEN=hunter2", "command"),
        ("(hunter2)", "command"),
    ],
)
def test_events_speak_of_a_command_by_its_file_alone(command: Any, name: str) -> None:
    assert CommandHook(command).__name__ == name
    assert "hunter2" not in repr(CommandHook(command))


@pytest.mark.parametrize(
    "result",
    [
        5,
        HookResult(context=7),  # pyright: ignore[reportArgumentType]
        HookResult(reason=None),  # pyright: ignore[reportArgumentType]
        HookResult(message=[]),  # pyright: ignore[reportArgumentType]
        HookResult(permission="yes"),  # pyright: ignore[reportArgumentType]
    ],
)
async def test_what_is_no_result_is_an_error(result: Any) -> None:
    with pytest.raises(ConfigError, match="returned"):
        await call(lambda context: result, HookContext("stop", Session(), "a", "s"))

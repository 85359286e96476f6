"""The toolsets and hooks of a file: what becomes of each, when it is used; and how little is said of its variables."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast

import anyio
import pytest

import nbagent
from nbagent.agent import Agent
from nbagent.errors import ToolsUnavailable
from nbagent.hooks import CommandFailed, HookContext, HookResult, call, chosen
from nbagent.ports import Tool
from nbagent.runtime import Runtime
from nbagent.session import Session
from tests.config.support import FILES, loaded, written
from tests.runtime.support import events_of
from tests.servers import first_era

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def root() -> Agent:
    return nbagent.load(FILES / "tools.yaml").root


@pytest.fixture
def _docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A docker command on the PATH, which a machine need not have; nothing here runs it."""
    program = tmp_path / "docker"
    program.touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)


async def tools_of(agent: Agent, index: int) -> dict[str, Tool]:
    """The tools of an agent's toolset, by name."""
    async with agent.toolsets[index].open(cast("Any", None)) as tools:
        return {tool.spec.name: tool for tool in tools}


def inner(agent: Agent, index: int) -> Any:
    """What a toolset of a file makes."""
    return cast("Any", agent.toolsets[index])._make()


@pytest.mark.usefixtures("_docker")
def test_each_toolset_has_its_name_and_nothing_is_made_before_it_is_opened(root: Agent) -> None:
    names = [toolset.name for toolset in root.toolsets]
    assert names == ["filesystem", "shell", "fetch", "mind", "docs", "context7", "server.py", "python"]
    assert all(cast("Any", toolset)._made is None for toolset in root.toolsets)
    assert inner(root, 5).name == root.toolsets[5].name


async def test_filesystem_is_rooted_beside_the_file_and_offers_the_chosen_tools(root: Agent) -> None:
    assert set(await tools_of(root, 0)) == {"read_file", "list_directory"}
    made = inner(root, 0)
    assert Path(made._root.path) == FILES and made._read_only


def test_shell_has_its_folder_time_and_variables(root: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREETING", "hello")
    made = inner(root, 1)
    assert (Path(made._cwd), made._timeout, made._env) == (FILES / "skills", 5, {"GREETING": "hello"})


async def test_a_variable_that_is_missing_is_one_line_when_the_toolset_is_opened(
    root: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GREETING", raising=False)
    with pytest.raises(ToolsUnavailable, match=r"toolset shell: the environment variable GREETING is not set, and "):
        await tools_of(root, 1)


def test_a_variable_of_the_dotenv_file_counts_where_the_environment_has_none(
    root: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("GREETING=from the file\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GREETING", raising=False)
    assert inner(root, 1)._env == {"GREETING": "from the file"}


def test_fetch_has_its_time_and_its_leave(root: Agent) -> None:
    made = inner(root, 2)
    assert (made._timeout, made._allow_private) == (3, True)


async def test_think_todo_and_user_prompt_are_there(root: Agent) -> None:
    assert set(await tools_of(root, 3)) == {"think"}
    team = nbagent.load(FILES / "team.yaml").root
    assert set(await tools_of(team, 2)) == {"user_prompt"}
    assert "list_todos" in await tools_of(team, 1)


def test_a_remote_server_gets_its_headers_and_shows_none(root: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCS_TOKEN", "t0ken-value")
    made = inner(root, 4)
    assert made._server.headers == {"Authorization": "Bearer t0ken-value"}
    assert made._server.url == "https://mcp.example.com/mcp"
    assert "t0ken" not in repr(made) + repr(root.toolsets[4])


@pytest.mark.usefixtures("_docker")
def test_a_server_of_dockers_catalogue_is_run_by_its_gateway(root: Agent) -> None:
    server = inner(root, 5)._server
    assert (server.command, server.args) == ("docker", ("mcp", "gateway", "run", "--servers=context7"))


def test_a_command_with_a_folder_lies_beside_the_file(root: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVER_MODE", "fast lane")
    server = inner(root, 6)._server
    assert Path(server.command) == FILES / "server.py"
    assert (server.args, Path(server.cwd)) == (("fast lane",), FILES / "skills")


async def test_functions_are_found_by_their_dotted_paths(root: Agent) -> None:
    assert set(await tools_of(root, 7)) == {"dumps"}


async def test_a_function_that_is_not_there_is_said_when_it_is_needed(tmp_path: Path) -> None:
    path = written(
        tmp_path, "agents: {root: {model: openai/a, toolsets: [{type: python, functions: ['json:nothing']}]}}"
    )
    with pytest.raises(ToolsUnavailable, match=r"the function json:nothing cannot be imported"):
        await tools_of(nbagent.load(path).root, 0)


def test_a_shared_server_has_its_own_choice_of_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEDGER_TOKEN", "abcdefgh")
    helper = nbagent.load(FILES / "team.yaml").agents["helper"]
    toolset = cast("Any", helper.toolsets[0])
    assert (toolset.name, toolset.kind, toolset._chosen) == ("ledger", "mcp", {"search"})
    server = toolset._make()._server
    assert server.args == ("-m", "ledger", "--port", "8080")
    assert server.env == {"LEDGER_TOKEN": "abcdefgh", "DEBUG": "true"}


async def test_a_real_server_is_started_for_a_run_and_its_tools_are_chosen(tmp_path: Path) -> None:
    command, args = first_era()
    path = written(
        tmp_path,
        f"""
        agents:
          root:
            model: openai/a
            toolsets:
              - type: mcp
                command: {command}
                args: {args}
                tools: [pid]
        """,
    )
    team = loaded(path, "Done.")
    runtime = Runtime(team)
    try:
        with anyio.fail_after(30):
            events = await events_of(runtime)
    finally:
        await runtime.aclose()
    (info,) = [event for event in events if event.type == "toolset_info"]
    assert cast("Any", info).tools == ("pid",)
    assert [event.type for event in events if event.type.startswith("mcp_init")] == [
        "mcp_init_started",
        "mcp_init_finished",
    ]


# ---------------------------------------------------------------- hooks


def hooks_for(point: str, tool: str = "") -> list[Any]:
    """The hooks of the guarded file."""
    return list(chosen(nbagent.load(FILES / "guarded.yaml").root.hooks[point], tool))


def told(point: str, tool: str = "") -> HookContext:
    return HookContext(point, Session(), "root", "s1", tool_name=tool)


async def called(hook: Any, point: str) -> HookResult:
    with anyio.fail_after(10):
        result = await call(hook, told(point, "shell"))
    assert result is not None
    return result


async def test_a_hook_runs_beside_the_file() -> None:
    (hook,) = hooks_for("session_start")
    assert (await called(hook, "session_start")).context == "Always speak the truth."


async def test_a_guard_is_called_for_its_tools_with_its_arguments_and_shows_no_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GUARD_KEY", "v3ry-s3cret")
    assert hooks_for("pre_tool_use", "read_file") == []
    (hook,) = hooks_for("pre_tool_use", "write_file")
    assert hook.__name__ == "guard"
    result = await called(hook, "pre_tool_use")
    assert result.block and result.reason == "--strict two words in files key=***"


async def test_a_hook_whose_variable_is_missing_blocks_where_the_file_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GUARD_KEY", raising=False)
    (hook,) = hooks_for("pre_tool_use", "shell")
    result = await called(hook, "pre_tool_use")
    assert result.block and "GUARD_KEY is not set" in result.reason


FAILING = "agents: {root: {model: openai/a, hooks: {%s}}}"


def failing(folder: Path, point: str, on_error: str) -> Any:
    """A hook of a file that fails, and what the file says of that."""
    hook = f"{{type: command, command: exit 3, on_error: {on_error}}}"
    declared = f"{point}: [{{hooks: [{hook}]}}]" if point == "pre_tool_use" else f"{point}: [{hook}]"
    (made,) = chosen(nbagent.load(written(folder, FAILING % declared)).root.hooks[point], "shell")
    return made


@pytest.mark.parametrize(("on_error", "blocks"), [("ignore", False), ("block", True)])
async def test_a_hook_that_fails_does_as_the_file_says(tmp_path: Path, on_error: str, blocks: bool) -> None:
    assert (await called(failing(tmp_path, "stop", on_error), "stop")).block is blocks


@pytest.mark.parametrize(("point", "on_error"), [("stop", "warn"), ("pre_tool_use", "ignore")])
async def test_a_failure_is_told_and_that_of_a_guard_is_never_ignored(
    tmp_path: Path, point: str, on_error: str
) -> None:
    with pytest.raises(CommandFailed, match="exit code 3"):
        await called(failing(tmp_path, point, on_error), point)


async def test_a_guard_that_nbagent_does_not_have_lets_nothing_through() -> None:
    with pytest.warns(nbagent.config.ConfigWarning):
        hooks = nbagent.load(FILES / "elsewhere.yaml").root.hooks
    assert set(hooks) == {"pre_tool_use"}
    (hook,) = chosen(hooks["pre_tool_use"], "shell")
    result = await called(hook, "pre_tool_use")
    assert result.block and "nbagent has no hook model" in result.reason

"""The files beside: each key that nbagent knows, loaded, and what became of it."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import pytest

import nbagent
from nbagent.agent import Agent, Team
from nbagent.config import ConfigWarning, validate
from nbagent.config.wanted import ConfiguredModel, RecentMessages
from nbagent.errors import ConfigError
from nbagent.models import ScriptedModel, ToolCall
from nbagent.ports import Model, ModelRequest, Tool
from nbagent.runtime import Runtime
from nbagent.session import Message, Session
from nbagent.widgets.blocks import Note
from nbagent.widgets.document import Document
from tests.config.support import ALL, FILES, loaded, written
from tests.runtime.support import events_of

pytestmark = pytest.mark.anyio

FINE = [path for path in ALL if path.name != "elsewhere.yaml"]


@pytest.fixture(scope="module")
def team() -> Team:
    return nbagent.load(FILES / "team.yaml")


@pytest.mark.parametrize("path", FINE, ids=lambda path: path.name)
def test_every_file_loads_without_a_word(path: Path) -> None:
    assert validate(path) == []
    assert isinstance(nbagent.load(path), Team)


def test_root_is_the_agent_that_the_user_talks_to_though_it_is_not_the_first(team: Team) -> None:
    assert team.root.name == "root"
    assert set(team.agents) == {"root", "helper", "writer"}


def test_agents_are_joined_by_name_also_in_circles(team: Team) -> None:
    root, writer = team.agents["root"], team.agents["writer"]
    assert root.sub_agents == (team.agents["helper"],) and root.handoffs == (writer,)
    assert writer.handoffs == (root,)
    assert root.background_agents and not writer.background_agents


def test_what_an_agent_says_of_itself(team: Team) -> None:
    root = team.root
    assert (root.description, root.welcome_message, root.max_iterations) == ("Talks to the user.", "Good morning.", 7)
    assert root.commands == {"plan": "Make a plan for $1.", "review": "Review it carefully."}
    assert team.agents["helper"].instructions == "Look it up, then answer. It costs $5.\n\nThe ledger is in euros."


async def test_a_conversation_begins_with_the_welcome_and_goes_on_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEAM_NAME", "the reds")
    runtime, session = Runtime(loaded(FILES / "team.yaml", "Hello.", "Hello again.")), Session()
    documents = [Document(), Document()]
    for document in documents:
        for event in await events_of(runtime, session):
            document.apply(event)
    shown = [[block.text for block in document.blocks() if isinstance(block, Note)] for document in documents]
    assert shown == [["Good morning."], []]


def test_permissions_hold_for_the_team(team: Team) -> None:
    assert team.permissions.allow == ("read_*", "mcp:ledger:search")
    assert (team.permissions.ask, team.permissions.deny) == (("fetch",), ("shell:cmd=*sudo*",))


def test_a_variable_of_the_instructions_is_read_when_they_are(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEAM_NAME", raising=False)
    with pytest.raises(ConfigError, match=r"TEAM_NAME is not set, and agent root of team\.yaml needs it"):
        _ = team.root.instructions
    monkeypatch.setenv("TEAM_NAME", "the reds")
    assert team.root.instructions == "You lead the reds."


def made(model: Model) -> Any:
    """The provider's model behind one of a file."""
    if isinstance(model, RecentMessages):
        model = model._model
    assert isinstance(model, ConfiguredModel)
    return model._make()


def test_a_model_has_what_its_provider_says(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOUSE_PORT", "4321")
    model = made(team.agents["helper"].model)
    assert model.name == "openai-chat:small" == team.agents["helper"].model.name
    assert model._base_url == "http://127.0.0.1:4321/v1"
    assert model._key_names == ("HOUSE_KEY",)
    assert model._settings == {"max_tokens": 512, "temperature": 0.2}


def test_an_address_that_changes_counts_with_the_next_request(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOUSE_PORT", "4321")
    first = made(team.agents["helper"].model)
    assert made(team.agents["helper"].model) is first
    monkeypatch.setenv("HOUSE_PORT", "4322")
    assert made(team.agents["helper"].model)._base_url == "http://127.0.0.1:4322/v1"


def test_fallbacks_stand_in_in_order(team: Team) -> None:
    model = made(team.root.model)
    assert [one.name for one in model._chain] == [
        "anthropic:claude-sonnet-4-5",
        "openai-chat:small",
        "openai:gpt-5-mini",
    ]
    assert model._settings == {"max_tokens": 4000, "temperature": 1}


class Listening(ScriptedModel):
    """Keeps what it was asked."""

    def __init__(self, *turns: Any) -> None:
        super().__init__(turns)
        self.asked: list[ModelRequest] = []

    def stream(self, request: ModelRequest) -> Any:
        self.asked.append(request)
        return super().stream(request)


async def heard_by(count: int, messages: list[Message]) -> list[str]:
    """What a model is sent of `messages` that is to be sent `count`."""
    listening = Listening("", "", "ok")
    async for _ in RecentMessages(listening, count).stream(ModelRequest(messages)):
        pass
    return [message.content for message in listening.asked[0].messages]


async def test_num_history_items_are_the_last_and_never_begin_with_a_tools_result() -> None:
    call = ToolCall("look", {}, "c1")
    messages = [
        Message("user", "one"),
        Message("assistant", "two", tool_calls=(call,)),
        Message("tool", "three", tool_call_id="c1"),
        Message("assistant", "four"),
    ]
    assert await heard_by(1, messages) == ["four"]
    assert await heard_by(2, messages) == ["two", "three", "four"]
    assert await heard_by(9, messages) == ["one", "two", "three", "four"]


def test_commands_may_stand_in_a_list(tmp_path: Path) -> None:
    path = written(
        tmp_path, "agents: {root: {model: openai/a, commands: [{one: First.}, {/two: {instruction: Second.}}]}}"
    )
    assert nbagent.load(path).root.commands == {"one": "First.", "two": "Second."}


async def test_an_agent_that_is_read_only_has_no_tool_that_writes(tmp_path: Path) -> None:
    toolsets = "[{type: filesystem, allow_list: [.]}, {type: think}, {type: shell}]"
    path = written(tmp_path, f"agents: {{root: {{model: openai/a, readonly: true, toolsets: {toolsets}}}}}")
    with pytest.warns(ConfigWarning, match="cannot hold shell"):
        agent = nbagent.load(path).root
    names = {tool.spec.name for tool in await tools_of(agent, 0)}
    assert "read_file" in names and not any("write" in name or "edit" in name for name in names)
    with pytest.raises(nbagent.errors.ToolsUnavailable):
        await tools_of(agent, 2)


# ---------------------------------------------------------------- briefed.yaml


def test_an_agent_is_told_the_date_its_place_and_the_prompt_files_when_it_speaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = nbagent.load(FILES / "briefed.yaml").root
    monkeypatch.chdir(tmp_path)
    told = agent.instructions
    assert told.startswith("You judge.\n\nToday is ")
    assert f"{datetime.now().astimezone():%A}" in told
    assert f"Working directory: {tmp_path}" in told
    assert told.endswith("From AGENTS.md:\n\nAlways speak the truth.\n\nFrom instruction.md:\n\nYou judge.")
    assert agent.hooks == {}


def test_the_prompt_files_are_those_of_now_also_above_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(
        tmp_path,
        "agents: {root: {model: openai/gpt-5-mini, add_environment_info: false, add_prompt_files: [NOTES.md]}}",
    )
    below = tmp_path / "further" / "down"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    agent = nbagent.load(path).root
    assert agent.instructions == ""
    (tmp_path / "NOTES.md").write_text("Be brief.")
    assert agent.instructions == "From NOTES.md:\n\nBe brief."


async def test_what_an_agent_is_told_reaches_its_model_also_after_a_handoff(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
        agents:
          root: {model: openai/a, handoffs: [next]}
          next: {model: openai/b, add_date: true, add_environment_info: true, instruction: Go on.}
        """,
    )
    listening = Listening("", "Done.")
    models = {"root": ScriptedModel([ToolCall("handoff", {"agent": "next"})]), "next": listening}
    result = await Runtime(nbagent.load(path, models=models)).run(Session(), "Go")
    assert result.text == "Done."
    assert listening.asked[0].instructions.startswith("Go on.\n\nToday is ")
    assert "\n\nWhere you work:\n" in listening.asked[0].instructions


def test_skills_come_from_a_folder_and_from_the_file_itself() -> None:
    skills = nbagent.load(FILES / "briefed.yaml").root.skills
    assert [(skill.name, skill.instructions) for skill in skills] == [
        ("proof", "Read it twice."),
        ("greet", "Say hello back."),
    ]


def test_max_iterations_0_never_asks() -> None:
    assert nbagent.load(FILES / "briefed.yaml").root.max_iterations > 10**9


async def test_an_answer_has_to_fit_the_schema_and_is_asked_for_again() -> None:
    team = loaded(FILES / "briefed.yaml", '{"good": true, "why": "x"}', '{"good": true, "why": "It is so."}')
    result = await Runtime(team).run(Session(), "Judge")
    assert result.output == {"good": True, "why": "It is so."}
    assert "why" in result.messages[-2].content


def test_the_model_is_told_the_schema_of_the_file() -> None:
    adapter = nbagent.load(FILES / "briefed.yaml").root.output_adapter
    assert adapter is not None
    schema = adapter.json_schema()
    assert schema["title"] == "verdict"
    assert schema["properties"]["why"] == {"type": "string", "minLength": 2}


# ---------------------------------------------------------------- models=


async def test_a_run_of_a_file_with_a_model_of_ones_own() -> None:
    team = loaded(FILES / "anchors.yaml", "Hello.")
    events = await events_of(Runtime(team))
    assert "".join(getattr(event, "content", "") for event in events if event.type == "agent_choice") == "Hello."


def test_a_model_of_ones_own_stands_in_for_one_of_the_file_wherever_it_is_named() -> None:
    quick = ScriptedModel(["Hi."])
    team = nbagent.load(FILES / "team.yaml", models={"quick": quick})
    assert team.agents["helper"].model is quick


def test_models_for_nobody_are_a_mistake() -> None:
    with pytest.raises(ConfigError, match=r"no agent or model of that name; did you mean quick\?"):
        nbagent.load(FILES / "team.yaml", models={"quik": ScriptedModel(["Hi."])})


async def test_a_run_whose_variable_is_missing_says_so_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOUSE_PORT", raising=False)
    helper = nbagent.load(FILES / "team.yaml").agents["helper"]
    alone = Agent("helper", model=helper.model)
    with pytest.raises(nbagent.RunError) as raised:
        await Runtime(alone).run(Session(), "Hi")
    words = str(raised.value)
    assert "HOUSE_PORT is not set" in words and "team.yaml:" in words and "\n" not in words


async def test_a_variable_that_the_instructions_lack_ends_the_run_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEAM_NAME", raising=False)
    with pytest.raises(nbagent.RunError, match=r"^the environment variable TEAM_NAME is not set") as raised:
        await Runtime(loaded(FILES / "team.yaml", "Hi.")).run(Session(), "Hi")
    assert "\n" not in str(raised.value)


# ---------------------------------------------------------------- YAML's own


def test_anchors_and_merge_keys_and_words_are_read_as_yaml_1_2_has_them() -> None:
    team = nbagent.load(FILES / "anchors.yaml")
    root, second = team.agents["root"], team.agents["second"]
    assert (root.description, root.instructions) == ("on", "2024-01-01")
    assert (second.description, second.instructions) == ("no", "2024-01-01")
    assert second.toolsets == ()


# ---------------------------------------------------------------- what nbagent does not have


def test_what_nbagent_does_not_have_is_a_warning_each_and_loads() -> None:
    problems = validate(FILES / "elsewhere.yaml")
    assert {problem.level for problem in problems} == {"warning"}
    places = {problem.place for problem in problems}
    assert {"runtime", "rag", "version", "agents.root.code_mode_tools", "agents.root.instructon"} <= places
    assert "agents.root.hooks.turn_start[0]" in places
    with pytest.warns(ConfigWarning) as caught:
        nbagent.load(FILES / "elsewhere.yaml")
    told = [(f"{warning.filename}:{warning.lineno}", str(warning.message)) for warning in caught]
    assert told == [(f"{one.file}:{one.line}:{one.column}", f"{one.place}: {one.message}") for one in problems]


def test_a_warning_shows_no_line_of_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "agents: {root: {model: openai/a, api_key: sk-canary-5}}")
    code = f"import nbagent; nbagent.load({str(path)!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr.startswith(f"{path}:1:34: ConfigWarning: agents.root.api_key: this key is not known")
    assert "canary" not in done.stderr


async def tools_of(agent: Agent, index: int) -> list[Tool]:
    """The tools of an agent's toolset."""
    async with agent.toolsets[index].open(cast("Any", None)) as tools:
        return list(tools)


@pytest.mark.parametrize(
    ("index", "words"),
    [(0, "no toolset of type memory"), (1, "cannot hold fetch"), (2, "cannot hold shell")],
)
async def test_a_toolset_that_cannot_be_had_fails_when_it_is_opened(index: int, words: str) -> None:
    with pytest.warns(ConfigWarning):
        agent = nbagent.load(FILES / "elsewhere.yaml").root
    with pytest.raises(nbagent.errors.ToolsUnavailable, match=words):
        await tools_of(agent, index)


def test_loading_reads_no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name not in ("PATH", "HOME")]:
        monkeypatch.delenv(name)
    for path in FINE:
        nbagent.load(path)

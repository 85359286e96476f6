"""``%agent_run team.yaml``: the team of a file, the same as long as the file is; its slash commands, its mistakes."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

import nbagent
from nbagent.agent import Agent, Team
from nbagent.errors import UsageError
from nbagent.models import ScriptedModel
from nbagent.notebook.commands import commands_of, spoken
from nbagent.notebook.completion import Known, candidates
from nbagent.notebook.names import file_names, find_agent
from tests.kernel.frontend import FrontEnd
from tests.models.formats import Chat
from tests.notebook.conftest import kept

TEAM = """
models:
  house: {provider: openai, model: small, base_url: "%s/v1", token_key: HOUSE_KEY}
agents:
  root:
    model: house
    commands:
      plan: Make a plan for $1 and $2.
      review: Review it.
"""


def nothing(name: str) -> Agent | None:
    return None


def found(path: Path) -> Team:
    team = find_agent(str(path), {}, nothing)
    assert isinstance(team, Team)
    return team


def edited(path: Path, text: str) -> Path:
    """The file with another text, at another time: some systems count mtime in ticks of several milliseconds."""
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(text)
    os.utime(path, ns=(before + 10**9, before + 10**9))
    return path


def test_a_file_is_a_team_and_the_same_one_until_it_or_what_it_names_is_edited(tmp_path: Path) -> None:
    path = edited(tmp_path / "team.yaml", "agents: {root: {model: openai/a, instruction_file: told.md}}")
    edited(tmp_path / "told.md", "One.")
    team = found(path)
    assert found(path) is team
    edited(tmp_path / "told.md", "Two.")
    second = found(path)
    assert (team.root.instructions, second.root.instructions) == ("One.", "Two.")
    edited(path, "agents: {root: {model: openai/b}}")
    assert found(path).root.model.name == "openai:b"


def test_what_is_left_out_of_a_file_is_told_once_and_not_by_completion(tmp_path: Path) -> None:
    path = edited(tmp_path / "team.yaml", "agents:\n  root: {model: openai/a, instructon: Hi, commands: {a: b}}")
    assert candidates(f"%agent_run {path} /", Known({}, list, list)) == ("/", ["/a"])
    with pytest.warns(
        nbagent.config.ConfigWarning, match=r"agents\.root\.instructon: .* did you mean instruction\?"
    ) as told:
        team = found(path)
    assert told[0].filename == f"{path}:2"
    assert found(path) is team


def test_a_file_wins_over_no_variable_and_a_variable_is_no_file() -> None:
    with pytest.raises(UsageError, match=r"none\.yaml: error: it cannot be read: No such file or directory"):
        find_agent("none.yaml", {"none": 1}, nothing)
    with pytest.raises(UsageError, match="unknown agent team; "):
        find_agent("team", {}, nothing)


def test_the_first_mistake_of_a_file_is_the_message_and_the_others_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "team.yml"
    path.write_text("agents:\n  root: {model: nothing, sub_agents: [nobody]}\n")
    with pytest.raises(UsageError) as raised:
        find_agent(str(path), {}, nothing)
    first, second = str(raised.value).splitlines()
    assert first.startswith(f"{path}:2:10: error: agents.root.model: there is no such model")
    assert second == f"… and 1 more: python -m nbagent validate {path}"


# ---------------------------------------------------------------- slash commands

COMMANDS = {"plan": "Make a plan for $1 and $2.", "review": "Review it."}


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("/plan Sunday 'the week after'", "Make a plan for Sunday and the week after."),
        ("/plan Sunday", "Make a plan for Sunday and ."),
        ("/plan Ada's day", "Make a plan for Ada's and day."),
        ("/review", "Review it."),
        ("/review  all\nof it", "Review it.\n\nall\nof it"),
        ("/etc/hosts is what?", "/etc/hosts is what?"),
        ("go /plan", "go /plan"),
        ("/ plan", "/ plan"),
    ],
)
def test_a_slash_command_is_the_prompt_of_that_name(prompt: str, said: str) -> None:
    assert spoken(prompt, COMMANDS) == said


def test_an_unknown_command_is_one_line_and_an_agent_without_commands_hears_what_was_said() -> None:
    with pytest.raises(UsageError, match=r"unknown command /pln; did you mean /plan\?"):
        spoken("/pln Sunday", COMMANDS)
    with pytest.raises(UsageError, match=r"unknown command /x; known are /plan, /review"):
        spoken("/x", COMMANDS)
    assert spoken("/pln Sunday", {}) == "/pln Sunday"


def test_commands_are_the_root_agents() -> None:
    agent = Agent("a", model=ScriptedModel([]), commands=COMMANDS)
    for declared in (agent, Team(agent), nbagent.Runtime(agent)):
        assert commands_of(declared) == COMMANDS


def test_commands_are_completed_where_the_prompt_begins(tmp_path: Path) -> None:
    path = tmp_path / "team.yaml"
    path.write_text(TEAM % "http://127.0.0.1:9")
    agent = Agent("helper", model=ScriptedModel([]), commands=COMMANDS)
    known = Known({"helper": agent, "plain": Agent("plain", model=ScriptedModel([]))}, list, list)
    assert candidates("%agent_run helper /", known) == ("/", ["/plan", "/review"])
    assert candidates("%agent_run --new helper /p", known) == ("/p", ["/plan"])
    assert candidates(f"%agent_run {path} /r", known) == ("/r", ["/review"])
    assert candidates("%agent_run helper go /", known) == ("/", [])
    assert candidates("%agent_run plain /", known) == ("/", [])
    assert candidates("%agent_run nobody /", known) == ("/", [])


def test_files_are_completed_once_their_name_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("team.yaml", "table.csv", ".hidden.yaml", "test.YML"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    known = Known({"tea": Agent("tea", model=ScriptedModel([]))}, list, list, list, file_names)
    assert candidates("%agent_run te", known) == ("te", ["tea", "team.yaml", "test.YML"])
    assert candidates("%agent_run ", known) == ("", ["demo", "tea"])


# ---------------------------------------------------------------- in a kernel


class House(BaseHTTPRequestHandler):
    """A provider that says what it was asked."""

    heard: list[dict[str, Any]]

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.heard.append(asked)
        body = "".join(Chat().said(["heard: ", asked["messages"][-1]["content"]])).encode()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@pytest.fixture
def house() -> Iterator[str]:
    House.heard = []
    server = HTTPServer(("127.0.0.1", 0), House)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()


@pytest.mark.slow
def test_a_file_runs_in_a_cell_and_its_commands_and_mistakes_do(tmp_path: Path, house: str) -> None:
    path = tmp_path / "team.yaml"
    path.write_text(TEAM % house)
    (tmp_path / "bad.yaml").write_text("agents: {root: {}}\n")
    with FrontEnd(cwd=str(tmp_path), env={"HOUSE_KEY": "k"}) as front:
        assert front.run("%load_ext nbagent").status == "ok"
        first = front.run('%agent_run --plain team.yaml "Hello there"', timeout=60)
        assert first.status == "ok", first.reply
        second = front.run("when = 'Sunday'\n%agent_run --plain team.yaml /plan {when} Monday", timeout=60)
        assert second.status == "ok", second.reply
        bad = front.run("%agent_run bad.yaml hi")
    assert "heard: Hello there" in kept(first)["text/plain"]
    assert "heard: Make a plan for Sunday and Monday." in kept(second)["text/plain"]
    assert [len(asked["messages"]) for asked in House.heard] == [1, 3]
    assert bad.reply is not None and bad.reply["ename"] == "UsageError"
    assert "bad.yaml:1:10: error: agents.root.model: this key is missing" in bad.reply["evalue"]

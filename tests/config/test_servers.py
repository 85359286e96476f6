"""MCP servers of a file, for real: Docker's gateway, remote addresses with headers, names that collide."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from nbagent.agent import Team
from nbagent.events import Error, Event, ToolCallResponse, ToolsetInfo
from nbagent.models import ToolCall
from nbagent.runtime import Runtime
from nbagent.session import Session
from tests.config.support import errors, loaded, written
from tests.servers import first_era

pytestmark = pytest.mark.anyio

TOKEN = "t0ken-of-the-house"


async def events_of(team: Team) -> list[Event]:
    runtime = Runtime(team)
    try:
        async with asyncio.timeout(30), runtime.run_stream(Session(), "hi", approve="all") as stream:
            return [event async for event in stream]
    finally:
        await runtime.aclose()


def error_of(events: list[Event]) -> str:
    (message,) = [event.message for event in events if isinstance(event, Error)]
    return message


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A docker command, first on the PATH, whose gateway is a real server; the file notes how it was called."""
    folder, note = tmp_path / "bin", tmp_path / "called"
    folder.mkdir()
    command, args = first_era()
    program = folder / "docker"
    program.write_text(f'#!/bin/sh\necho "$@" > {note}\nexec {command} {" ".join(args)}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return note


DOCKER = "agents: {root: {model: openai/a, toolsets: [{type: mcp, ref: 'docker:search', tools: [add, pid]}]}}"


async def test_a_server_of_dockers_catalogue_runs_where_docker_is_and_ends_with_the_runtime(
    tmp_path: Path, docker: Path
) -> None:
    team = loaded(written(tmp_path, DOCKER), ToolCall("add", {"a": 2, "b": 3}), ToolCall("pid"), "done")
    events = await events_of(team)
    added, pid = [event.response for event in events if isinstance(event, ToolCallResponse)]
    assert added == "5" and docker.read_text() == "mcp gateway run --servers=search\n"
    assert [event.tools for event in events if isinstance(event, ToolsetInfo)] == [("add", "pid")]
    assert not Path(f"/proc/{pid}").exists()


async def test_without_docker_it_is_one_line_that_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    message = error_of(await events_of(loaded(written(tmp_path, DOCKER), "not reached")))
    assert "docker:search" in message and "docker" in message and "\n" not in message
    assert "install Docker" in message


class Gate(BaseHTTPRequestHandler):
    """Lets nobody in, and says back what it was told."""

    seen: list[str]

    def do_POST(self) -> None:
        given = self.headers.get("Authorization", "")
        type(self).seen.append(given)
        body = f"no entry with {given}".encode()
        self.send_response(403)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


@pytest.fixture
def gate() -> Generator[tuple[str, list[str]]]:
    handler = type("Here", (Gate,), {"seen": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", handler.seen
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("kind", ["streamable", "sse"])
async def test_headers_reach_a_remote_server_and_nobody_else(
    tmp_path: Path, gate: tuple[str, list[str]], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOUSE_TOKEN", TOKEN)
    url, seen = gate
    path = written(
        tmp_path,
        f"""
        agents:
          root:
            model: openai/a
            toolsets:
              - type: mcp
                remote:
                  url: {url}/mcp
                  transport_type: {kind}
                  headers: {{Authorization: "Bearer ${{env.HOUSE_TOKEN}}"}}
        """,
    )
    events = await events_of(loaded(path, "not reached"))
    assert seen and set(seen) == {f"Bearer {TOKEN}"}
    assert "cannot be reached" in error_of(events)
    assert TOKEN not in repr(events)


def test_a_way_to_reach_a_server_that_there_is_not_is_a_mistake(tmp_path: Path) -> None:
    text = "agents: {root: {model: openai/a, toolsets: [{type: mcp, remote: {url: 'http://a', transport_type: ssee}}]}}"
    (problem,) = errors(tmp_path, text)
    assert problem.place == "agents.root.toolsets[0].remote.transport_type" and "did you mean sse?" in problem.message


TWICE = """
agents:
  root:
    model: openai/a
    toolsets:
      - {type: mcp, name: left, command: %s, args: %s, tools: [add]%s}
      - {type: mcp, name: right, command: %s, args: %s, tools: [add]}
"""


@pytest.mark.parametrize("prefix", [None, "left"])
async def test_two_servers_with_one_name_for_a_tool_are_refused_unless_one_has_a_prefix(
    tmp_path: Path, prefix: str | None
) -> None:
    command, args = first_era()
    more = f", prefix: {prefix}" if prefix else ""
    path = written(tmp_path, TWICE % (command, args, more, command, args))
    events = await events_of(loaded(path, ToolCall("left_add", {"a": 1, "b": 1}) if prefix else "no", "done"))
    if prefix is None:
        assert "two tools are named 'add', of left and right" in error_of(events)
    else:
        assert [event.response for event in events if isinstance(event, ToolCallResponse)] == ["2"]
        assert {name for event in events if isinstance(event, ToolsetInfo) for name in event.tools} == {
            "left_add",
            "add",
        }

"""The parts behind an MCP toolset: names, what is kept secret, what a result becomes, the watching process."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
from mcp_types import CallToolResult

from nbagent.ports import ToolResult
from nbagent.processes import watch
from nbagent.toolsets import MCPToolset
from nbagent.toolsets.mcp.content import to_result
from nbagent.toolsets.mcp.transport import Server
from tests import servers
from tests.toolsets.processes import end_within


@pytest.mark.parametrize(
    ("command", "args", "name"),
    [
        ("uvx", ["mcp-server-git", "--repository", "."], "mcp-server-git"),
        ("npx", ["-y", "@modelcontextprotocol/server-everything@1.2"], "server-everything"),
        (
            "node",
            ["/x/node_modules/@modelcontextprotocol/server-everything/dist/index.js", "stdio"],
            "server-everything",
        ),
        ("/usr/bin/python3.12", ["-m", "weather"], "weather"),
        ("python", ["servers/forecast.py"], "forecast"),
        ("python", ["-c", "print('x')"], "python"),
        ("/opt/github-mcp-server", ["stdio"], "github-mcp-server"),
    ],
)
def test_a_server_is_named_after_what_a_person_recognises(command: str, args: list[str], name: str) -> None:
    assert MCPToolset(command, args).name == name
    assert MCPToolset(command, args, name="mine").name == "mine"


def test_an_address_is_named_by_its_host_and_shown_without_what_may_be_secret() -> None:
    toolset = MCPToolset(url="https://me:pw@example.org/mcp?key=hidden")
    assert toolset.name == "example.org"
    assert repr(toolset) == "MCPToolset('https://example.org/mcp', name='example.org')"


def test_values_of_env_headers_and_address_are_taken_out_of_messages() -> None:
    server = Server(
        "s", command="x", env={"TOKEN": "abc", "MODE": "on"}, headers={"X": "long-value"}, url="http://h/p?k=1"
    )
    assert server.redacted("abc is on, long-value at http://h/p?k=1") == "*** is on, *** at http://h/p"


@pytest.mark.parametrize(
    ("answer", "text", "kinds"),
    [
        ({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, "a\nb", []),
        ({"content": [], "structuredContent": {"ä": 1}}, '{"ä": 1}', []),
        ({"content": [{"type": "text", "text": "a"}], "structuredContent": {"b": 1}}, "a", []),
        ({"content": []}, "done", []),
        ({"content": [{"type": "image", "data": "aQ==", "mimeType": "image/png"}]}, "[image, image/png]", ["image"]),
        ({"content": [{"type": "resource", "resource": {"uri": "x:y", "text": "t"}}]}, "t", ["resource"]),
        (
            {"content": [{"type": "resource", "resource": {"uri": "x:y", "blob": "aQ=="}}]},
            "[resource x:y]",
            ["resource"],
        ),
        ({"content": [{"type": "resource_link", "uri": "x:y", "name": "n"}]}, "[resource x:y]", ["resource_link"]),
    ],
)
def test_a_servers_result_becomes_text_for_the_model_and_blocks(
    answer: dict[str, Any], text: str, kinds: list[str]
) -> None:
    result = to_result(CallToolResult.model_validate(answer))
    assert (result.text, [block["type"] for block in result.content], result.is_error) == (text, kinds, False)


def test_an_error_of_the_tool_stays_one() -> None:
    answer = CallToolResult.model_validate({"content": [{"type": "text", "text": "no"}], "isError": True})
    assert to_result(answer) == ToolResult("no", is_error=True)


def watched(*command: str, parent: int | None = None) -> subprocess.Popen[bytes]:
    arguments = [sys.executable, "-I", "-S", watch.__file__, str(os.getpid() if parent is None else parent), *command]
    return subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )


def test_the_watcher_hands_on_stdin_stdout_and_the_exit_code() -> None:
    code = "import sys; print(sys.stdin.readline().upper(), end=''); sys.exit(5)"
    with watched(sys.executable, "-c", code) as process:
        out, err = process.communicate(b"hello\n", timeout=20)
    assert (out, process.returncode) == (b"HELLO\n", 5)
    assert err.decode() == f"{watch.EXIT_MARK}5\n"


def test_the_watcher_says_what_cannot_be_started() -> None:
    with watched("no-such-command") as process:
        _, err = process.communicate(timeout=20)
    assert process.returncode == 127
    assert b"no-such-command: No such file or directory" in err


def test_the_watcher_ends_a_server_whose_parent_is_gone_although_stdin_is_open() -> None:
    command, args = servers.first_era("--stubborn")
    with watched(command, *args, parent=1 << 22) as process:  # no such parent: as if it had just died
        assert end_within(10.0, [process.pid])
        process.communicate(timeout=20)

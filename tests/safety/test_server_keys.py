"""A key that an MCP server is given, in its environment, address or a header, is told by no event, error or repr."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from nbagent.agent import Agent
from nbagent.models import ScriptedModel
from nbagent.runtime import Runtime
from nbagent.session import Session
from nbagent.toolsets import MCPToolset
from tests.runtime.support import events_of
from tests.servers import free_port

pytestmark = pytest.mark.anyio

KEY = "sk-canary-8d41f6a2c07b"
SAYS_IT = "import os, sys; print('no good:', os.environ['TOKEN'], file=sys.stderr); sys.exit(3)"

GIVEN: dict[str, Callable[[str], MCPToolset]] = {
    "environment": lambda _: MCPToolset(sys.executable, args=["-c", SAYS_IT], env={"TOKEN": KEY}, name="ledger"),
    "argument": lambda _: MCPToolset("no-such-command", args=["--key", KEY], name="ledger"),
    "query": lambda host: MCPToolset(url=f"http://{host}/mcp?api_key={KEY}", name="ledger"),
    "user": lambda host: MCPToolset(url=f"http://user:{KEY}@{host}/mcp", name="ledger"),
    "header": lambda host: MCPToolset(
        url=f"http://{host}/mcp", headers={"Authorization": f"Bearer {KEY}"}, name="ledger"
    ),
}


@pytest.mark.parametrize("where", GIVEN)
async def test_a_servers_key_is_told_nowhere(where: str, caplog: pytest.LogCaptureFixture) -> None:
    toolset = GIVEN[where](f"127.0.0.1:{free_port()}")
    runtime = Runtime(Agent("helper", model=ScriptedModel([["Hello."]]), toolsets=[toolset]))
    events = await events_of(runtime, Session(), "Hi")
    told = "\n".join([repr(toolset), repr(toolset._server), repr(runtime), *map(repr, events)])
    assert "MCP server ledger" in told and "tools_unavailable" in told
    assert KEY not in told
    assert not [r for r in caplog.records if r.name.startswith("nbagent") and KEY in f"{r.getMessage()} {r.exc_text}"]
    await runtime.aclose()

"""The real local model: it speaks, it is stopped at once, it ends with the process that started it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import psutil
import pytest

from nbagent.agent import Agent
from nbagent.errors import ConfigError
from nbagent.events import AgentChoice, TokenUsage, ToolCallStarted, Warning
from nbagent.models import ProviderModel, local
from nbagent.runtime import Runtime
from nbagent.session import Session
from tests.runtime.support import assert_nothing_left, assert_whole

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(240)]
pytest.importorskip(
    "xllamacpp",
    reason='pip install "jupyter-nbagent[local]"; on Debian: apt-get install libgomp1',
    exc_type=ImportError,
)
pytest.importorskip("pydantic_ai", reason='pip install "jupyter-nbagent[openai]"')

STORY = "Write a long story about the sea."
"""Takes more than a thousand tokens, where chance is left out."""


@pytest.fixture(scope="module", autouse=True)
def ended() -> Iterator[None]:
    try:
        local.serve(local.DEFAULT)
    except ConfigError as error:
        pytest.skip(str(error))
    yield
    local.stop()


def processing() -> bool:
    """Whether the server generates right now."""
    server = local.serve(local.DEFAULT)
    asked = urllib.request.Request(f"{server.url}/slots", headers={"authorization": f"Bearer {server.key}"})
    with urllib.request.urlopen(asked, timeout=5) as answer:
        return any(slot["is_processing"] for slot in json.load(answer))


async def events_of(agent: Agent, prompt: str) -> list[Any]:
    with anyio.fail_after(200):
        async with Runtime(agent).run_stream(Session(), prompt) as stream:
            return [event async for event in stream]


async def test_it_streams_twenty_tokens_of_real_text_and_says_that_it_is_small() -> None:
    model = ProviderModel("local", temperature=0, max_tokens=60)
    events = await events_of(Agent("friend", model=model, instructions="Be friendly."), STORY)
    assert_whole(events)
    pieces = [event.content for event in events if isinstance(event, AgentChoice)]
    assert len(pieces) >= 20 and len("".join(pieces).split()) >= 15
    warnings = [event.message for event in events if isinstance(event, Warning)]
    assert "very small model" in warnings[0] and "limit of output tokens" in warnings[1]
    (usage,) = [event for event in events if isinstance(event, TokenUsage)]
    assert usage.output_tokens == 60 and usage.cost is None


@pytest.mark.timed
async def test_a_cancelled_run_stops_the_generation_in_the_server_at_once() -> None:
    runtime, session = Runtime(Agent("friend", model=ProviderModel("local", temperature=0))), Session()
    with anyio.fail_after(200):
        async with runtime.run_stream(session, STORY) as stream:
            async for event in stream:
                if isinstance(event, AgentChoice):
                    break
            assert await anyio.to_thread.run_sync(processing)
            begun = time.monotonic()
            stream.cancel()
            while await anyio.to_thread.run_sync(processing):
                await anyio.sleep(0.005)
            took = time.monotonic() - begun
    print(f"generation stopped {1000 * took:.0f} ms after the cancel")
    assert took < 0.25
    assert_nothing_left(runtime, session)


async def test_a_tool_that_the_prompt_names_is_called_with_arguments_of_its_schema() -> None:
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    events = await events_of(Agent("friend", model="local", tools=[add]), "Use add to add 2 and 3.")
    (call,) = [event for event in events if isinstance(event, ToolCallStarted)]
    assert call.name == "add" and isinstance(call.arguments, dict) and set(call.arguments) == {"a", "b"}
    assert all(isinstance(value, int) for value in call.arguments.values())
    assert events[-1].reason == "completed"


async def test_one_server_serves_all_and_another_takes_the_place_of_a_dead_one() -> None:
    first = local.serve(local.DEFAULT)
    assert local.serve(local.DEFAULT) is first
    first.process.kill()
    first.process.wait()
    second = await anyio.to_thread.run_sync(local.serve, local.DEFAULT)
    assert second.lives and second.process.pid != first.process.pid
    for stream in (first.process.stdin, first.process.stdout):
        assert stream is not None
        stream.close()


STARTS = """
import os, signal
from nbagent.models import local
print(local.serve("smollm2").process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_server_ends_with_a_process_that_is_killed() -> None:
    done = subprocess.run([sys.executable, "-c", STARTS], capture_output=True, text=True, timeout=100, check=False)
    server = int(done.stdout)
    try:
        psutil.Process(server).wait(timeout=10)
    except psutil.NoSuchProcess:
        return


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.gguf"):
        local.serve(os.fspath(tmp_path / "none.gguf"))

"""The same promises in both protocol eras, over stdio and streamable HTTP, and with the MCP reference server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest

from nbagent.errors import ToolError
from nbagent.ports import ElicitationResult
from nbagent.toolsets import MCPToolset
from tests import servers
from tests.toolsets.asking import Card, Person, make_context
from tests.toolsets.processes import below
from tests.toolsets.test_mcp import BOUND, call, connections, opened

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

Start = Callable[[], contextlib.AbstractAsyncContextManager[MCPToolset]]


@contextlib.asynccontextmanager
async def served(command: str, args: list[str], port: int, ready: bytes) -> AsyncGenerator[asyncio.subprocess.Process]:
    """A server process that listens, until the block ends."""
    env = os.environ | {"PORT": str(port)}
    process = await asyncio.create_subprocess_exec(
        command, *args, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE, env=env
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(BOUND):
            while ready not in await process.stderr.readline():
                assert process.returncode is None
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


@contextlib.asynccontextmanager
async def over_stdio() -> AsyncGenerator[MCPToolset]:
    toolset = MCPToolset(*servers.second_era(), name="second")
    try:
        yield toolset
    finally:
        await toolset.aclose()


async def test_a_server_that_knows_server_sent_events_alone_is_reached_by_them_with_its_headers() -> None:
    port = servers.free_port()
    async with served(*servers.second_era("sse", str(port)), port, b"Uvicorn running"):
        url, headers = f"http://127.0.0.1:{port}/sse", {"Authorization": "Bearer t0ken"}
        toolset = MCPToolset(url=url, headers=headers, transport="sse", name="old")
        person = Person(answer=lambda question: ElicitationResult("accept", {"name": "Ada"}))
        try:
            async with opened(toolset, person) as tools:
                assert await call(tools, "add", person, a=2, b=3) == "5"
        finally:
            await toolset.aclose()


@contextlib.asynccontextmanager
async def over_http() -> AsyncGenerator[MCPToolset]:
    port = servers.free_port()
    command, args = servers.second_era("http", str(port))
    async with served(command, args, port, b"Uvicorn running"):
        toolset = MCPToolset(url=f"http://127.0.0.1:{port}/mcp", name="second")
        try:
            yield toolset
        finally:
            await toolset.aclose()


both = pytest.mark.parametrize("start", [over_stdio, over_http])


@both
async def test_second_era_asks_within_the_call(start: Start) -> None:
    person = Person(answer=lambda question: ElicitationResult("accept", {"name": "Ada"}))
    async with start() as toolset, opened(toolset, person) as tools:
        assert connections(toolset)[0].owner.modern
        assert await call(tools, "greet", person, message="welcome") == "Hello Ada, welcome"
        assert await call(tools, "add", person, a=1, b=2) == "3"
    [question] = person.questions
    assert (question.message, question.source, question.tool_call_id) == ("welcome", "second", "call_1")


@both
async def test_p5_second_era_streams_share_a_connection_and_never_swap_answers(start: Start) -> None:
    one, two = Person("one"), Person("two")
    async with start() as toolset, opened(toolset, one) as first, opened(toolset, two) as second:
        assert len(connections(toolset)) == 1
        contexts = [make_context(one, call_id="a"), make_context(one, call_id="b"), make_context(two, call_id="c")]
        tools = [first, first, second]
        calls = [
            asyncio.create_task(tool["greet"].call({"message": context.tool_call_id}, context))
            for tool, context in zip(tools, contexts, strict=True)
        ]
        async with asyncio.timeout(BOUND):
            while len(one.questions) < 2 or not two.questions:
                one.asked.clear()
                await (one.asked.wait() if len(one.questions) < 2 else two.asked.wait())
            assert {question.tool_call_id for question in one.questions} == {"a", "b"}
            for question in one.questions:
                assert question.message == question.tool_call_id
                one.say(ElicitationResult("accept", {"name": question.message.upper()}))
            two.say(ElicitationResult("accept", {"name": "C"}))
            texts = [result.text for result in await asyncio.gather(*calls)]
    assert texts == ["Hello A, a", "Hello B, b", "Hello C, c"]


@both
async def test_a_second_era_call_is_cancelled_without_quarantine(start: Start) -> None:
    person = Person()
    async with start() as toolset, opened(toolset, person) as tools:
        task = asyncio.create_task(call(tools, "greet", person, message="x"))
        await person.asked.wait()
        task.cancel()
        async with asyncio.timeout(1.0):
            await asyncio.wait({task})
        assert task.cancelled()
        assert await call(tools, "add", person, a=2, b=2) == "4"
        [connection] = connections(toolset)
        assert connection.usable


@both
async def test_declined_questions_fail_the_call_and_not_the_stream(start: Start) -> None:
    person = Person(answer=lambda question: ElicitationResult("decline"))
    async with start() as toolset, opened(toolset, person) as tools:
        result = await tools["greet"].call({"message": "x"}, make_context(person))
        assert result.is_error
        assert await call(tools, "add", person, a=1, b=1) == "2"


@both
async def test_progress_goes_to_the_card(start: Start) -> None:
    card = Card()
    async with start() as toolset, opened(toolset, Person()) as tools:
        await tools["report"].call({}, make_context(card=card))
        await card.written.wait()
    assert card.text == "half\n"


async def test_an_http_server_that_dies_during_a_call_is_a_tool_error() -> None:
    port, person = servers.free_port(), Person()
    command, args = servers.second_era("http", str(port))
    toolset = MCPToolset(url=f"http://127.0.0.1:{port}/mcp")
    async with served(command, args, port, b"Uvicorn running") as process, opened(toolset, person) as tools:
        card = Card()
        task = asyncio.create_task(tools["wait"].call({}, make_context(person, card)))
        async with asyncio.timeout(BOUND):
            await card.written.wait()
            process.kill()
            with pytest.raises(ToolError):
                await task
    async with served(command, args, port, b"Uvicorn running"), opened(toolset, person) as tools:
        assert await call(tools, "add", person, a=1, b=2) == "3"  # a stream after the restart connects anew
    await toolset.aclose()


async def test_the_reference_server_asks_its_form_of_thirteen_fields(everything_server: tuple[str, list[str]]) -> None:
    values = {"name": "Ada", "check": True, "integer": 42}
    person = Person(answer=lambda question: ElicitationResult("accept", dict[str, Any](values)))
    before = set(below())
    toolset = MCPToolset(*everything_server)
    assert toolset.name == "server-everything"
    async with opened(toolset, person) as tools:
        text = await call(tools, "trigger-elicitation-request", person)
        image = await tools["get-tiny-image"].call({}, make_context(person))
    assert json.loads(text.partition("Raw result: ")[2]) == {"action": "accept", "content": values}
    assert person.questions[0].schema is not None
    assert len(person.questions[0].schema["properties"]) == 13
    assert [block["mimeType"] for block in image.content] == ["image/png"]
    await toolset.aclose()
    assert set(below()) == before


async def test_the_reference_server_stays_warm_when_its_question_is_cancelled(
    everything_server: tuple[str, list[str]],
) -> None:
    person = Person()
    toolset = MCPToolset(*everything_server)
    async with opened(toolset, person) as tools:
        task = asyncio.create_task(call(tools, "trigger-elicitation-request", person))
        await person.asked.wait()
        task.cancel()
        person.leave()
        await asyncio.wait({task})
    [connection] = connections(toolset)
    async with asyncio.timeout(BOUND):
        await connection.settled()
    assert not connection.owner.ending
    await toolset.aclose()


async def test_first_era_over_http_asks_the_leaseholder_and_survives_a_restart() -> None:
    found = servers.everything("streamableHttp")
    if found is None:
        pytest.skip(servers.REMEDY)
    port = servers.free_port()
    person = Person(answer=lambda question: ElicitationResult("accept", {"name": "Ada"}))
    toolset = MCPToolset(url=f"http://127.0.0.1:{port}/mcp")
    async with served(*found, port, b"listening on port"), opened(toolset, person) as tools:
        assert not connections(toolset)[0].owner.modern
        assert "Name: Ada" in await call(tools, "trigger-elicitation-request", person)
    assert [question.tool_call_id for question in person.questions] == ["call_1"]
    async with served(*found, port, b"listening on port"), opened(toolset, person) as tools:
        assert await call(tools, "echo", person, message="again") == "Echo: again"  # the old session is not known there
    await toolset.aclose()

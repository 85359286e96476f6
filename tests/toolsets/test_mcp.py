"""MCP servers as toolsets: K5, and the sides of P5 and P6 that a toolset answers for."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from nbagent.errors import ConfigError, ToolError, ToolsUnavailable
from nbagent.events import Action
from nbagent.ports import ElicitationResult, Tool, Toolset, current_call
from nbagent.toolsets import MCPToolset
from nbagent.toolsets.mcp.connection import Connection
from tests import servers
from tests.toolsets.asking import Card, Person, Question, make_context
from tests.toolsets.processes import below, end_within

pytestmark = pytest.mark.anyio

BOUND = 20.0


def accepted(question: Question) -> ElicitationResult:
    return ElicitationResult("accept", {"name": "Ada"})


@contextlib.asynccontextmanager
async def opened(toolset: MCPToolset, person: Person) -> AsyncGenerator[dict[str, Tool]]:
    async with asyncio.timeout(BOUND):
        async with toolset.open(person) as tools:
            yield {tool.spec.name: tool for tool in tools}


@pytest.fixture
async def toolset() -> AsyncGenerator[MCPToolset]:
    command, args = servers.first_era()
    made = MCPToolset(command, args, name="first")
    yield made
    await made.aclose()


def connections(toolset: MCPToolset) -> list[Connection]:
    return list(toolset._pools[id(asyncio.get_running_loop())]._connections)


async def call(tools: dict[str, Tool], name: str, person: Person, **arguments: Any) -> str:
    async with asyncio.timeout(BOUND):
        return (await tools[name].call(arguments, make_context(person))).text


async def test_it_is_a_toolset_of_tools_under_their_own_names(toolset: MCPToolset) -> None:
    assert isinstance(toolset, Toolset)
    async with opened(toolset, Person()) as tools:
        assert isinstance(tools["add"], Tool)
        assert tools["add"].toolset == "first"
        assert await call(tools, "add", Person(), a=2, b=3) == "5"


async def test_prefix_goes_before_the_names() -> None:
    command, args = servers.first_era()
    toolset = MCPToolset(command, args, prefix="math")
    async with opened(toolset, Person()) as tools:
        assert await call(tools, "math_add", Person(), a=2, b=3) == "5"
    await toolset.aclose()


@pytest.mark.parametrize(("trust", "asks"), [(False, True), (True, False)])
async def test_read_only_hints_count_only_with_trust_p11(trust: bool, asks: bool) -> None:
    command, args = servers.first_era()
    toolset = MCPToolset(command, args, trust=trust)
    async with opened(toolset, Person()) as tools:
        assert tools["add"].asks_approval is asks
        assert tools["die"].asks_approval
    await toolset.aclose()


async def test_k5_a_server_stays_warm_between_streams(toolset: MCPToolset) -> None:
    async with opened(toolset, Person()) as tools:
        first = await call(tools, "pid", Person())
    async with opened(toolset, Person()) as tools:
        assert await call(tools, "pid", Person()) == first


async def test_an_answer_goes_back_to_the_call_that_asked(toolset: MCPToolset) -> None:
    person = Person(answer=accepted)
    async with opened(toolset, person) as tools:
        assert json.loads(await call(tools, "ask", person)) == {"action": "accept", "content": {"name": "Ada"}}
    [question] = person.questions
    assert (question.message, question.source, question.tool_call_id) == ("Who?", "first", "call_1")
    assert question.schema is not None
    assert question.schema["required"] == ["name"]


async def test_url_mode_is_asked_with_its_url(toolset: MCPToolset) -> None:
    person = Person(answer=lambda question: ElicitationResult("accept"))
    async with opened(toolset, person) as tools:
        assert json.loads(await call(tools, "ask_url", person)) == {"action": "accept"}
    assert person.questions[0].url == "https://example.org/in"


@pytest.mark.parametrize("action", ["accept", "decline"])
async def test_an_address_that_has_to_be_visited_first_is_asked_for_within_the_call(
    toolset: MCPToolset, action: Action
) -> None:
    person = Person(answer=lambda question: ElicitationResult(action))
    async with opened(toolset, person) as tools:
        if action == "accept":
            assert await call(tools, "sign_in", person) == "welcome"
        else:
            with pytest.raises(ToolError, match=r"go to https://example.org/in first"):
                await call(tools, "sign_in", person)
    assert [(question.url, question.tool_call_id) for question in person.questions] == [
        ("https://example.org/in", "call_1")
    ]


async def test_p5_two_streams_at_once_get_a_connection_each_and_their_own_questions(toolset: MCPToolset) -> None:
    one, two = Person("one"), Person("two")
    async with opened(toolset, one) as first, opened(toolset, two) as second:
        assert await call(first, "pid", one) != await call(second, "pid", two)
        calls = [asyncio.create_task(call(first, "ask", one)), asyncio.create_task(call(second, "ask", two))]
        await one.asked.wait()
        await two.asked.wait()
        two.say(ElicitationResult("accept", {"name": "Two"}))
        one.say(ElicitationResult("accept", {"name": "One"}))
        texts = [json.loads(text) for text in await asyncio.gather(*calls)]
    assert [text["content"]["name"] for text in texts] == ["One", "Two"]


async def test_p6_parallel_calls_of_one_stream_do_not_name_a_call_that_is_uncertain(toolset: MCPToolset) -> None:
    person = Person()
    async with opened(toolset, person) as tools:
        calls = [asyncio.create_task(call(tools, "ask", person, message=text)) for text in ("a", "b")]
        while len(person.questions) < 2:
            person.asked.clear()
            await person.asked.wait()
        for question in person.questions:
            person.say(ElicitationResult("accept", {"name": question.message}))
        answers = [json.loads(text)["content"]["name"] for text in await asyncio.gather(*calls)]
    assert answers == ["a", "b"]
    assert person.questions[1].tool_call_id is None


async def cancel_inside(tools: dict[str, Tool], name: str, person: Person) -> None:
    """Cancel a call once the server has said that it is at work."""
    card = Card()
    task = asyncio.create_task(tools[name].call({}, make_context(person, card)))
    await card.written.wait()
    assert card.text == "waiting\n"
    task.cancel()
    async with asyncio.timeout(1.0):  # the caller is free at once
        await asyncio.wait({task})
    assert task.cancelled()


async def test_p5_in_quarantine_a_parallel_call_is_not_given_the_late_question(toolset: MCPToolset) -> None:
    person = Person()
    async with opened(toolset, person) as tools:
        asking = asyncio.create_task(call(tools, "ask", person))
        await person.asked.wait()
        await cancel_inside(tools, "ask_late", person)
        [connection] = connections(toolset)
        person.say(ElicitationResult("accept", {"name": "in time"}))
        assert "in time" in await asking
        async with asyncio.timeout(BOUND):
            await connection.settled()
        assert [question.message for question in person.questions] == ["Who?"]
        assert not connection.owner.ending


async def test_p5_a_cancelled_calls_late_question_reaches_nobody(toolset: MCPToolset) -> None:
    one, two = Person("one"), Person("two")
    async with opened(toolset, one) as tools:
        await cancel_inside(tools, "ask_late", one)
    async with opened(toolset, two) as tools:  # in quarantine the first connection is not lent
        assert json.loads(await call(tools, "seen", two))[0]["method"] == "notifications/initialized"
    assert not one.questions
    assert not two.questions


async def test_p5_quarantine_ends_when_the_server_answers(toolset: MCPToolset) -> None:
    person = Person()
    async with opened(toolset, person) as tools:
        pid = await call(tools, "pid", person)
        await cancel_inside(tools, "ask_late", person)  # this server answers, late
    [connection] = connections(toolset)
    async with asyncio.timeout(BOUND):
        await connection.settled()
    async with opened(toolset, person) as tools:
        assert await call(tools, "pid", person) == pid
        seen = json.loads(await call(tools, "seen", person))
    assert "notifications/cancelled" in [message["method"] for message in seen]


async def test_p5_a_server_that_never_answers_a_cancelled_call_is_restarted(toolset: MCPToolset) -> None:
    person = Person()
    async with opened(toolset, person) as tools:
        pid = int(await call(tools, "pid", person))
        await cancel_inside(tools, "wait", person)
        assert int(await call(tools, "pid", person)) != pid  # the same stream goes on with another connection
    assert await asyncio.to_thread(end_within, 10.0, [pid])


async def test_k5_a_cancelled_question_leaves_the_server_warm(toolset: MCPToolset) -> None:
    person = Person()
    async with opened(toolset, person) as tools:
        pid = await call(tools, "pid", person)
        task = asyncio.create_task(call(tools, "ask", person))
        await person.asked.wait()
        task.cancel()
        person.leave()
        await asyncio.wait({task})
    [connection] = connections(toolset)
    async with asyncio.timeout(BOUND):
        await connection.settled()
    async with opened(toolset, person) as tools:
        assert await call(tools, "pid", person) == pid


async def test_a_question_that_is_cancelled_itself_does_not_end_the_client(toolset: MCPToolset) -> None:
    class Gone(Person):
        async def ask(self, *args: Any, **kwargs: Any) -> ElicitationResult:
            raise asyncio.CancelledError

    person = Gone()
    async with opened(toolset, person) as tools:
        assert json.loads(await call(tools, "ask", person)) == {"action": "cancel"}
        assert await call(tools, "add", person, a=1, b=1) == "2"


async def test_no_time_limit_runs_while_a_person_thinks() -> None:
    command, args = servers.first_era()
    toolset = MCPToolset(command, args, timeout=0.5)
    person = Person()
    async with opened(toolset, person) as tools:
        task = asyncio.create_task(call(tools, "ask", person))
        await person.asked.wait()
        done, _ = await asyncio.wait({task}, timeout=0.8)
        assert not done
        person.say(ElicitationResult("accept", {"name": "slow"}))
        assert "slow" in await task
        with pytest.raises(ToolError, match=r"did not answer within 0\.5 s"):
            await call(tools, "wait", person)
    await toolset.aclose()


async def test_a_server_that_dies_during_a_call_is_a_tool_error_and_restarts(toolset: MCPToolset) -> None:
    person = Person()
    async with opened(toolset, person) as tools:
        with pytest.raises(ToolError, match=r"server first ended during the call \(exit code 7\)[^$]*I die"):
            await call(tools, "die", person)
        assert await call(tools, "add", person, a=1, b=2) == "3"


async def test_a_server_that_was_killed_between_streams_restarts(toolset: MCPToolset) -> None:
    person = Person()
    async with opened(toolset, person) as tools:
        pid = int(await call(tools, "pid", person))
    os.kill(pid, signal.SIGKILL)
    async with opened(toolset, person) as tools:
        assert int(await call(tools, "pid", person)) != pid


async def test_garbage_on_stdout_is_logged_and_passed_over(
    toolset: MCPToolset, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    async with opened(toolset, Person()) as tools:
        assert await call(tools, "garbage", Person()) == "after the garbage"
        assert await call(tools, "add", Person(), a=1, b=1) == "2"
    assert "wrote what is not MCP: 'this is not MCP'" in caplog.text
    assert capsys.readouterr() == ("", "")


async def test_a_malformed_result_is_a_tool_error(toolset: MCPToolset) -> None:
    async with opened(toolset, Person()) as tools:
        with pytest.raises(ToolError, match="ValidationError"):
            await call(tools, "bad_result", Person())
        assert await call(tools, "add", Person(), a=1, b=1) == "2"


async def test_k5_stderr_goes_to_the_logger_without_secrets_and_never_to_a_cell(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level("INFO", logger="nbagent")
    command, args = servers.first_era()
    toolset = MCPToolset(command, args, env={"API_KEY": "s3cret!"})
    async with opened(toolset, Person()) as tools:
        await call(tools, "say", Person(), text="using s3cret! now")
    await toolset.aclose()
    assert "using *** now" in caplog.text
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("toolset", "message"),
    [
        (MCPToolset("no-such-command-here"), "command not found: no-such-command-here"),
        (MCPToolset("no/such/path"), "command not found: no/such/path"),
        (MCPToolset(*servers.first_era("--exit", "3"), env={"API_KEY": "s3cret!"}), r"exit code 3[^$]*key \*\*\*"),
        (MCPToolset(*servers.first_era("--silent"), connect_timeout=0.5), r"gave no answer in 0\.5 s"),
        (MCPToolset(*servers.first_era("--silent", "--garbage"), connect_timeout=2.0), "Welcome to the server!"),
        (MCPToolset(*servers.first_era(), cwd="/no/such/place"), "no such directory"),
        (MCPToolset(url="http://127.0.0.1:9/mcp"), "cannot be reached"),
    ],
)
async def test_a_server_that_cannot_be_had_says_why(toolset: MCPToolset, message: str) -> None:
    with pytest.raises(ToolsUnavailable, match=message):
        async with opened(toolset, Person()):
            pass
    await toolset.aclose()


def test_command_and_url_are_alternatives() -> None:
    with pytest.raises(ConfigError):
        MCPToolset()
    with pytest.raises(ConfigError):
        MCPToolset("node", url="http://localhost")


async def test_the_servers_own_error_is_the_models_to_read(toolset: MCPToolset) -> None:
    async with opened(toolset, Person()) as tools:
        result = await tools["add"].call({}, make_context())
        assert result.is_error
        assert "KeyError" in result.text


async def test_opening_can_be_cancelled_and_the_server_is_then_warm(toolset: MCPToolset) -> None:
    async def open_it() -> None:
        async with opened(toolset, Person()):
            raise AssertionError("not reached")

    task = asyncio.create_task(open_it())
    pool = None
    while pool is None or not pool._connections:
        await asyncio.sleep(0)
        pool = toolset._pools.get(id(asyncio.get_running_loop()))
    task.cancel()
    async with asyncio.timeout(1.0):
        await asyncio.wait({task})
    assert task.cancelled()
    async with opened(toolset, Person()) as tools:
        assert await call(tools, "add", Person(), a=1, b=1) == "2"
    assert len(pool._connections) == 1


@pytest.mark.parametrize("session", [False, True])
@pytest.mark.parametrize("options", [(), ("--stubborn",)])
async def test_aclose_leaves_no_process_behind(options: tuple[str, ...], session: bool) -> None:
    before = set(below())
    toolset = MCPToolset(*servers.first_era(*options))
    async with opened(toolset, Person()) as tools:
        grandchild = int(await call(tools, "spawn", Person(), session=session))
    started = set(below()) - before
    assert grandchild in started
    await toolset.aclose()
    assert set(below()) - before == set()
    assert end_within(0.0, list(started))
    await toolset.aclose()


async def test_a_toolset_that_nobody_holds_ends_its_server() -> None:
    toolset = MCPToolset(*servers.first_era())
    async with opened(toolset, Person()) as tools:
        pid = int(await call(tools, "pid", Person()))
        [connection] = connections(toolset)
    del toolset, tools
    async with asyncio.timeout(BOUND):
        await connection.owner.ended()
    assert end_within(0.0, [pid])


async def test_no_process_outlives_a_kernel_that_is_killed() -> None:
    script = (
        "import asyncio, sys\n"
        "from nbagent.toolsets import MCPToolset\n"
        "from tests.toolsets.asking import Person, make_context\n"
        "from tests import servers\n"
        "async def main():\n"
        "    toolset = MCPToolset(*servers.first_era('--stubborn'))\n"
        "    async with toolset.open(Person()) as tools:\n"
        "        spawn = next(tool for tool in tools if tool.spec.name == 'spawn')\n"
        "        await spawn.call({'session': True}, make_context())\n"
        "        await spawn.call({}, make_context())\n"
        "        print('ready', flush=True)\n"
        "        await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE, env=os.environ | {"PYTHONPATH": os.getcwd()}
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(BOUND):
            assert await process.stdout.readline() == b"ready\n"
        started = below(process.pid)
        assert len(started) == 4  # the watcher, the server, and the two that it spawned
    finally:
        process.kill()
        await process.wait()
    assert await asyncio.to_thread(end_within, 5.0, started)


async def test_aclose_ends_a_server_that_is_still_being_reached() -> None:
    before = set(below())
    toolset = MCPToolset(*servers.first_era("--silent"))
    task = asyncio.create_task(opened(toolset, Person()).__aenter__())
    started: set[int] = set()
    async with asyncio.timeout(BOUND):
        while len(started) < 2:  # the watcher and the server
            await asyncio.sleep(0)
            started = set(below()) - before
        await toolset.aclose()
        with pytest.raises(ToolsUnavailable, match="closed"):
            await task
    assert end_within(0.0, list(started))


async def test_p5_a_connection_with_a_call_under_way_is_not_lent_again(toolset: MCPToolset) -> None:
    one, two = Person("one"), Person("two")
    async with opened(toolset, one) as tools:
        pid = await call(tools, "pid", one)
        asking = asyncio.create_task(call(tools, "ask", one))
        await one.asked.wait()
    async with opened(toolset, two) as tools:  # the first stream has left before its call ended
        assert await call(tools, "pid", two) != pid
    one.say(ElicitationResult("accept", {"name": "still"}))
    assert "still" in await asking
    assert not two.questions


async def test_time_limits_of_parallel_calls_stop_for_the_question_of_either() -> None:
    toolset = MCPToolset(*servers.first_era(), timeout=0.8)
    person = Person()
    async with opened(toolset, person) as tools:
        await call(tools, "pid", person)
        tasks = [asyncio.create_task(call(tools, "ask", person, message=text)) for text in ("a", "b")]
        while len(person.questions) < 2:
            person.asked.clear()
            await person.asked.wait()
        person.say(ElicitationResult("accept", {"name": "first"}))
        done, _ = await asyncio.wait(tasks, timeout=1.2)
        assert len(done) == 1
        person.say(ElicitationResult("accept", {"name": "second"}))
        assert sorted(json.loads(text)["content"]["name"] for text in await asyncio.gather(*tasks)) == [
            "first",
            "second",
        ]
    await toolset.aclose()


async def test_k5_the_owner_runs_in_an_empty_context(toolset: MCPToolset) -> None:
    found: list[object] = []

    def look(question: Question) -> ElicitationResult:
        found.append(current_call.get())
        return accepted(question)

    person = Person(answer=look)
    token = current_call.set(make_context(person))  # as in a stream's task that opens the server first
    try:
        async with opened(toolset, person) as tools:
            await call(tools, "ask", person)
    finally:
        current_call.reset(token)
    assert found == [None]


async def test_a_first_era_server_that_ends_when_asked_for_the_second_is_started_again() -> None:
    toolset = MCPToolset(*servers.first_era("--strict"))
    person = Person()
    async with opened(toolset, person) as tools:
        pid = await call(tools, "pid", person)
        assert await call(tools, "add", person, a=1, b=2) == "3"
        async with opened(toolset, Person()) as more:  # the second process is not asked again
            assert await call(more, "pid", person) != pid
    await toolset.aclose()

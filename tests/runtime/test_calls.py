"""Tool calls: every way in which one can go, each answered once and the history paired (P8, P12, bad input)."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest

from nbagent.errors import ConfigError, ToolError
from nbagent.events import (
    Error,
    HookBlocked,
    HookFinished,
    HookStarted,
    StreamStopped,
    ToolCallOutput,
    ToolCallResponse,
    ToolCallStarted,
    Warning,
)
from nbagent.hooks import HookContext, HookResult
from nbagent.models import ToolCall
from nbagent.runtime import Runtime
from nbagent.runtime.toolbox import Toolbox
from nbagent.session import Session
from nbagent.toolsets import FunctionTool
from tests.runtime.support import assert_paired, assert_whole, calling, events_of, scripted

pytestmark = pytest.mark.anyio


def divide(a: float, b: float) -> float:
    """Divide a by b."""
    print(f"dividing {a} by {b}")
    if b < 0:
        raise ToolError("only positive divisors")
    return a / b


async def _one(agent: Any, session: Session | None = None) -> tuple[ToolCallResponse, list[Any]]:
    session = session or Session()
    events = await events_of(Runtime(agent), session)
    assert_whole(events)
    assert_paired(session)
    assert isinstance(events[-1], StreamStopped) and events[-1].reason == "completed"
    (response,) = [event for event in events if isinstance(event, ToolCallResponse)]
    return response, events


async def test_a_call_shows_its_output_and_its_response() -> None:
    response, events = await _one(calling(divide, {"a": 1, "b": 4}))
    assert (response.response, response.state, response.is_error) == ("0.25", "ok", False)
    outputs = [event for event in events if isinstance(event, ToolCallOutput)]
    assert "".join(output.content for output in outputs) == "dividing 1.0 by 4.0\n"
    assert outputs[-1].seq < response.seq


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (ToolCall("divide", {"a": 1, "b": 0}), "ZeroDivisionError: "),
        (ToolCall("divide", {"a": 1, "b": -1}), "only positive divisors"),
        (ToolCall("divide", {"a": 1}), "b"),
        (ToolCall("divide", {"a": 1, "b": "much"}), "b"),
        (ToolCall("divide", '{"a": 1, '), "not a JSON object"),
        (ToolCall("divide", "[1, 2]"), "not a JSON object"),
        (ToolCall("multiply", {}), "There is no tool 'multiply'. There are: divide."),
    ],
)
async def test_a_bad_call_is_a_clear_error_and_the_stream_goes_on(call: ToolCall, words: str) -> None:
    response, events = await _one(scripted(call, "done", tools=[divide]))
    assert response.is_error and response.state == "failed" and words in response.response
    (error,) = [event for event in events if isinstance(event, Error)]
    assert error.code == "tool_failed" and words in error.message


@pytest.mark.parametrize("raised", [asyncio.CancelledError, SystemExit, GeneratorExit, KeyError])
@pytest.mark.parametrize("is_async", [False, True])
async def test_whatever_a_tool_raises_ends_its_call_alone(raised: type[BaseException], is_async: bool) -> None:
    def raises() -> None:
        raise raised

    async def raises_async() -> None:
        raise raised

    response, _ = await _one(calling(raises_async if is_async else raises))
    assert response.is_error and response.state == "failed"


@pytest.mark.parametrize("goes_on", [True, False])
async def test_a_tool_that_cancels_its_own_task_ends_its_call_alone(goes_on: bool) -> None:
    async def stop_me() -> str:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        if not goes_on:
            await anyio.sleep(0)
        return "went on"

    response, _ = await _one(calling(stop_me))
    assert response.response == ("went on" if goes_on else "The tool cancelled itself.")


async def test_calls_of_one_message_run_in_parallel_and_results_keep_their_order() -> None:
    both = asyncio.Barrier(2)

    async def meet(name: str) -> str:
        with anyio.fail_after(5):
            await both.wait()
        return name

    session = Session()
    agent = scripted([ToolCall("meet", {"name": "a"}), ToolCall("meet", {"name": "b"})], "done", tools=[meet])
    events = await events_of(Runtime(agent), session)
    assert [m.content for m in session.messages if m.role == "tool"] == ["a", "b"]
    kinds = [type(event) for event in events if isinstance(event, ToolCallStarted | ToolCallResponse)]
    assert kinds == [ToolCallStarted, ToolCallStarted, ToolCallResponse, ToolCallResponse]


async def test_the_same_scripted_call_twice_has_two_ids() -> None:
    call = ToolCall("divide", {"a": 1, "b": 2})
    session = Session()
    await events_of(Runtime(scripted(call, call, "done", tools=[divide])), session)
    ids = [call.id for message in session.messages for call in message.tool_calls]
    assert len(ids) == len(set(ids)) == 2


# ---------------------------------------------------------------- hooks around a call


def _blocks(context: HookContext) -> HookResult:
    return HookResult(block=True, reason="no dividing today")


async def _changes(context: HookContext) -> HookResult:
    assert context.arguments is not None
    return HookResult(updated_input={**context.arguments, "b": 10}, context="b was 10")


def _fails(context: HookContext) -> None:
    raise RuntimeError("guard asleep")


async def test_pre_tool_use_blocks_the_call_and_the_model_reads_why() -> None:
    response, events = await _one(calling(divide, {"a": 1, "b": 4}, hooks={"pre_tool_use": _blocks}))
    assert (response.state, response.response) == ("refused", "The call was blocked: no dividing today")
    assert [event.reason for event in events if isinstance(event, HookBlocked)] == ["no dividing today"]
    assert not [event for event in events if isinstance(event, ToolCallOutput)]


async def test_pre_tool_use_changes_the_arguments() -> None:
    response, events = await _one(calling(divide, {"a": 1, "b": 4}, hooks={"pre_tool_use": [_changes]}))
    assert response.response == "0.1\n\nb was 10"
    assert sum(isinstance(event, HookStarted) for event in events) == 1


async def test_pre_tool_use_fails_closed() -> None:
    response, events = await _one(calling(divide, {"a": 1, "b": 4}, hooks={"pre_tool_use": _fails}))
    assert response.state == "refused"
    finished = [(event.error, event.told) for event in events if isinstance(event, HookFinished)]
    assert finished == [("RuntimeError: guard asleep", True)]


async def test_post_tool_use_that_fails_is_reported_and_passed_over() -> None:
    response, events = await _one(calling(divide, {"a": 1, "b": 4}, hooks={"post_tool_use": _fails}))
    assert response.response == "0.25"
    assert [event for event in events if isinstance(event, Warning)]


async def test_post_tool_use_withholds_the_result() -> None:
    response, _ = await _one(calling(divide, {"a": 1, "b": 4}, hooks={"post_tool_use": _blocks}))
    assert response.is_error and response.response == "The result was withheld: no dividing today"


async def test_user_prompt_submit_changes_the_prompt_and_adds_context() -> None:
    def expand(context: HookContext) -> HookResult:
        return HookResult(updated_input=context.prompt + " in French", context="The user is in Lyon.")

    seen: list[str] = []
    agent = scripted(lambda messages: seen.append(messages[-1].content) or "oui", hooks={"user_prompt_submit": expand})
    await events_of(Runtime(agent), prompt="say yes")
    assert seen == ["say yes in French"]


# ---------------------------------------------------------------- names


class _Lent(FunctionTool[..., Any]):
    def __init__(self, toolset: str) -> None:
        super().__init__(divide)
        self.toolset = toolset


@pytest.mark.parametrize(("first", "second"), [("one", "two"), ("", "two"), ("one", "one")])
def test_a_name_that_two_tools_have_is_refused_by_name(first: str, second: str) -> None:
    box = Toolbox()
    box.add([_Lent(first)])
    with pytest.raises(ConfigError, match=f"named 'divide', of {first or 'the agent itself'} and {second}; rename"):
        box.add([_Lent(second)])

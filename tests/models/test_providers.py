"""Providers over real HTTP, in three wire formats: what is said becomes events, and a history that they take back."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Literal

import anyio
import psutil
import pytest

from nbagent.agent import Agent
from nbagent.events import (
    AgentChoice,
    AgentChoiceReasoning,
    Error,
    Event,
    ModelFallback,
    PartialToolCall,
    StreamStopped,
    TokenUsage,
    ToolCallResponse,
    Warning,
)
from nbagent.models import ScriptedModel
from nbagent.ports import ModelRequest
from nbagent.runtime import Runtime
from nbagent.session import Message, Session, ToolCall
from tests.models.formats import KEY, Call, Format, Messages, sse
from tests.models.server import ProviderServer, Reply, provider, refusal
from tests.runtime.support import assert_nothing_left, assert_whole

pytestmark = pytest.mark.anyio


@dataclass
class Sum:
    """An output type."""

    total: int


async def heard(runtime: Runtime, session: Session, prompt: str = "hi") -> list[Event]:
    """Every event of one run; the first request imports an SDK, which takes seconds."""
    with anyio.fail_after(60):
        async with runtime.run_stream(session, prompt) as stream:
            events = [event async for event in stream]
    assert_whole(events)
    assert_nothing_left(runtime, session)
    return events


def reason(events: list[Event]) -> str:
    stopped = events[-1]
    assert isinstance(stopped, StreamStopped)
    return stopped.reason


def of(events: list[Event], kind: type[Any]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def add(a: int, b: int) -> int:
    """Add."""
    return a + b


def agent(spoken: Format, served: ProviderServer, **options: Any) -> Agent:
    return Agent("helper", model=spoken.model(served.url, **options), instructions="Be short.", tools=[add])


async def test_text_and_reasoning_are_streamed_in_pieces_with_what_they_cost(spoken: Format) -> None:
    async with provider(Reply(spoken.said(["Hel", "lo"], reasoning="hm"))) as served:
        session = Session()
        events = await heard(Runtime(agent(spoken, served)), session)
    assert [event.content for event in of(events, AgentChoice)] == ["Hel", "lo"]
    assert [event.content for event in of(events, AgentChoiceReasoning)] == ["hm"]
    (usage,) = of(events, TokenUsage)
    assert (usage.input_tokens, usage.output_tokens) == (11, 7) and usage.cost > 0
    assert reason(events) == "completed" and session.messages[-1].reasoning == "hm"
    body = served.requests[0]
    assert spoken.heard(body)[-1] == ("user", "hi") and "Be short." in json.dumps(body)
    assert spoken.tools(body) == ["add"] and body["stream"] is True


async def test_two_calls_streamed_in_pieces_run_and_their_results_go_back(spoken: Format) -> None:
    calls = [Call("call_a", "add", ['{"a": 1,', ' "b": 2}']), Call("call_b", "add", ['{"a": 3, "b', '": 4}'])]
    async with provider(Reply(spoken.said(["Adding."], calls)), Reply(spoken.said(["Done."]))) as served:
        session = Session()
        events = await heard(Runtime(agent(spoken, served)), session)
    pieces = of(events, PartialToolCall)
    for call in calls:
        assert "".join(p.arguments for p in pieces if p.tool_call_id == call.id) == "".join(call.pieces)
    assert len([p for p in pieces if p.arguments]) == 4
    assert sorted(event.response for event in of(events, ToolCallResponse)) == ["3", "7"]
    said = [one for one in spoken.heard(served.requests[1]) if one[0] != "system"]
    assert said[:2] == [("user", "hi"), ("assistant", "Adding.")]
    assert [(*one[:3], json.loads(one[3])) for one in said[2:4]] == [
        ("call", "call_a", "add", {"a": 1, "b": 2}),
        ("call", "call_b", "add", {"a": 3, "b": 4}),
    ]
    assert said[4:] == [("result", "call_a", "3"), ("result", "call_b", "7")]


async def test_arguments_that_are_no_json_come_back_as_an_object_with_an_error(spoken: Format) -> None:
    calls = [Call("call_a", "add", ['{"a": 1,'])]
    async with provider(Reply(spoken.said(calls=calls)), Reply(spoken.said(["Oh."]))) as served:
        events = await heard(Runtime(agent(spoken, served)), Session())
    assert reason(events) == "completed" and of(events, ToolCallResponse)[0].is_error
    said = spoken.heard(served.requests[1])
    (call,) = [one for one in said if one[0] == "call"]
    assert json.loads(call[3]) == {"INVALID_JSON": '{"a": 1,'}
    assert said[-1][:2] == ("result", "call_a")


async def test_a_429_is_waited_out_as_long_as_it_asks(spoken: Format, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nbagent.models.provided.FIRST_WAIT", 100)
    busy = refusal(429, "slow down", "rate_limit_error", retry_after="1")
    async with provider(busy, Reply(spoken.said(["Hi."]))) as served:
        events = await heard(Runtime(agent(spoken, served)), Session())
    assert reason(events) == "completed" and len(served.requests) == 2
    assert "slow down; asking again in 1.0 s" in of(events, Warning)[0].message


async def test_a_429_is_waited_out_until_the_date_that_it_names(
    spoken: Format, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nbagent.models.provided.FIRST_WAIT", 100)
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    waited: list[float] = []
    sleep = anyio.sleep

    async def noted(seconds: float) -> None:
        waited.append(seconds)
        await sleep(0)

    monkeypatch.setattr("nbagent.models.provided.anyio.sleep", noted)
    busy = refusal(429, "slow down", "rate_limit_error", retry_after=date)
    async with provider(busy, Reply(spoken.said(["Hi."]))) as served:
        events = await heard(Runtime(agent(spoken, served)), Session())
    assert reason(events) == "completed" and len(served.requests) == 2
    assert "asking again in" in of(events, Warning)[0].message and 0 < max(waited) <= 30


async def test_a_429_that_asks_for_an_hour_is_an_error_at_once(spoken: Format) -> None:
    async with provider(refusal(429, "slow down", "rate_limit_error", retry_after="3600")) as served:
        events = await heard(Runtime(agent(spoken, served)), Session())
    assert [event.code for event in of(events, Error)] == ["rate_limited"] and len(served.requests) == 1


async def test_a_500_is_tried_again_and_then_an_error(spoken: Format, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nbagent.models.provided.FIRST_WAIT", 0.01)
    async with provider(refusal(500, "the disk is full", "api_error")) as served:
        events = await heard(Runtime(agent(spoken, served)), Session())
    (error,) = of(events, Error)
    assert error.code == "model_error" and "the disk is full" in error.message
    assert len(served.requests) == 3 and len(of(events, Warning)) == 2


async def test_a_connection_cut_in_mid_stream_is_an_error_that_keeps_the_text(spoken: Format) -> None:
    cut = Reply(spoken.said(["Half a "], stop="none"), then="cut")
    async with provider(cut, Reply(spoken.said(["On I go."]))) as served:
        session = Session()
        runtime = Runtime(agent(spoken, served))
        events = await heard(runtime, session)
        assert [event.code for event in of(events, Error)] == ["model_error"] and len(served.requests) == 1
        assert session.messages[-1].content == "Half a " and session.messages[-1].interrupted
        assert reason(await heard(runtime, session, "go on")) == "completed"
    said = [one for one in spoken.heard(served.requests[1]) if one[0] != "system"]
    assert said == [("user", "hi"), ("assistant", "Half a"), ("user", "go on")]


async def test_a_stall_is_an_error_after_the_seconds_that_were_set(spoken: Format) -> None:
    async with provider(Reply(spoken.said(["Half a "], stop="none"), then="stall")) as served:
        session = Session()
        begun = anyio.current_time()
        events = await heard(Runtime(agent(spoken, served, stall=0.3)), session)
        with anyio.fail_after(2):
            await served.hung_up.wait()
    assert [event.code for event in of(events, Error)] == ["timeout"] and anyio.current_time() - begun > 0.3
    assert session.messages[-1].content == "Half a "


async def test_a_conversation_that_is_too_long_says_so(spoken: Format) -> None:
    too_long = refusal(400, "prompt is too long: 300000 tokens > 200000 maximum", "context_length_exceeded")
    async with provider(too_long) as served:
        events = await heard(Runtime(agent(spoken, served)), Session())
    assert [event.code for event in of(events, Error)] == ["context_exceeded"] and len(served.requests) == 1


async def test_what_is_no_stream_of_theirs_is_an_error(spoken: Format) -> None:
    for nonsense in ("data: {nonsense\n\n", 'data: {"choices": 7, "type": []}\n\n', "<html>Hello</html>"):
        async with provider(Reply([nonsense])) as served:
            model = spoken.model(served.url, retries=0)
            events = await heard(Runtime(Agent("helper", model=model)), Session())
        assert not of(events, AgentChoice)
        assert [event.code for event in of(events, Error)] == ["model_error"], nonsense


async def test_a_run_cancelled_while_it_waits_to_ask_again_ends_at_once(spoken: Format) -> None:
    async with provider(refusal(429, "slow down", "rate_limit_error", retry_after="50")) as served:
        runtime, session = Runtime(agent(spoken, served)), Session()
        with anyio.fail_after(60):
            async with runtime.run_stream(session, "hi") as stream:
                async for event in stream:
                    if isinstance(event, Warning):
                        stream.cancel()
    assert_nothing_left(runtime, session)
    assert len(served.requests) == 1


async def test_a_content_filter_is_an_error_of_its_own(spoken: Format) -> None:
    async with provider(Reply(spoken.said(["I can"], stop="content_filter"))) as served:
        events = await heard(Runtime(agent(spoken, served)), Session())
    assert [event.code for event in of(events, Error)] == ["content_filter"]


async def test_an_answer_cut_by_its_limit_is_a_warning(spoken: Format) -> None:
    async with provider(Reply(spoken.said(["And so"], stop="length"))) as served:
        events = await heard(Runtime(agent(spoken, served)), Session())
    assert reason(events) == "completed" and "limit of output tokens" in of(events, Warning)[0].message


@pytest.mark.timed
async def test_a_cancelled_run_closes_the_connection_at_once(spoken: Format) -> None:
    text = spoken.said(["word "], stop="none")
    async with provider(Reply(text[:-1] if spoken.name.startswith("anthropic") else text, then="babble")) as served:
        runtime, session = Runtime(agent(spoken, served)), Session()
        with anyio.fail_after(60):
            async with runtime.run_stream(session, "hi") as stream:
                async for event in stream:
                    if isinstance(event, AgentChoice):
                        break
                begun = anyio.current_time()
                stream.cancel()
                await served.hung_up.wait()
    assert anyio.current_time() - begun < 0.25
    assert_nothing_left(runtime, session)


@pytest.mark.timed
@pytest.mark.parametrize("then", ["mute", "stall"])
async def test_a_run_cancelled_while_nothing_comes_closes_the_connection_at_once(
    spoken: Format, then: Literal["mute", "stall"]
) -> None:
    pieces = [] if then == "mute" else spoken.said(["Half"], stop="none")
    async with provider(Reply(pieces, then=then)) as served:
        runtime, session = Runtime(agent(spoken, served)), Session()
        with anyio.fail_after(60):
            async with runtime.run_stream(session, "hi") as stream:
                await served.asked.wait()
                begun = anyio.current_time()
                stream.cancel()
                await served.hung_up.wait()
                assert anyio.current_time() - begun < 0.25
    assert_nothing_left(runtime, session)
    assert len(served.requests) == 1


@pytest.mark.timed
async def test_a_run_cancelled_while_it_connects_ends_at_once(spoken: Format) -> None:
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)  # and is never accepted from: once its queue is full, a connection is not made
        for client in (first, second):
            client.setblocking(False)
            client.connect_ex(full.getsockname())
        url = f"http://127.0.0.1:{full.getsockname()[1]}"
        runtime, session = Runtime(Agent("helper", model=spoken.model(url))), Session()
        with anyio.fail_after(60):
            async with runtime.run_stream(session, "hi") as stream:
                while connecting(full.getsockname(), but=second.getsockname()) == 0:
                    await anyio.sleep(0.005)
                begun = anyio.current_time()
                stream.cancel()
                while connecting(full.getsockname(), but=second.getsockname()):
                    await anyio.sleep(0.005)
                assert anyio.current_time() - begun < 0.25
        assert_nothing_left(runtime, session)


def connecting(to: tuple[str, int], but: tuple[str, int]) -> int:
    """How many connections of this process are being made to an address, one set aside."""
    made = psutil.Process().net_connections("tcp")
    return sum(one.status == psutil.CONN_SYN_SENT and one.raddr == to and one.laddr != but for one in made)


async def test_a_summary_is_asked_without_tools_and_with_the_calls_told_as_text(spoken: Format) -> None:
    call = ToolCall("add", {"a": 1, "b": 2}, "call_a")
    history = [Message("user", "1+2?"), Message("assistant", tool_calls=(call,))]
    history += [Message("tool", "3", tool_call_id="call_a"), Message("assistant", "3")]
    async with provider(Reply(spoken.said(["Sums."]))) as served:
        request = ModelRequest(history, "Sum up.", purpose="summary")
        with anyio.fail_after(60):
            chunks = [chunk async for chunk in spoken.model(served.url).stream(request)]
    assert chunks
    assert spoken.tools(served.requests[0]) == []
    said = spoken.heard(served.requests[0])
    assert said[-1][0] == "user" and {one[0] for one in said} <= {"system", "user", "assistant"}
    assert "[Tool add: 3]" in str(said)


async def test_the_next_model_takes_over_and_the_first_is_let_cool(spoken: Format) -> None:
    async with provider(refusal(429, "full", "rate_limit_error")) as served:
        model = spoken.model(served.url, fallback=(ScriptedModel(["One.", "Two."]),))
        runtime, session = Runtime(Agent("helper", model=model)), Session()
        first, second = await heard(runtime, session), await heard(runtime, session)
    (fallback,) = of(first, ModelFallback)
    assert (fallback.from_model, fallback.to_model) == (spoken.name, "scripted") and "full" in fallback.error
    assert [event.content for event in of(first, AgentChoice)] == ["One."] and len(served.requests) == 1
    assert "a moment ago" in of(second, ModelFallback)[0].error


async def test_nobody_takes_over_once_a_word_was_heard(spoken: Format) -> None:
    async with provider(Reply(spoken.said(["Half"], stop="none"), then="cut")) as served:
        model = spoken.model(served.url, fallback=(ScriptedModel(["One."]),))
        events = await heard(Runtime(Agent("helper", model=model)), Session())
    assert not of(events, ModelFallback) and reason(events) == "error"


async def test_a_schema_of_the_answer_is_given_to_the_provider(spoken: Format) -> None:
    async with provider(Reply(spoken.said(['{"total"', ": 3}"]))) as served:
        asked = Agent("sums", model=spoken.model(served.url), output_type=Sum)
        with anyio.fail_after(60):
            result = await Runtime(asked).run(Session(), "1+2?")
    assert result.output == Sum(3) and "total" in json.dumps(served.requests[0])


async def test_an_error_within_the_stream_is_tried_again_before_a_word_and_an_error_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setattr("nbagent.models.provided.FIRST_WAIT", 0.01)
    spoken = Messages()
    overloaded = sse({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, "error")
    before, after = spoken.said(stop="none"), spoken.said(["Half"], stop="none")
    async with provider(Reply([*before, overloaded]), Reply([*after, overloaded])) as served:
        session = Session()
        events = await heard(Runtime(agent(spoken, served)), session)
    assert len(served.requests) == 2 and "Overloaded; asking again" in of(events, Warning)[0].message
    assert [event.code for event in of(events, Error)] == ["model_error"]
    assert session.messages[-1].content == "Half" and of(events, TokenUsage)[-1].input_tokens == 22

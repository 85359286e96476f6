"""Questions: P5, P6, P10 and P11 without a kernel."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import anyio
import pytest

from nbagent.errors import AnswerRefused, InvalidAnswer
from nbagent.events import (
    ElicitationRequest,
    ElicitationResolved,
    Error,
    MaxIterationsReached,
    StreamStopped,
    ToolCallConfirmation,
    ToolCallResponse,
    Warning,
)
from nbagent.models import ToolCall
from nbagent.ports import ElicitationResult
from nbagent.runtime import Runtime
from nbagent.runtime.asking import ask, ask_sync, cancelled
from nbagent.runtime.sync import run_sync
from nbagent.session import Session
from nbagent.toolsets import tool
from tests.runtime.support import (
    NAME_SCHEMA,
    assert_nothing_left,
    assert_whole,
    calling,
    drained,
    events_of,
    inside,
    scripted,
    until,
)

pytestmark = pytest.mark.anyio


async def who() -> str:
    answer = await ask("Who are you?", NAME_SCHEMA)
    return f"{answer.action} {answer.content}"


def who_sync() -> str:
    answer = ask_sync("Who are you?", NAME_SCHEMA)
    return f"{answer.action} {answer.content}"


def _response(events: list[Any]) -> ToolCallResponse:
    (response,) = [event for event in events if isinstance(event, ToolCallResponse)]
    return response


@pytest.mark.parametrize("function", [who, who_sync])
@pytest.mark.parametrize("from_thread", [False, True])
async def test_p6_an_answer_reaches_the_tool_that_asked(function: Any, from_thread: bool) -> None:
    runtime, session = Runtime(calling(function)), Session()
    async with runtime.run_stream(session, "hi") as stream:
        request = await until(stream, ElicitationRequest)
        assert isinstance(request, ElicitationRequest)
        assert [question.id for question in runtime.bridge.pending] == [request.id]
        if from_thread:
            with anyio.fail_after(5):
                await anyio.to_thread.run_sync(runtime.answer, request.id, "accept", {"name": "Ada"})
        else:
            runtime.answer(request.id, "accept", {"name": "Ada"})
        events = await drained(stream)
    assert _response(events).response == "accept {'name': 'Ada'}"
    assert_nothing_left(runtime, session)


async def test_p6_a_late_second_or_unknown_answer_is_refused_and_changes_nothing() -> None:
    runtime = Runtime(calling(who))
    async with runtime.run_stream(Session(), "hi") as stream:
        request = await until(stream, ElicitationRequest)
        assert isinstance(request, ElicitationRequest)
        runtime.answer(request.id, "accept", {"name": "Ada"})
        with pytest.raises(AnswerRefused):
            runtime.answer(request.id, "accept", {"name": "Eve"})
        with pytest.raises(AnswerRefused):
            runtime.answer("ask_unknown", "accept")
        assert _response(await drained(stream)).response == "accept {'name': 'Ada'}"
    with pytest.raises(AnswerRefused):
        runtime.answer(request.id, "decline")


async def test_p6_of_two_answers_at_the_same_moment_one_settles() -> None:
    runtime = Runtime(calling(who))
    async with runtime.run_stream(Session(), "hi") as stream:
        await until(stream, ElicitationRequest)
        (question,) = runtime.bridge.pending  # as both threads have looked it up
        assert runtime.bridge.settle(question, ElicitationResult("accept", {"name": "Ada"}))
        assert not runtime.bridge.settle(question, ElicitationResult("decline"))
        assert question.outcome == ElicitationResult("accept", {"name": "Ada"})
        question.settled.set()
        assert _response(await drained(stream)).response == "accept {'name': 'Ada'}"


async def test_p6_an_invalid_answer_says_what_is_wrong_and_leaves_the_question_open() -> None:
    runtime = Runtime(calling(who))
    async with runtime.run_stream(Session(), "hi") as stream:
        request = await until(stream, ElicitationRequest)
        assert isinstance(request, ElicitationRequest)
        with pytest.raises(InvalidAnswer) as caught:
            runtime.answer(request.id, "accept", {"name": 7})
        assert set(caught.value.errors) == {"name"}
        with pytest.raises(InvalidAnswer):
            runtime.answer(request.id, "agree")
        assert runtime.bridge.pending
        runtime.answer(request.id, "decline")
        assert _response(await drained(stream)).response == "decline None"


async def test_p6_parallel_questions_never_swap_answers() -> None:
    async def name_of(thing: str) -> str:
        answer = await ask(thing, NAME_SCHEMA)
        assert answer.content is not None
        return f"{thing} is {answer.content['name']}"

    things = [f"thing {n}" for n in range(8)]
    agent = scripted([ToolCall("name_of", {"thing": thing}) for thing in things], "done", tools=[name_of])
    runtime, session = Runtime(agent), Session()
    responses: list[str] = []
    async with runtime.run_stream(session, "hi") as stream:
        asked: list[ElicitationRequest] = []
        with anyio.fail_after(5):
            async for event in stream:
                if isinstance(event, ElicitationRequest):
                    asked.append(event)
                    if len(asked) == len(things):
                        for request in reversed(asked):
                            runtime.answer(request.id, "accept", {"name": request.message.upper()})
                elif isinstance(event, ToolCallResponse):
                    responses.append(event.response)
    assert sorted(responses) == [f"{thing} is {thing.upper()}" for thing in things]
    results = [message.content for message in session.messages if message.role == "tool"]
    assert results == [f"{thing} is {thing.upper()}" for thing in things], "in the order of the calls"


async def test_p2_a_stream_that_ends_answers_its_questions_with_cancel() -> None:
    outcomes: list[ElicitationResult] = []

    def asks() -> str:
        outcomes.append(ask_sync("Who?", NAME_SCHEMA))
        return "late"

    runtime, session = Runtime(calling(asks)), Session()
    async with runtime.run_stream(session, "hi") as stream:
        request = await until(stream, ElicitationRequest)
        assert isinstance(request, ElicitationRequest)
        stream.cancel()
        events = await drained(stream)
        assert [event.action for event in events if isinstance(event, ElicitationResolved)] == ["cancel"]
        assert _response(events).state == "abandoned"
        with pytest.raises(AnswerRefused):
            runtime.answer(request.id, "accept", {"name": "Ada"})
    with anyio.fail_after(5):
        while not outcomes:
            await anyio.lowlevel.checkpoint()
    assert outcomes[0].action == "cancel"
    assert_nothing_left(runtime, session)


async def test_p6_a_question_whose_asker_gives_up_is_cancelled() -> None:
    async def impatient() -> str:
        with anyio.move_on_after(0.01):
            await ask("Who?", NAME_SCHEMA)
        assert runtime.bridge.pending == ()
        return "gave up"

    runtime = Runtime(calling(impatient))
    events = await events_of(runtime)
    assert [event.action for event in events if isinstance(event, ElicitationResolved)] == ["cancel"]
    assert _response(events).response == "gave up"


DEFAULTS = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 2},
        "city": {"type": "string", "default": "Bern"},
        "day": {"type": "string", "format": "date", "default": "tomorrow"},  # which does not fit: nobody's answer
    },
    "required": ["name", "city"],
}


async def defaulted() -> str:
    return str((await ask("Who?", DEFAULTS)).content)


async def _function(request: ElicitationRequest) -> tuple[str, dict[str, Any]]:
    return "accept", {"name": request.message[:3]}


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({"name": "Ada", "unknown": 1}, "{'name': 'Ada', 'city': 'Bern'}"),
        (lambda request: ("accept", {"name": "Bob", "city": "Ulm"}), "{'name': 'Bob', 'city': 'Ulm'}"),
        (_function, "{'name': 'Who', 'city': 'Bern'}"),
        (lambda request: ("cancel", None), "None"),
    ],
)
async def test_answers_given_beforehand(answers: Any, expected: str) -> None:
    result = await Runtime(calling(defaulted)).run(Session(), "hi", answers=answers)
    assert result.messages[2].content == expected


def _exits(request: ElicitationRequest) -> None:
    raise SystemExit(2)


async def _gives_up(request: ElicitationRequest) -> None:
    raise asyncio.CancelledError


@pytest.mark.parametrize(
    "answers", [{"name": "A"}, {}, lambda request: 1 / 0, lambda request: "yes", _exits, _gives_up]
)
async def test_answers_that_do_not_fit_are_an_error_event_and_a_decline(answers: Any) -> None:
    events = await events_of(Runtime(calling(who_needs_two)), answers=answers)
    assert_whole(events)
    (error,) = [event for event in events if isinstance(event, Error)]
    assert error.code == "invalid_answer" and "answers=" in error.message
    assert _response(events).response.startswith("decline")


async def who_needs_two() -> str:
    return (await ask("Who?", DEFAULTS)).action


async def test_p2_an_answers_function_that_takes_its_time_keeps_no_asker_after_the_end() -> None:
    asked = anyio.Event()

    async def ponders(request: ElicitationRequest) -> None:
        asked.set()
        await anyio.sleep_forever()

    before = asyncio.all_tasks()
    runtime = Runtime(calling(anyio.sleep_forever))
    async with runtime.run_stream(Session(), "hi", answers=ponders) as stream:
        asker = asyncio.create_task(ask("From a server's own task?", NAME_SCHEMA))
        await inside(asked.wait)
        stream.cancel()
        with anyio.fail_after(5):
            assert (await asker).action == "cancel"
    assert asyncio.all_tasks() == before
    assert_nothing_left(runtime)


async def test_k3_an_interrupt_of_an_answers_function_ends_the_run_and_not_the_asker() -> None:
    def interrupted(request: ElicitationRequest) -> None:
        raise KeyboardInterrupt

    runtime = Runtime(calling(anyio.sleep_forever))
    async with runtime.run_stream(Session(), "hi", answers=interrupted) as stream:
        with anyio.fail_after(5):
            assert (await ask("From a server's own task?", NAME_SCHEMA)).action == "cancel"
        events = await drained(stream)
    assert isinstance(events[-1], StreamStopped) and events[-1].reason == "interrupted"
    assert_nothing_left(runtime)


async def test_a_question_whose_schema_is_none_at_all_is_the_tools_mistake() -> None:
    async def asks() -> None:
        await ask("Who?", ["name"])  # pyright: ignore[reportArgumentType]

    response = _response(await events_of(Runtime(calling(asks))))
    assert response.state == "failed" and "not list" in response.response


async def test_p10_run_without_answers_declines_and_the_model_reads_why() -> None:
    result = await Runtime(calling(who)).run(Session(), "hi")
    assert result.messages[2].content.startswith("decline None\n\n[declined: run() has nobody to ask")


async def test_p10_a_form_that_asks_for_a_secret_is_declined() -> None:
    async def asks_password() -> str:
        schema = {"type": "object", "properties": {"password": {"type": "string"}}}
        return (await ask("Log in", schema)).action

    events = await events_of(Runtime(calling(asks_password)))
    assert not [event for event in events if isinstance(event, ElicitationRequest)]
    assert [event for event in events if isinstance(event, Warning)]
    assert _response(events).response.startswith("decline")


async def test_p5_a_question_from_outside_of_any_call_goes_to_the_innermost_live_stream_or_is_declined() -> None:
    assert (await ask("Anyone?", NAME_SCHEMA)).action == "decline"
    runtime = Runtime(calling(who))
    async with runtime.run_stream(Session(), "hi") as stream:
        await until(stream, ElicitationRequest)
        answers: list[ElicitationResult] = []

        async def outside() -> None:
            answers.append(await ask("Anyone?", NAME_SCHEMA))

        async with anyio.create_task_group() as group:
            group.start_soon(outside)
            request = await until(stream, ElicitationRequest)
            assert isinstance(request, ElicitationRequest) and request.message == "Anyone?"
            runtime.answer(request.id, "accept", {"name": "me"})
        assert answers[0].content == {"name": "me"}


# ---------------------------------------------------------------- approvals and limits


@tool(approve=True)
def delete(path: str) -> str:
    """Delete a file."""
    return f"deleted {path}"


def _deleting(*paths: str) -> Any:
    return scripted([ToolCall("delete", {"path": path}) for path in paths], "done", tools=[delete])


@pytest.mark.parametrize(
    ("action", "content", "expected"),
    [
        ("accept", None, "deleted a"),
        ("decline", {"reason": "keep it"}, "The user did not approve the call: keep it"),
        ("cancel", None, "The user did not approve the call."),
    ],
)
async def test_p11_a_call_that_can_hurt_waits_for_approval(action: str, content: Any, expected: str) -> None:
    runtime = Runtime(_deleting("a"))
    async with runtime.run_stream(Session(), "hi") as stream:
        asked = await until(stream, ToolCallConfirmation)
        assert isinstance(asked, ToolCallConfirmation)
        assert dict(asked.arguments) == {"path": "a"}
        runtime.answer(asked.id, action, content)
        response = _response(await drained(stream))
    assert response.response == expected
    assert response.state == ("ok" if action == "accept" else "refused")


async def test_p11_approval_for_the_session_settles_the_second_ask_and_later_turns() -> None:
    runtime, session = Runtime(_deleting("a", "b")), Session()
    async with runtime.run_stream(session, "hi") as stream:
        asked = await until(stream, ToolCallConfirmation)
        await until(stream, ToolCallConfirmation)
        assert isinstance(asked, ToolCallConfirmation)
        assert len(runtime.bridge.pending) == 2
        runtime.answer(asked.id, "accept", {"scope": "session"})
        events = await drained(stream)
    assert sum(isinstance(event, ToolCallResponse) and not event.is_error for event in events) == 2
    assert session.approved == {"delete"}


@pytest.mark.parametrize(("approve", "ok"), [("all", True), ("none", False)])
async def test_p11_modes(approve: str, ok: bool) -> None:
    events = await events_of(Runtime(_deleting("a")), approve=approve)
    assert not [event for event in events if isinstance(event, ToolCallConfirmation)]
    assert _response(events).is_error is not ok


async def test_p10_an_approval_that_nobody_can_give_is_refused_and_the_model_reads_why() -> None:
    result = await Runtime(_deleting("a")).run(Session(), "hi", answers={"name": "x"})
    assert "run() has nobody to ask" in result.messages[2].content


def look() -> str:
    return "nothing yet"


def _looking(times: int, **options: Any) -> Any:
    return scripted(*[ToolCall("look") for _ in range(times)], "done", tools=[look], **options)


@pytest.mark.parametrize(("action", "reason"), [("accept", "completed"), ("decline", "max_iterations")])
async def test_the_limit_of_model_calls_asks_whether_to_go_on(action: str, reason: str) -> None:
    runtime, session = Runtime(_looking(3, max_iterations=2)), Session()
    async with runtime.run_stream(session, "hi") as stream:
        asked = await until(stream, MaxIterationsReached)
        assert isinstance(asked, MaxIterationsReached) and asked.id
        runtime.answer(asked.id, action)
        events = await drained(stream)
    assert isinstance(events[-1], StreamStopped) and events[-1].reason == reason
    assert_nothing_left(runtime, session)


async def test_p10_a_limit_that_nobody_can_lift_is_final() -> None:
    result = await Runtime(_looking(3, max_iterations=2)).run(Session(), "hi")
    assert result.reason == "max_iterations"


# ---------------------------------------------------------------- from scripts


def test_run_sync_without_a_loop() -> None:
    assert run_sync(calling(who), "hi", answers={"name": "Ada"}).messages[2].content == "accept {'name': 'Ada'}"


async def test_run_sync_inside_a_running_loop() -> None:
    assert run_sync(calling(who_sync), "hi", answers={"name": "Ada"}).text == "done"


async def test_p12_a_thread_learns_that_it_was_cancelled() -> None:
    entered, left = threading.Event(), threading.Event()

    def works() -> None:
        entered.set()
        while not cancelled():
            threading.Event().wait(0.001)
        left.set()

    runtime = Runtime(calling(works))
    async with runtime.run_stream(Session(), "hi") as stream:
        await anyio.to_thread.run_sync(entered.wait, 5)
        stream.cancel()
        assert _response(await drained(stream)).state == "abandoned"
    assert await anyio.to_thread.run_sync(left.wait, 5)

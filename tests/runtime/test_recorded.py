"""Answers from files and into them, and questions that must be answered in time."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import anyio
import pytest

from nbagent.errors import ConfigError
from nbagent.events import ElicitationRequest, ElicitationResolved
from nbagent.runtime import Runtime
from nbagent.runtime.asking import ask
from nbagent.session import Session
from tests.runtime.support import NAME_SCHEMA, assert_nothing_left, calling, drained

pytestmark = pytest.mark.anyio


async def twice() -> str:
    first = await ask("Who are you?", NAME_SCHEMA)
    second = await ask("And who else?", NAME_SCHEMA)
    return f"{first.action} {first.content} {second.action} {second.content}"


async def said(path: Any, **options: Any) -> str:
    """What the tool got, with the answers of that file."""
    result = await Runtime(calling(twice)).run(Session(), "hi", answers=path, **options)
    return next(message.content for message in result.messages if message.role == "tool")


MAPPING = {"a.json": '{"name": "Ada"}', "a.yaml": "name: Ada\n", "a.yml": "name: 'Ada'"}
LISTS = {
    "a.jsonl": '{"message": "And who else?", "content": {"name": "Bob"}}\n\n{"content": {"name": "Ada"}}\n',
    "b.json": '[{"action": "accept", "content": {"name": "Ada"}}, {"content": {"name": "Bob"}}]',
    "c.yaml": "- {message: 'Who are you?', source: '', content: {name: Ada}}\n- content: {name: Bob}\n",
}


@pytest.mark.parametrize("name", MAPPING)
async def test_a_file_with_an_object_answers_as_a_mapping(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(MAPPING[name])
    assert await said(tmp_path / name) == "accept {'name': 'Ada'} accept {'name': 'Ada'}"


@pytest.mark.parametrize("name", LISTS)
async def test_each_answer_of_a_list_is_given_once_to_its_question(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(LISTS[name])
    assert await said(str(tmp_path / name)) == "accept {'name': 'Ada'} accept {'name': 'Bob'}"


async def test_a_question_without_an_answer_left_is_declined_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"message": "Who are you?", "action": "cancel"}')
    got = await said(tmp_path / "a.jsonl")
    assert got.startswith("cancel None decline None") and "a.jsonl holds no answer to it that is left" in got


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.json", "{", "a.json"),
        ("a.json", "3", "an object of values by field name is expected"),
        ("a.jsonl", '{"content": {}}\nhello', "line 2 is not JSON"),
        ("a.jsonl", '{"action": "agree"}', "answer 1: the action is one of accept, decline, cancel, not 'agree'"),
        ("a.jsonl", '{"answer": 1}', "'answer' is unknown"),
        ("a.jsonl", '{"type": "stream_started", "stream_id": "x"}', "events of a run, which keep no answers"),
        ("a.yaml", "a: [", "not YAML"),
        ("missing.json", None, "No such file"),
    ],
)
async def test_a_file_that_holds_no_answers_is_one_clear_line(
    name: str, text: str | None, words: str, tmp_path: Path
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError) as error:
        Runtime(calling(twice)).run_stream(Session(), "hi", answers=tmp_path / name)
    assert words in str(error.value) and "\n" not in str(error.value)


async def test_what_is_answered_is_recorded_and_answers_the_next_run_alike(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text("of an earlier run\n")
    people = iter([("accept", {"name": "Ж"}), ("decline", None)])
    first = await said(lambda _: next(people), record_answers=path)  # pyright: ignore[reportUnknownLambdaType]
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert lines == [
        {"message": "Who are you?", "source": "", "action": "accept", "content": {"name": "Ж"}},
        {"message": "And who else?", "source": "", "action": "decline"},
    ]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert await said(path) == first


async def test_what_nobody_decided_is_not_recorded(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    await said(None, record_answers=path)
    assert path.read_text() == ""


@pytest.mark.parametrize("name", ["a.json", "nowhere/a.jsonl"])
async def test_a_recording_that_cannot_be_is_refused_before_the_run(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="record_answers="):
        Runtime(calling(twice)).run_stream(Session(), "hi", record_answers=tmp_path / name)


async def hurried() -> str:
    answer = await ask("Who are you?", NAME_SCHEMA, timeout=0.05)
    return f"{answer.action}: {answer.note}"


async def test_a_question_with_a_deadline_is_cancelled_when_it_has_come() -> None:
    runtime = Runtime(calling(hurried))
    async with runtime.run_stream(Session(), "hi") as stream:
        events = await drained(stream)
    (asked,) = [event for event in events if isinstance(event, ElicitationRequest)]
    (resolved,) = [event for event in events if isinstance(event, ElicitationResolved)]
    assert asked.deadline is not None and asked.deadline == pytest.approx(asked.timestamp + 0.05, abs=0.04)
    assert resolved.action == "cancel"
    assert resolved.note in ("no answer within 0.05 s", "no answer within 0.04 s")  # what was left when it was asked
    assert f"cancel: {resolved.note}" in stream.result().messages[-2].content
    assert_nothing_left(runtime)


async def patient() -> str:
    return (await ask("Who are you?", NAME_SCHEMA, timeout=60)).action


async def test_an_answer_in_time_counts_and_leaves_no_timer() -> None:
    runtime = Runtime(calling(patient))
    with anyio.fail_after(5):
        async with runtime.run_stream(Session(), "hi") as stream:
            async for event in stream:
                if isinstance(event, ElicitationRequest):
                    runtime.answer(event.id, "accept", {"name": "Ada"})
    assert "accept" in stream.result().messages[-2].content
    assert_nothing_left(runtime)


@pytest.mark.parametrize("timeout", [0, -1, float("inf"), float("nan"), True, "5"])
async def test_a_time_that_cannot_be_is_refused(timeout: Any) -> None:
    async def wrong() -> str:
        await ask("Who?", NAME_SCHEMA, timeout=timeout)
        return "asked"

    result = await Runtime(calling(wrong)).run(Session(), "hi")
    assert "timeout=" in next(message.content for message in result.messages if message.role == "tool")

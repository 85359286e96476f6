"""P8: a session as JSON and back, copied, and made valid again whatever was cut short."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbagent.messages import CUT_SHORT, paired
from nbagent.session import Attachment, Message, Session, Summary, ToolCall, Turn, Usage
from tests.runtime.support import assert_paired

ADD = ToolCall("add", {"a": 1}, "call_1")
SUB = ToolCall("sub", '{"half', "call_2")

text = st.text(st.characters(), max_size=20)  # half surrogate pairs and all
value = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=5,
)
calls = st.builds(ToolCall, text, text | st.dictionaries(text, value, max_size=3), text)
messages = st.builds(
    Message,
    role=st.sampled_from(["user", "assistant", "tool"]),
    content=text,
    reasoning=text,
    tool_calls=st.lists(calls, max_size=2).map(tuple),
    tool_call_id=st.none() | text,
    agent_name=text,
    is_error=st.booleans(),
    interrupted=st.booleans(),
    attachments=st.lists(st.builds(Attachment, text, text, text), max_size=2).map(tuple),
    opaque=st.none() | st.dictionaries(text, value, max_size=3),
)


def said(*calling: ToolCall, content: str = "") -> Message:
    return Message("assistant", content, tool_calls=calling)


def result(call: ToolCall, content: str = "3") -> Message:
    return Message("tool", content, tool_call_id=call.id)


@pytest.fixture
def session() -> Session:
    return Session(
        id="s",
        messages=[Message("user", "hi"), said(ADD, SUB), result(ADD), result(SUB), said(content="so")],
        branches=[[Message("user", "before")], []],
        turns=[Turn("stream_1", 0, "c1", "e1", "", "completed"), Turn("stream_2", 4, agent="other", reason="error")],
        usage=Usage(1, 2, 3, 0.5),
        approved={"b", "a"},
        summaries=[Summary(1, "they said hi"), Summary(4, "and more")],
        agent="other",
        parent_id="parent",
        created=12.5,
    )


def again(session: Session) -> Session:
    """Through JSON text and back."""
    return Session.from_dict(json.loads(session.to_json()))


def test_every_field_comes_back(session: Session) -> None:
    assert again(session) == session
    assert again(Session(id="empty", created=1.0)) == Session(id="empty", created=1.0)


def test_the_json_is_plain_and_says_what_it_is(session: Session) -> None:
    data = session.to_dict()
    assert json.loads(json.dumps(data)) == data
    assert data["version"] == 1
    assert data["approved"] == ["a", "b"]
    assert set(data) == {
        "version", "id", "messages", "branches", "turns", "usage", "approved", "summaries", "agent", "parent_id",
        "created",
    }  # fmt: skip


def test_what_is_given_shares_nothing_with_the_session(session: Session) -> None:
    data = session.to_dict()
    data["messages"][1]["tool_calls"][0]["arguments"]["a"] = 2
    data["messages"].clear()
    assert session.messages[1].tool_calls[0].arguments == {"a": 1}
    data = session.to_dict()
    copy = Session.from_dict(data)
    data["messages"][1]["tool_calls"][0]["arguments"]["a"] = 2
    assert copy == session


@settings(max_examples=60)
@given(st.lists(messages, max_size=5))
def test_any_message_comes_back_through_json(said: list[Message]) -> None:
    session = Session(branches=[said])  # a branch is never repaired
    assert again(session) == session


@settings(max_examples=200)
@given(st.lists(st.sampled_from([
    Message("user", "u"), said(ADD), said(SUB), said(ADD, SUB), said(content="t"), result(ADD), result(SUB),
    Message("tool", "astray", tool_call_id="nobody's"),
]), max_size=8), st.lists(st.integers(0, 8), max_size=3))  # fmt: skip
def test_any_history_is_valid_once_it_is_loaded(history: list[Message], starts: list[int]) -> None:
    session = Session(messages=list(history), created=1.0)
    session.turns = [Turn(f"s{at}", at) for at in sorted(starts) if at <= len(history)]
    session.summaries = [Summary(at, "") for at in starts if at <= len(history)]
    loaded = again(session)
    assert_paired(loaded)
    spoken = [message.content for message in history if message.role != "tool"]
    assert [message.content for message in loaded.messages if message.role != "tool"] == spoken
    kept = [message.content for part in (loaded.messages, *loaded.branches) for message in part]
    assert sorted(c for c in kept if c != CUT_SHORT) == sorted(message.content for message in history)
    assert all(turn.reason == "interrupted" for turn in loaded.turns)
    assert again(loaded) == loaded
    for before, after in zip(session.turns, loaded.turns, strict=True):
        users = sum(message.role == "user" for message in session.messages[: before.start])
        assert users == sum(message.role == "user" for message in loaded.messages[: after.start])


def test_a_turn_under_way_is_interrupted_and_so_is_what_was_said_in_it() -> None:
    done = [Message("user", "one"), said(content="first")]
    session = Session(messages=[*done, Message("user", "two"), said(ADD), result(ADD), said(content="half")])
    session.turns = [Turn("a", 0, reason="completed"), Turn("b", 2)]
    loaded = again(session)
    assert [turn.reason for turn in loaded.turns] == ["completed", "interrupted"]
    assert [message.interrupted for message in loaded.messages] == [False, False, False, True, False, True]
    assert not loaded.busy
    assert session.busy and not session.messages[-1].interrupted


def test_calls_that_dangle_are_paired_and_never_dropped() -> None:
    loaded = again(Session(messages=[Message("user", "hi"), said(ADD, SUB, content="let me see"), result(SUB)]))
    assert [(m.role, m.content, m.is_error) for m in loaded.messages] == [
        ("user", "hi", False),
        ("assistant", "let me see", False),
        ("tool", CUT_SHORT, True),
        ("tool", "3", False),
    ]


def test_results_out_of_order_stand_behind_their_calls_again() -> None:
    given = [
        said(ADD),
        Message("user", "hi"),
        result(ADD, "late"),
        said(ADD),
        result(ADD, "second"),
        result(ADD, "third"),
    ]
    pairing = paired(given)
    assert [m.content for m in pairing.messages] == ["", "late", "hi", "", "second"]
    assert [m.content for m in pairing.orphans] == ["third"]
    assert pairing.positions == [0, 2, 3, 3, 5, 5, 5]


def test_what_is_valid_is_left_alone(session: Session) -> None:
    assert paired(session.messages).messages == session.messages
    assert again(session).messages == session.messages


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": None}, "no version"),
        ({"version": 2}, "newer nbagent"),
        ({"id": ""}, "id"),
        ({"id": 3}, "id: expected a string, not int"),
        ({"messages": {}}, "messages: expected a list, not dict"),
        ({"messages": ["hi"]}, r"messages\[0\]: expected an object, not 'hi'"),
        (
            {"messages": [{"role": "oracle"}]},
            r"messages\[0\].role: expected one of .*tool, not 'oracle'",
        ),
        ({"messages": [{"role": "user", "mood": "good"}]}, r"messages\[0\].mood: there is no such field"),
        ({"messages": [{"content": "hi"}]}, r"messages\[0\].role: missing"),
        ({"messages": [{"role": "user", "interrupted": 1}]}, "interrupted: expected true or false, not int"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"name": "f", "arguments": 3}]}]},
            r"messages\[0\].tool_calls\[0\].arguments: expected an object or a string, not int",
        ),
        ({"usage": {"input_tokens": 1.5}}, "usage.input_tokens: expected a whole number"),
        ({"usage": {"input_tokens": True}}, "usage.input_tokens: expected a whole number"),
        ({"created": "now"}, "created: expected a number"),
        ({"parent_id": 1}, "parent_id: expected a string or null"),
        ({"turns": [{"stream_id": "a", "start": 9}]}, "does not fit 5 messages"),
        ({"turns": [{"stream_id": "a", "start": 3}, {"stream_id": "b", "start": 0}]}, "start at"),
        ({"summaries": [{"upto": 6, "text": ""}]}, "more than the 5 messages"),
        ({"color": "red"}, "color: there is no such field"),
    ],
)
def test_what_is_no_session_is_refused_by_the_name_of_its_fault(
    session: Session, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Session.from_dict(session.to_dict() | {"summaries": [], "turns": []} | change)


@pytest.mark.parametrize("data", [None, [], "session", {}, {"version": 1}])
def test_what_is_nothing_like_a_session_is_refused(data: Any) -> None:
    with pytest.raises(ValueError, match="not a session of nbagent"):
        Session.from_dict(data)


def test_arguments_that_are_no_json_are_told_as_text() -> None:
    call = ToolCall("f", {"when": Usage, "nan": float("nan"), "pair": (1, 2)}, "c")
    (message, _) = again(Session(messages=[said(call)])).messages
    assert message.tool_calls[0].arguments == {"when": str(Usage), "nan": "NaN", "pair": [1, 2]}


def test_a_fork_is_a_deep_copy_with_an_id_of_its_own(session: Session) -> None:
    fork = session.fork()
    assert fork.id != session.id and fork.parent_id is None and fork.created > session.created
    fork.id, fork.parent_id, fork.created = session.id, session.parent_id, session.created
    assert fork == session
    fork.messages[1].content = "changed"
    fork.turns[0].reason = "changed"
    fork.branches[0].clear()
    fork.approved.clear()
    assert again(session).messages[1].content == ""
    assert session.turns[0].reason == "completed" and session.branches[0] and session.approved


def test_a_fork_has_the_settled_turns_alone(session: Session) -> None:
    session.turns.append(Turn("under way", 5, agent="before"))
    session.messages += [Message("user", "and now"), said(content="half")]
    session.summaries.append(Summary(6, "too much"))
    fork = session.fork()
    assert fork.messages == session.messages[:5]
    assert len(fork.turns) == len(fork.summaries) == 2
    assert fork.branches == session.branches and fork.agent == "before"
    assert not fork.busy and session.busy and len(session.messages) == 7

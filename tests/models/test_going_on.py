"""Whatever became of a turn, the next request of the session is one that the strictest provider takes."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from nbagent.agent import Agent
from nbagent.events import StreamStopped
from nbagent.runtime import Runtime
from nbagent.session import Session
from tests.models.formats import Call, Chat, Format, Messages
from tests.models.server import Reply, provider, refusal
from tests.models.test_providers import add, heard

pytestmark = pytest.mark.anyio
CALLS = [Call("call_a", "add", ['{"a": 1,', ' "b": 2}']), Call("call_b", "add", ['{"a": 3, "b', '": 4}'])]

TURNS: dict[str, Callable[[Format], list[Reply]]] = {
    "429": lambda _: [refusal(429, "slow down", "rate_limit_error", retry_after="3600")],
    "500": lambda _: [refusal(500, "the disk is full", "api_error")],
    "refused": lambda _: [refusal(400, "no such parameter")],
    "too long": lambda _: [refusal(400, "prompt is too long: 300000 tokens > 200000", "context_length_exceeded")],
    "cut in a text": lambda spoken: [Reply(spoken.said(["Half a "], stop="none"), then="cut")],
    "cut in a call": lambda spoken: [Reply(spoken.said(["Let me"], CALLS, stop="none")[:-3], then="cut")],
    "cut after calls": lambda spoken: [
        Reply(spoken.said(calls=CALLS)), Reply(spoken.said(["So"], stop="none"), then="cut")
    ],
    "stall": lambda spoken: [Reply(spoken.said(["Half a "], reasoning="hm", stop="none"), then="stall")],
    "no json": lambda spoken: [
        Reply(spoken.said(calls=[Call("call_a", "add", ['{"a": 1,'])])), Reply(spoken.said(["Oh."]))
    ],
    "no such tool": lambda spoken: [
        Reply(spoken.said(calls=[Call("call_a", "nope", ["{}"])])), Reply(spoken.said(["Oh."]))
    ],
    "filter": lambda spoken: [Reply(spoken.said(["I can"], stop="content_filter"))],
    "length": lambda spoken: [Reply(spoken.said(["And so"], stop="length"))],
    "nothing": lambda spoken: [Reply(spoken.said())],
    "blanks": lambda spoken: [Reply(spoken.said([" \n "]))],
}  # fmt: skip


def refused(spoken: Format, body: dict[str, Any]) -> str:
    """Why the strictest server would refuse this request; "" where it would not."""
    said = [one for one in spoken.heard(body) if one[0] != "system"]
    waiting: list[str] = []
    for one in said:
        if one[0] == "call":
            json.loads(one[3])
            if not one[1] or one[1] in waiting:
                return f"a call without an id of its own: {one}"
            waiting.append(one[1])
        elif one[0] == "result":
            if not waiting or waiting.pop(0) != one[1]:
                return f"a result without its call, or out of order: {one}"
        elif waiting:
            return f"{one} before the results of {waiting}"
        if one[0] != "call" and not one[-1].strip():
            return f"empty: {one}"
    if waiting:
        return f"no results of {waiting}"
    if not said or said[0][0] != "user" or said[-1][0] not in ("user", "result"):
        return f"it begins or ends with another than the user: {said}"
    if isinstance(spoken, Messages):
        roles = [message["role"] for message in body["messages"]]
        if any(one == other for one, other in pairwise(roles)):
            return f"roles do not alternate: {roles}"
    return ""


@pytest.mark.parametrize("kind", TURNS)
async def test_the_next_request_is_one_that_the_provider_takes(spoken: Format, kind: str) -> None:
    replies = [*TURNS[kind](spoken), Reply(spoken.said(["Here I am."]))]
    async with provider(*replies) as served:
        model = spoken.model(served.url, retries=0, stall=0.5)
        session = Session()
        runtime = Runtime(Agent("helper", model=model, tools=[add]))
        first = await heard(runtime, session)
        assert isinstance(first[-1], StreamStopped)
        served.replies[:] = replies[-1:]
        again = Session.from_dict(json.loads(session.to_json()))
        last = await heard(runtime, again, "Are you there?")
    assert isinstance(last[-1], StreamStopped) and last[-1].reason == "completed"
    assert spoken.heard(served.requests[-1])[-1] == ("user", "Are you there?")
    assert [refused(spoken, body) for body in served.requests] == [""] * len(served.requests)


def test_a_request_that_no_provider_takes_is_seen() -> None:
    spoken = Chat()
    call = {"id": "call_a", "function": {"name": "add", "arguments": "{}"}}
    asked = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "", "tool_calls": [call]}]
    assert "no results of ['call_a']" in refused(spoken, {"messages": asked})
    answered = {"role": "tool", "tool_call_id": "call_b", "content": "3"}
    assert "without its call" in refused(spoken, {"messages": [*asked, answered]})

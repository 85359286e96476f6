"""Providers with SDKs of their own, each through one turn with a tool, over real HTTP."""

from __future__ import annotations

import json
import re
import struct
import zlib
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from nbagent.agent import Agent
from nbagent.events import AgentChoice, Error, Event, TokenUsage, ToolCallResponse
from nbagent.models import ProviderModel
from nbagent.runtime import Runtime
from nbagent.session import Session
from tests.models.formats import Call, Chat, Messages, Responses, sse
from tests.models.server import ProviderServer, Reply, provider, refusal
from tests.runtime.support import assert_nothing_left, assert_whole

pytestmark = pytest.mark.anyio
ADD = Call("call_a", "add", ['{"a": 1,', ' "b": 2}'])


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GROQ_API_KEY", "MISTRAL_API_KEY", "OLLAMA_API_KEY", "GOOGLE_API_KEY", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "key-of-a-test")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id-of-a-test")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")


def add(a: int, b: int) -> int:
    """Add."""
    return a + b


async def turn(model: ProviderModel) -> tuple[list[Event], Session]:
    runtime, session = Runtime(Agent("helper", model=model, tools=[add])), Session()
    with anyio.fail_after(60):
        async with runtime.run_stream(session, "hi") as stream:
            events = [event async for event in stream]
    assert_whole(events)
    assert_nothing_left(runtime, session)
    return events, session


def assert_one_call_and_a_last_word(events: list[Event], served: ProviderServer) -> None:
    assert [event.response for event in events if isinstance(event, ToolCallResponse)] == ["3"], events
    assert "".join(event.content for event in events if isinstance(event, AgentChoice)) == "Adding.Done."
    usage = [event for event in events if isinstance(event, TokenUsage)][-1]
    assert (usage.input_tokens, usage.output_tokens) == (22, 14)
    assert len(served.requests) == 2


USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}


def groq(text: str, calls: bool) -> list[str]:
    """Chat completions, with the usage where Groq puts it."""
    chunk = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "llama-3.3-70b-versatile"}
    said = Chat().said([text], [ADD] if calls else [])
    usage = sse({**chunk, "choices": [], "x_groq": {"id": "req1", "usage": USAGE}})
    return [*said[:-2], usage, said[-1]]


def mistral(text: str, calls: bool) -> list[str]:
    """Chat completions, with each call whole, and the usage beside the end."""
    chunk = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "mistral-small-latest"}
    call = {"id": ADD.id, "index": 0, "function": {"name": ADD.name, "arguments": "".join(ADD.pieces)}}
    last = {"content": "", "tool_calls": [call] if calls else None}
    finish = "tool_calls" if calls else "stop"
    return [
        sse({**chunk, "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}),
        sse({**chunk, "choices": [{"index": 0, "delta": last, "finish_reason": finish}], "usage": USAGE}),
        sse("[DONE]"),
    ]


def ollama(text: str, calls: bool) -> list[str]:
    """Chat completions as they are."""
    return Chat().said([text], [ADD] if calls else [])


@pytest.mark.parametrize(
    ("name", "said", "path"),
    [
        ("groq:llama-3.3-70b-versatile", groq, ""),
        ("mistral:mistral-small-latest", mistral, ""),
        ("ollama:qwen3", ollama, "/v1"),
    ],
)
async def test_a_turn_with_a_tool_in_chat_completions(
    name: str, said: Callable[[str, bool], list[str]], path: str
) -> None:
    async with provider(Reply(said("Adding.", True)), Reply(said("Done.", False))) as served:
        events, _ = await turn(ProviderModel(name, base_url=served.url + path))
    assert_one_call_and_a_last_word(events, served)
    made, result = Chat().heard(served.requests[1])[-2:]
    assert re.fullmatch("[a-zA-Z0-9]{9}" if name.startswith("mistral") else "call_a", made[1])
    assert made[2] == "add" and result[0] == "result" and made[1] == result[1] and "3" in str(result[2])
    assert "key-of-a-test" in served.headers[0]


def google(part: dict[str, Any], last: bool = False) -> str:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": [part]}, "index": 0}
    usage = {"promptTokenCount": 11, "candidatesTokenCount": 7, "totalTokenCount": 18}
    return sse(
        {
            "candidates": [candidate | ({"finishReason": "STOP"} if last else {})],
            "modelVersion": "gemini-2.5-flash",
            **({"usageMetadata": usage} if last else {}),
        }
    )


async def test_a_turn_with_a_tool_in_geminis_format() -> None:
    call = {"functionCall": {"name": "add", "args": {"a": 1, "b": 2}}}
    replies = Reply([google({"text": "Adding."}), google(call, True)]), Reply([google({"text": "Done."}, True)])
    async with provider(*replies) as served:
        events, _ = await turn(ProviderModel("google:gemini-2.5-flash", base_url=served.url))
    assert_one_call_and_a_last_word(events, served)
    made, result = served.requests[1]["contents"][-2:]
    assert made["parts"][-1]["functionCall"]["args"] == {"a": 1, "b": 2}
    assert "3" in json.dumps(result["parts"][0]["functionResponse"]["response"])


async def test_gemini_that_stalls_is_a_timeout_and_the_server_is_given_no_such_for_the_whole_answer() -> None:
    async with provider(Reply([google({"text": "Half"})], then="stall")) as served:
        events, session = await turn(ProviderModel("google:gemini-2.5-flash", base_url=served.url, stall=0.5))
    assert [event.code for event in events if isinstance(event, Error)] == ["timeout"]
    assert session.messages[-1].content == "Half"
    assert "x-server-timeout: 1\r" not in served.headers[0].lower()


@pytest.mark.parametrize("name", ["google:gemini-2.5-flash", "bedrock:amazon.nova-lite-v1:0", "mistral:m", "groq:m"])
async def test_one_that_says_nothing_at_all_is_a_timeout_and_not_asked_again(name: str) -> None:
    async with provider(Reply([], then="mute")) as served:
        events, _ = await turn(ProviderModel(name, base_url=served.url, stall=0.5))
        assert [event.code for event in events if isinstance(event, Error)] == ["timeout"]
        assert len(served.requests) == 1


def aws(kind: str, **payload: Any) -> bytes:
    """A message of Amazon's event stream."""
    headers = b""
    for name, value in ((":message-type", "event"), (":event-type", kind), (":content-type", "application/json")):
        headers += bytes([len(name)]) + name.encode() + b"\x07" + struct.pack("!H", len(value)) + value.encode()
    body = json.dumps(payload).encode()
    prelude = struct.pack("!II", 16 + len(headers) + len(body), len(headers))
    message = prelude + struct.pack("!I", zlib.crc32(prelude)) + headers + body
    return message + struct.pack("!I", zlib.crc32(message))


def converse(text: str, calls: bool) -> list[bytes]:
    said = [
        aws("messageStart", role="assistant"),
        aws("contentBlockDelta", contentBlockIndex=0, delta={"text": text}),
        aws("contentBlockStop", contentBlockIndex=0),
    ]
    if calls:
        start = {"toolUse": {"toolUseId": "call_a", "name": "add"}}
        said += [
            aws("contentBlockStart", contentBlockIndex=1, start=start),
            aws("contentBlockDelta", contentBlockIndex=1, delta={"toolUse": {"input": '{"a": 1, '}}),
            aws("contentBlockDelta", contentBlockIndex=1, delta={"toolUse": {"input": '"b": 2}'}}),
            aws("contentBlockStop", contentBlockIndex=1),
        ]
    usage = {"inputTokens": 11, "outputTokens": 7, "totalTokens": 18}
    said.append(aws("messageStop", stopReason="tool_use" if calls else "end_turn"))
    return [*said, aws("metadata", usage=usage, metrics={"latencyMs": 1})]


async def test_a_turn_with_a_tool_in_bedrocks_format() -> None:
    replies = Reply(converse("Adding.", True)), Reply(converse("Done.", False))
    async with provider(*replies) as served:
        events, _ = await turn(ProviderModel("bedrock:amazon.nova-lite-v1:0", base_url=served.url))
    assert_one_call_and_a_last_word(events, served)
    made, result = served.requests[1]["messages"][-2:]
    assert made["content"][-1]["toolUse"]["input"] == {"a": 1, "b": 2}
    assert result["content"][0]["toolResult"]["toolUseId"] == made["content"][-1]["toolUse"]["toolUseId"]


@pytest.mark.parametrize(
    "name", ["groq:llama-3.3-70b-versatile", "mistral:mistral-small-latest", "google:gemini-2.5-flash"]
)
async def test_a_refused_key_says_what_to_set(name: str) -> None:
    async with provider(refusal(401, "no such key")) as served:
        events, _ = await turn(ProviderModel(name, base_url=served.url))
    (error,) = [event for event in events if isinstance(event, Error)]
    assert error.code == "auth" and "_API_KEY" in error.message and len(served.requests) == 1


def _said(code: str, message: str) -> str:
    return json.dumps({"error": {"type": "invalid_request_error", "code": code, "message": message}})


@pytest.mark.parametrize(
    ("name", "variable", "path", "said"),
    [
        ("openai:m", "OPENAI_BASE_URL", "/v1", Responses().said(["Hi."])),
        ("openai-chat:m", "OPENAI_BASE_URL", "/v1", Chat().said(["Hi."])),
        ("anthropic:m", "ANTHROPIC_BASE_URL", "", Messages().said(["Hi."])),
        ("google:m", "GOOGLE_GEMINI_BASE_URL", "", [google({"text": "Hi."}, True)]),
        ("groq:m", "GROQ_BASE_URL", "", groq("Hi.", False)),
        ("mistral:m", "MISTRAL_BASE_URL", "", mistral("Hi.", False)),
        ("bedrock:m", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "", converse("Hi.", False)),
        ("ollama:m", "OLLAMA_BASE_URL", "/v1", ollama("Hi.", False)),
    ],
)
async def test_each_provider_is_reached_at_the_address_that_its_variable_names(
    name: str, variable: str, path: str, said: list[str | bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "key-of-a-test")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "key-of-a-test")
    async with provider(Reply(said)) as served:
        monkeypatch.setenv(variable, served.url + path)
        events, session = await turn(ProviderModel(name))
    assert session.messages[-1].content == "Hi.", [event for event in events if isinstance(event, Error)]
    assert len(served.requests) == 1


@pytest.mark.parametrize(
    ("name", "path", "body"),
    [
        ("openai-chat:m", "/v1", _said("context_length_exceeded", "This model's maximum context length is 9 tokens.")),
        ("openai:m", "/v1", _said("context_length_exceeded", "Your input exceeds the context window of this model.")),
        ("anthropic:m", "", _said("", "prompt is too long: 208310 tokens > 200000 maximum")),
        ("anthropic:m", "", _said("", "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000")),
        ("groq:m", "", _said("context_length_exceeded", "Please reduce the length of the messages or completion.")),
        ("openai-chat:m", "/v1", _said("", "the request exceeds the available context size, try increasing it")),
        ("ollama:m", "/v1", _said("", "input length exceeds maximum context length")),
        ("google:m", "", json.dumps({"error": {
            "code": 400, "status": "INVALID_ARGUMENT",
            "message": "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
        }})),
        ("mistral:m", "", json.dumps({
            "object": "error", "type": "invalid_request_prompt", "code": "3051",
            "message": "Prompt contains 40000 tokens, too large for model with 32768 maximum context length",
        })),
        ("bedrock:m", "", json.dumps({"message": "Input is too long for requested model."})),
    ],
)  # fmt: skip
async def test_a_conversation_that_is_too_long_is_known_by_each_providers_own_words(
    name: str, path: str, body: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "x")  # short ones are common where none is asked for
    monkeypatch.setenv("ANTHROPIC_API_KEY", "x")
    async with provider(Reply([body], 400, {"x-amzn-errortype": "ValidationException"})) as served:
        events, _ = await turn(ProviderModel(name, base_url=served.url + path, retries=0))
    assert [event.code for event in events if isinstance(event, Error)] == ["context_exceeded"], events
    assert len(served.requests) == 1

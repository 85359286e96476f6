"""What goes to a provider beside text: pictures of prompts and tools, and the reasoning that it has signed itself."""

from __future__ import annotations

import base64
import json
from typing import Any

import anyio
import pytest

from nbagent.agent import Agent
from nbagent.errors import ConfigError
from nbagent.events import Event, UserMessage
from nbagent.models import ProviderModel
from nbagent.runtime import Runtime
from nbagent.session import Attachment, Message, Session
from nbagent.toolsets import pictures
from tests.models.formats import KEY, Call, Chat, Format, Messages, Responses
from tests.models.server import Reply, provider
from tests.models.test_others import google
from tests.runtime.support import scripted

pytestmark = pytest.mark.anyio

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
DATA = base64.b64encode(PNG).decode()


async def events_of(runtime: Runtime, session: Session, prompt: str, **options: Any) -> list[Event]:
    """The events of one turn, within the time that the first import of a provider's library may take."""
    with anyio.fail_after(60):
        async with runtime.run_stream(session, prompt, **options) as stream:
            return [event async for event in stream]


def draw() -> bytes:
    """Draw a dot."""
    return PNG


async def test_a_picture_beside_the_prompt_reaches_the_provider(spoken: Format) -> None:
    async with provider(Reply(spoken.said(["A dot."]))) as served:
        runtime = Runtime(Agent("eyes", model=spoken.model(served.url)))
        attachment = pictures.attached(PNG, "dot.png")
        events = await events_of(runtime, Session(), "What is it?", attachments=[attachment])
    assert DATA in json.dumps(served.requests[0])
    (said,) = [event for event in events if isinstance(event, UserMessage)]
    assert said.attachments == ({"name": "dot.png", "mime": "image/png", "size": len(PNG)},)
    assert DATA not in "".join(event.to_json() for event in events)


async def test_a_picture_of_a_tool_reaches_the_provider(spoken: Format) -> None:
    replies = Reply(spoken.said(calls=[Call("call_a", "draw", ["{}"])])), Reply(spoken.said(["A dot."]))
    session = Session()
    async with provider(*replies) as served:
        runtime = Runtime(Agent("painter", model=spoken.model(served.url), tools=[draw]))
        await events_of(runtime, session, "Draw")
        again = Session.from_dict(json.loads(session.to_json()))
        await events_of(runtime, again, "And now?")
    assert DATA not in json.dumps(served.requests[0])
    assert DATA in json.dumps(served.requests[1])
    assert DATA in json.dumps(served.requests[2])  # it is in the session, and survives an export
    assert [m.attachments for m in session.messages if m.role == "tool"] == [(Attachment("image/png", DATA),)]


async def test_a_model_without_eyes_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    from pydantic_ai.profiles import ModelProfile

    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setattr(
        "pydantic_ai.models.openai.OpenAIChatModel.profile", ModelProfile(supports_image_input=False), raising=True
    )
    spoken = Chat()
    async with provider(Reply(spoken.said(["I see nothing."]))) as served:
        runtime = Runtime(Agent("blind", model=spoken.model(served.url)))
        await events_of(runtime, Session(), "Look", attachments=[pictures.attached(PNG, "dot.png")])
    body = json.dumps(served.requests[0])
    assert DATA not in body
    assert "dot.png (image/png) is attached, and this model cannot see it" in body


async def test_what_is_too_large_is_told_and_not_sent() -> None:
    block = {"type": "image", "mimeType": "image/png", "data": "A" * (pictures.LARGEST * 4 // 3 + 8)}
    found, words = pictures.of_result([block])
    assert found == () and words.endswith("too large, too many, or no picture or PDF: image/png")
    found, words = pictures.of_result([{"type": "image", "mimeType": "image/png", "data": DATA}] * 22)
    assert len(found) == pictures.MOST and "too many" in words
    with pytest.raises(ValueError, match="5,000,000 at most"):
        pictures.attached(b"x" * (pictures.LARGEST + 1))


@pytest.mark.parametrize("data", ["abc", "&&&&", "ünsinn", base64.b64encode(b"<svg/>").decode()])
@pytest.mark.parametrize("kind", ["image", "audio", "resource"])
async def test_what_only_claims_to_be_a_picture_does_not_reach_the_provider(data: str, kind: str) -> None:
    block: dict[str, Any] = {"type": kind, "mimeType": "image/png", "data": data}
    if kind == "resource":
        block = {"type": kind, "resource": {"uri": "a://b", "blob": data}}
    found, words = pictures.of_result([block, {"type": "image", "mimeType": "text/plain", "data": f"{DATA}\n"}])
    assert found == (Attachment("image/png", DATA),)  # which is one, whatever it was called
    assert words.endswith(": a://b" if kind == "resource" else ": image/png")


async def test_a_request_holds_the_newest_pictures_and_words_for_the_others(
    spoken: Format, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nbagent.models.wire.history.MOST_FILES", 2)
    session = Session(messages=[Message("user", "look", attachments=(Attachment("image/png", "kein ünsinn", "bad"),))])
    async with provider(*(Reply(spoken.said(["Yes."])) for _ in range(3))) as served:
        runtime = Runtime(Agent("eyes", model=spoken.model(served.url)))
        for number in range(3):
            await events_of(runtime, session, "Look", attachments=[pictures.attached(PNG, f"dot{number}.png")])
    body = json.dumps(served.requests[2])
    assert body.count(DATA) == 2 and len(session.messages) == 7
    assert "dot0.png (image/png) is attached, and it is not sent again" in body
    assert "dot1.png (image/png) is attached" not in body
    assert "bad (image/png) is attached, and it cannot be read" in json.dumps(served.requests[0])


async def test_groq_is_told_of_a_document_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROQ_API_KEY", KEY)
    async with provider(Reply(Chat().said(["No."]))) as served:
        runtime = Runtime(Agent("reader", model=ProviderModel("groq:llama-3.3-70b-versatile", base_url=served.url)))
        await events_of(runtime, Session(), "Read", attachments=[pictures.attached(b"%PDF-1.4", "a.pdf")])
    assert "a.pdf (application/pdf) is attached, and this model cannot see it" in json.dumps(served.requests[0])


def test_a_message_is_printed_without_its_megabytes() -> None:
    message = Message("user", "look", attachments=(Attachment("image/png", DATA, "dot.png"),), opaque={"parts": [DATA]})
    assert DATA not in repr(message) and "dot.png" in repr(message)


async def test_what_is_no_attachment_is_refused() -> None:
    with pytest.raises(ConfigError, match="str is no Attachment"):
        Runtime(scripted("hi")).run_stream(Session(), "hi", attachments=["dot.png"])  # type: ignore[list-item]


# ---------------------------------------------------------------- signed reasoning


def signed_responses(spoken: Responses, calls: list[Call]) -> list[str]:
    """An answer whose reasoning item is complete and encrypted, before the call."""
    events = spoken.said(calls=calls, reasoning="hm")
    item = {
        "id": "r1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}],
        "encrypted_content": "s3a1",
    }  # fmt: skip
    done = spoken._event("response.output_item.done", output_index=0, item=item)
    return [*events[:4], done, *events[4:]]


async def turn(
    spoken: Messages | Responses, again: ProviderModel | None = None
) -> tuple[list[dict[str, Any]], Session]:
    """A turn of reasoning, a call, and a last word; with `again` another turn by that model. The bodies of all."""
    calls = [Call("call_a", "draw", ["{}"])]
    first = (
        signed_responses(spoken, calls) if isinstance(spoken, Responses) else spoken.said(calls=calls, reasoning="hm")
    )
    session = Session()
    async with provider(Reply(first), Reply(spoken.said(["Done."]))) as served:
        model = spoken.model(served.url)
        await events_of(Runtime(Agent("thinker", model=model, tools=[draw])), session, "Think")
        session = Session.from_dict(json.loads(session.to_json()))
        if again is not None:
            await events_of(Runtime(Agent("thinker", model=again, tools=[draw])), session, "Again")
    return served.requests, session


async def test_anthropics_thinking_goes_back_signed_and_before_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    requests, session = await turn(Messages())
    (said,) = [message for message in requests[1]["messages"] if message["role"] == "assistant"]
    assert [block["type"] for block in said["content"]] == ["thinking", "tool_use"]
    assert (said["content"][0]["thinking"], said["content"][0]["signature"]) == ("hm", "s")
    assert session.messages[1].reasoning == "hm"


async def test_openais_reasoning_goes_back_encrypted_and_before_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    requests, _ = await turn(Responses())
    assert "reasoning.encrypted_content" in requests[0]["include"]
    kinds = [item.get("type") for item in requests[1]["input"]]
    assert kinds.index("reasoning") + 1 == kinds.index("function_call")
    assert requests[1]["input"][kinds.index("reasoning")]["encrypted_content"] == "s3a1"


async def test_geminis_thought_signature_goes_back_with_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_API_KEY", KEY)
    signature = base64.b64encode(b"signed by gemini").decode()
    call = {"functionCall": {"name": "draw", "args": {}}, "thoughtSignature": signature}
    session = Session()
    async with provider(Reply([google(call, True)]), Reply([google({"text": "Done."}, True)])) as served:
        model = ProviderModel("google:gemini-2.5-flash", base_url=served.url)
        await events_of(Runtime(Agent("thinker", model=model, tools=[draw])), session, "Think")
    (part,) = served.requests[1]["contents"][1]["parts"]
    assert part["functionCall"]["name"] == "draw"
    assert base64.urlsafe_b64decode(part["thoughtSignature"]) == b"signed by gemini"
    assert session.messages[1].opaque is not None


async def test_signed_reasoning_goes_to_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    spoken = Chat()
    async with provider(Reply(spoken.said(["Me too."]))) as other:
        await turn(Messages(), again=spoken.model(other.url))
    body = json.dumps(other.requests[0])
    assert "call_a" in body
    assert "hm" not in body and "signature" not in body


async def test_signed_reasoning_of_a_message_that_was_changed_stays_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    from nbagent.models.wire import signed

    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    _, session = await turn(Messages())
    message = session.messages[1]

    class Home:
        system, model_name = "anthropic", "claude-haiku-4-5"

    home: Any = Home()
    assert len(signed.parts(message, home)) == 2
    message.content = "other words"
    assert signed.parts(message, home) == ()
    message.content, message.interrupted = "", True
    assert signed.parts(message, home) == ()
    message.interrupted, message.opaque = False, {**(message.opaque or {}), "parts": [{"part_kind": "nonsense"}]}
    assert signed.parts(message, home) == ()

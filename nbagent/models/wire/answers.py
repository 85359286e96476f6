"""What a provider says, streamed as nbagent's chunks: text, reasoning, calls in pieces, what it cost.

It guarantees: whatever it raises is a `ModelError`; what was heard before stays heard; the tokens of an answer that
broke off are told, as far as the provider counted them; leaving it at any point closes the connection.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import anyio
from pydantic_ai.direct import model_request_stream
from pydantic_ai.messages import (
    ModelMessage,
    ModelResponseStreamEvent,
    PartDeltaEvent,
    PartEndEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ThinkingPartDelta,
    ToolCallPart,
    ToolCallPartDelta,
)
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.settings import ModelSettings

from nbagent.errors import ModelError
from nbagent.models.wire import signed
from nbagent.models.wire.failures import failure
from nbagent.ports import ModelChunk, Notice, Opaque, ReasoningDelta, TextDelta, ToolCallDelta
from nbagent.session import Usage


@dataclass(frozen=True, slots=True, repr=False)
class Question:
    """A request that is ready to be sent.

    Parameters
    ----------
    name
        The model's name, for messages.
    key, key_hint
        The key, to be kept out of messages, and what to do about one that is refused.
    stall
        Seconds without a byte after which it counts as stalled.
    watched
        Whether its SDK cannot be told that alone, so that its events are waited for as long and no longer.
    """

    name: str
    model: Model
    messages: Sequence[ModelMessage]
    parameters: ModelRequestParameters
    settings: ModelSettings
    key: str | None
    key_hint: str
    stall: float
    watched: bool


async def answer(question: Question) -> AsyncGenerator[ModelChunk]:
    """The answer, in pieces.

    Raises
    ------
    ModelError
        There was none, or it broke off.
    """
    pieces = Pieces()
    stream: StreamedResponse | None = None
    wrong: ModelError | None = None
    try:
        async with AsyncExitStack() as stack:
            stream = await _opened(question, stack)
            events = aiter(stream)
            while (event := await _following(events, question)) is not None:
                for chunk in pieces.of(event):
                    yield chunk
    except ModelError as error:
        wrong = error
    except Exception as error:  # the SDK's, by whatever name
        wrong = failure(error, question.name, question.key, question.key_hint)
    notice = ""
    if wrong is None and stream is not None:
        wrong, notice = _ending(stream, pieces, question.name)
    if stream is not None and (wrong is None or stream.usage.total_tokens):
        yield _usage(stream)
    if wrong is None and stream is not None and (kept := signed.kept(stream.get(), question.model)) is not None:
        yield Opaque(kept)
    if notice:
        yield Notice(notice)
    if wrong is not None:
        raise wrong


async def _opened(question: Question, stack: AsyncExitStack) -> StreamedResponse:
    await stack.enter_async_context(question.model)
    opening = stack.enter_async_context(
        model_request_stream(
            question.model,
            question.messages,
            model_settings=question.settings,
            model_request_parameters=question.parameters,
            instrument=False,
        )
    )
    if not question.watched:
        return await opening
    try:
        with anyio.fail_after(question.stall):
            return await opening
    except TimeoutError:
        raise _stalled(question) from None


async def _following(
    events: AsyncIterator[ModelResponseStreamEvent], question: Question
) -> ModelResponseStreamEvent | None:
    if not question.watched:
        return await anext(events, None)
    try:
        with anyio.fail_after(question.stall):
            return await anext(events, None)
    except TimeoutError:
        raise _stalled(question) from None


def _stalled(question: Question) -> ModelError:
    return ModelError(f"{question.name} stalled: it sent nothing for {question.stall:g} s", "timeout")


@dataclass(slots=True)
class Pieces:
    """Turns the events of one answer into chunks.

    Parameters
    ----------
    calls
        Identifier and name of each call, by the index of its part.
    whole
        Calls whose arguments come as objects, which no piece can be told of before they are whole.
    heard
        Whether anything was said.
    """

    calls: dict[int, tuple[str, str]] = field(default_factory=dict[int, tuple[str, str]])
    whole: set[int] = field(default_factory=set[int])
    heard: bool = False

    def of(self, event: object) -> Iterator[ModelChunk]:
        """The chunks of one event."""
        for chunk in self._of(event):
            self.heard = True
            yield chunk

    def _of(self, event: object) -> Iterator[ModelChunk]:
        match event:
            case PartStartEvent(part=TextPart(content=text)) | PartDeltaEvent(delta=TextPartDelta(content_delta=text)):
                if text:
                    yield TextDelta(text)
            case (
                PartStartEvent(part=ThinkingPart(content=text))
                | PartDeltaEvent(delta=ThinkingPartDelta(content_delta=text))
            ):
                if text:
                    yield ReasoningDelta(text)
            case PartStartEvent(index=index, part=ToolCallPart(tool_name=name, args=args, tool_call_id=call_id)):
                self.calls[index] = (call_id, name)
                yield from self._arguments(index, "" if args is None else args)
            case PartDeltaEvent(index=index, delta=ToolCallPartDelta(args_delta=args)) if index in self.calls:
                if args is not None:
                    yield from self._arguments(index, args)
            case PartEndEvent(index=index, part=ToolCallPart() as part) if index in self.whole:
                self.whole.discard(index)
                yield ToolCallDelta(*self.calls[index], json.dumps(part.args_as_dict(), ensure_ascii=False))
            case _:
                pass  # files, and what the provider's own tools did

    def _arguments(self, index: int, args: object) -> Iterator[ModelChunk]:
        if isinstance(args, str) and index not in self.whole:
            yield ToolCallDelta(*self.calls[index], args)
        else:
            self.whole.add(index)


def _usage(stream: StreamedResponse) -> Usage:
    usage = stream.usage
    return Usage(usage.input_tokens, usage.output_tokens, 1, _cost(stream))


def _cost(stream: StreamedResponse) -> float | None:
    try:
        return float(stream.get().cost().total_price)
    except (LookupError, ValueError, AssertionError):
        return None  # a model, or a server, whose prices nobody knows


def _ending(stream: StreamedResponse, pieces: Pieces, name: str) -> tuple[ModelError | None, str]:
    """What was wrong with an answer that came to its end, and what is to be said about it."""
    match stream.finish_reason:
        case "content_filter":
            return ModelError(f"{name}: the provider's content filter stopped the answer", "content_filter"), ""
        case "error":
            return ModelError(f"{name}: the provider ended the answer with an error"), ""
        case "length":
            return None, f"{name} reached its limit of output tokens; the answer is cut short."
        case None if pieces.calls:
            return ModelError(f"{name}: the connection ended in the middle of a tool call"), ""
        case None if not pieces.heard:
            return ModelError(f"{name}: the connection ended before an answer", transient=True), ""
        case None:
            return None, f"{name} ended without saying why; the answer may be cut short."
        case _:
            return None, ""

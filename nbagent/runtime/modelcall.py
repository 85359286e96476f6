"""One call of the model: what it is asked, and what it says, piece by piece.

Called by `loop`. It writes text into the turn as it is heard and tells of it by events; the calls it returns are made
by `calls`. It guarantees: whatever the model raises is a `ModelError`, and its generator is closed also where the run
is cut in mid-word.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any, cast

from nbagent.errors import ModelError
from nbagent.events import AgentChoice, AgentChoiceReasoning, ModelFallback, PartialToolCall, TokenUsage, Warning
from nbagent.ports import Fallback, ModelRequest, Notice, Opaque, ReasoningDelta, TextDelta, ToolCallDelta
from nbagent.runtime import toolbox
from nbagent.runtime.compaction import view
from nbagent.runtime.failing import as_model_error
from nbagent.runtime.life import Life
from nbagent.runtime.toolbox import Toolbox
from nbagent.session import Message, ToolCall, Usage, new_id
from nbagent.telemetry import Chat
from nbagent.toolsets.bounded import Bounded

RESULT = 100_000
"""Characters of a tool's result that a model reads, about 25,000 tokens; the history keeps all of it."""


@dataclass(slots=True)
class Said:
    """What the model said in one call.

    Parameters
    ----------
    taken
        Identifiers of calls that the session holds already. Some models count from 0 in every message; a call that
        repeats one gets another, since events, cards and results know a call by it.
    """

    taken: set[str]
    ids: dict[str, str] = field(default_factory=dict[str, str])
    text: list[str] = field(default_factory=list[str])
    arguments: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    names: dict[str, str] = field(default_factory=dict[str, str])
    usage: Usage = field(default_factory=Usage)

    def piece(self, given: str, name: str, arguments: str) -> str:
        """A piece of the call that the model knows as `given`; the call's identifier in the session."""
        key = self.ids.get(given)
        if key is None:
            key = self.ids[given] = given if given and given not in self.taken else new_id("call")
        self.names[key] = self.names.get(key) or name
        self.arguments.setdefault(key, []).append(arguments)
        return key

    @property
    def calls(self) -> list[ToolCall]:
        return [ToolCall(self.names[key], _parsed("".join(parts)), key) for key, parts in self.arguments.items()]


def _parsed(arguments: str) -> dict[str, Any] | str:
    try:
        value: Any = json.loads(arguments or "{}", parse_constant=_no_number)
    except (ValueError, RecursionError):
        return arguments
    return cast("dict[str, Any]", value) if isinstance(value, dict) else arguments


def _no_number(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")  # Python reads NaN and Infinity, which nobody else could


async def model_call(run: Life, tools: Toolbox, instructions: str) -> Said:
    """Call the run's model once, and tell of what it says as it says it.

    Raises
    ------
    ModelError
        It failed, or said something that is no piece of an answer.
    """
    adapter = run.agent.output_adapter
    messages, summarised = view(run.session)
    request = ModelRequest(
        messages=tuple(map(_readable, messages)),
        summarised=tuple(summarised),
        instructions=instructions,
        tools=toolbox.specs(tools),
        output_schema=adapter.json_schema() if adapter is not None else None,
    )
    said = Said({call.id for message in run.session.messages for call in message.tool_calls})
    with run.trace.chat(run.agent.name, run.model, request) as chat:
        try:
            await _listen(run, request, said, chat)
        finally:
            chat.said(said.usage, said.text, said.calls)
    return said


def _readable(message: Message) -> Message:
    """The message as a model reads it: of a flood that a tool returned, the head and the tail."""
    if message.role != "tool" or len(message.content) <= RESULT:
        return message
    text = Bounded(RESULT)
    text.add(message.content)
    return replace(message, content=text.text)


async def _listen(run: Life, request: ModelRequest, said: Said, chat: Chat) -> None:
    chunks = None
    try:
        with as_model_error(run.model):
            chunks = run.model.stream(request)
            async for chunk in chunks:
                if not chat.heard:
                    chat.first()
                if type(chunk) is TextDelta and type(content := chunk.content) is str and not run.crowded:
                    said.text.append(content)  # most chunks are this: no pattern and no coroutine for each
                    run.turn.text(content)
                    run.record(AgentChoice, content=content)
                    continue
                match chunk:
                    case TextDelta(str() as content):
                        said.text.append(content)
                        run.turn.text(content)
                        await run.emit(AgentChoice, content=content)
                    case ReasoningDelta(str() as content):
                        run.turn.reasoning(content)
                        await run.emit(AgentChoiceReasoning, content=content)
                    case ToolCallDelta(str() as given, str() as name, str() as arguments):
                        key = said.piece(given, name, arguments)
                        await run.emit(PartialToolCall, tool_call_id=key, name=said.names[key], arguments=arguments)
                    case Usage():
                        said.usage += chunk
                        run.usage += chunk
                        usage = run.usage
                        await run.emit(
                            TokenUsage,
                            input_tokens=usage.input_tokens,
                            output_tokens=usage.output_tokens,
                            cost=usage.cost,
                        )
                    case Fallback():
                        await run.emit(
                            ModelFallback, from_model=chunk.from_model, to_model=chunk.to_model, error=chunk.error
                        )
                    case Opaque():
                        run.turn.opaque(chunk.data)
                    case Notice():
                        await run.emit(Warning, message=chunk.message)
                    case _:
                        raise ModelError(
                            f"{run.model.name} yielded {repr(chunk)[:200]}, which is no piece of an answer"
                        )
    finally:
        if (close := getattr(chunks, "aclose", None)) is not None:
            await close()

"""A model that plays a script: for tests, demos and tutorials, honest about being one by its name.

It implements `nbagent.ports.Model` like any other and knows nothing of the runtime. It guarantees that the same history
plays the same turn, so that a cell executed again says the same again.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, cast

import anyio

from nbagent import boundary
from nbagent.errors import ModelError
from nbagent.ports import ModelChunk, ModelRequest, TextDelta, ToolCallDelta
from nbagent.session import Message, ToolCall, Usage, new_id

Line = str | ToolCall
Turn = Line | Sequence[Line] | Callable[[Sequence[Message]], Any]

_WORDS = re.compile(r"\s*\S+\s*|\s+")


class ScriptedModel:
    """A model that answers from a list of turns.

    Parameters
    ----------
    turns
        Each a string (streamed word by word), a `ToolCall`, a list of both, or a function of the messages (sync or
        async) that returns one of these.
    delay
        Seconds before each word or call.
    name
        The name that users see.
    context_limit
        Tokens that it takes, here words of input and output together; a request beyond it raises `ModelError`.

    Notes
    -----
    The turn played is the number of assistant messages that the session already holds; those of interrupted turns do
    not count, those that a summary stands for do. Past the last turn it raises `ModelError`. Asked for a summary, it
    says how many messages it has read and quotes the user, and plays no turn.

    Examples
    --------
    >>> model = ScriptedModel([ToolCall("add", {"a": 1, "b": 2}), "That makes three."])
    """

    def __init__(
        self, turns: Sequence[Turn], delay: float = 0.0, *, name: str = "scripted", context_limit: int | None = None
    ) -> None:
        self.turns = list(turns)
        self.delay = delay
        self.name = name
        self.context_limit = context_limit

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelChunk]:
        """Play the turn that is due."""
        words_in = sum(len(message.content.split()) for message in request.messages)
        if self.context_limit is not None and words_in > self.context_limit:
            raise ModelError(
                f"{words_in} words are too long for {self.name!r}, which takes {self.context_limit}", "context_exceeded"
            )
        words_out = 0
        known = {call.id for message in request.messages for call in message.tool_calls}
        for line in await self._due(request):
            for chunk in _chunks(line, known):
                if self.delay:
                    await anyio.sleep(self.delay)
                words_out += 1
                yield chunk
        yield Usage(input_tokens=words_in, output_tokens=words_out, requests=1)

    async def _due(self, request: ModelRequest) -> Sequence[Line]:
        messages = request.messages
        if request.purpose == "summary":
            return [_summary(messages)]
        said = (*request.summarised, *messages)
        played = sum(message.role == "assistant" and not message.interrupted for message in said)
        if played >= len(self.turns):
            raise ModelError(
                f"the script of {self.name!r} has {len(self.turns)} turn{'s' * (len(self.turns) != 1)}, and all of "
                "them are played; begin a new conversation (--new in a cell), or add a turn"
            )
        turn = self.turns[played]
        if callable(turn):
            turn = boundary.call(turn, messages)
            if inspect.isawaitable(turn):
                turn = await boundary.drive(turn)
        lines: list[Any] = list(cast("list[Any]", turn)) if isinstance(turn, list | tuple) else [turn]
        for line in lines:
            if not isinstance(line, str | ToolCall):
                raise ModelError(
                    f"turn {played + 1} of {self.name!r} is {type(line).__name__}; a turn is a string, a ToolCall, "
                    "a list of both, or a function that returns one of these"
                )
        return lines


def _summary(messages: Sequence[Message]) -> str:
    asked = [message.content for message in messages if message.role == "user"]
    return f"{len(messages)} messages; the user said: {' / '.join(text[:80] for text in asked)}"


def _chunks(line: Line, known: set[str]) -> Sequence[ModelChunk]:
    if isinstance(line, str):
        return [TextDelta(word) for word in _WORDS.findall(line)]
    call_id = line.id if line.id not in known else new_id("call")
    known.add(call_id)
    arguments = line.arguments if isinstance(line.arguments, str) else json.dumps(line.arguments, ensure_ascii=False)
    return [ToolCallDelta(call_id, line.name, arguments)]

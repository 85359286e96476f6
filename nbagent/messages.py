"""What is said in a conversation: messages with their tool calls, what they cost, and what makes a history valid.

Below `session`, which gives these names to everybody else. It guarantees that what `paired` returns is valid for every
provider: each tool call of an assistant message is followed by its one result, in the order of the calls, and no
result stands without its call.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Role = Literal["user", "assistant", "tool"]

CUT_SHORT = "This call was cut short: the run ended before the tool answered."
"""The result of a call that has no other."""


def new_id(prefix: str) -> str:
    """A fresh identifier such as ``call_1f0c9a2b7d3e4f56``: the prefix and 16 hexadecimal digits."""
    return f"{prefix}_{uuid.uuid4().hex[:16]}"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's request to call a tool: the part of an assistant message.

    Parameters
    ----------
    name
        The tool's name, as the model was told it.
    arguments
        The arguments as an object; a string where the model's JSON could not be read.
    id
        The call's identifier within its session, made up where none is given.
    """

    name: str
    arguments: dict[str, Any] | str = field(default_factory=dict[str, Any])
    id: str = field(default_factory=lambda: new_id("call"))


@dataclass(frozen=True, slots=True)
class Attachment:
    """A picture or a file beside a message's text.

    Parameters
    ----------
    mime
        The MIME type, such as ``image/png`` or ``application/pdf``.
    data
        The bytes, in base64.
    name
        What the user calls it: a file's name, or a variable's.
    """

    mime: str
    data: str = field(repr=False)  # megabytes, which a cell that ends in a message would print
    name: str = ""

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.data) * 3 // 4 - self.data[-2:].count("=")


@dataclass(slots=True)
class Message:
    """One message of a session.

    Parameters
    ----------
    role
        ``user``, ``assistant`` or ``tool``.
    content
        The text; for ``tool`` what the model reads as the result.
    reasoning
        The model's reasoning, where it showed one.
    tool_calls
        The calls of an assistant message; each has a ``tool`` message later.
    tool_call_id
        For ``tool``: the call that this is the result of.
    agent_name
        Who said it, for ``assistant``.
    is_error
        For ``tool``: the call failed, was refused, or was cut short.
    interrupted
        The turn of this message was cut short; its text may end in mid-sentence.
    attachments
        Pictures and files beside the text: of a prompt, or of a tool's result.
    opaque
        What a provider wants back with an assistant's message to go on thinking, such as signed reasoning: sent to that
        provider alone, read by nobody else.
    """

    role: Role
    content: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    agent_name: str = ""
    is_error: bool = False
    interrupted: bool = False
    attachments: tuple[Attachment, ...] = ()
    opaque: dict[str, Any] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens and money; add two with ``+``.

    Parameters
    ----------
    input_tokens, output_tokens
        Tokens as the provider counts them.
    requests
        Model requests made.
    cost
        US dollars, or None where the price is not known.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    requests: int = 0
    cost: float | None = None

    def __add__(self, other: Usage) -> Usage:
        known = [cost for cost in (self.cost, other.cost) if cost is not None]
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.requests + other.requests,
            sum(known) if known else None,
        )


@dataclass(frozen=True, slots=True)
class Pairing:
    """A history made valid.

    Parameters
    ----------
    messages
        The history: the messages that were given, and a result for each call that had none.
    positions
        For each index into what was given, its end included, the index in `messages` that it became.
    orphans
        Results of calls that nobody made, which no provider would take.
    """

    messages: list[Message]
    positions: list[int]
    orphans: list[Message]


def paired(messages: Sequence[Message]) -> Pairing:
    """Put each tool call's result behind the call, in the order of the calls; a call without one gets `CUT_SHORT`."""
    results = _results(messages)
    found = {index for placed in results.values() for index in placed if index is not None}
    out: list[Message] = []
    positions: list[int] = []
    for index, message in enumerate(messages):
        positions.append(len(out))
        if message.role == "tool":
            continue
        out.append(message)
        for call, place in zip(message.tool_calls, results.get(index, ()), strict=False):
            cut_short = Message("tool", CUT_SHORT, tool_call_id=call.id, is_error=True)
            out.append(cut_short if place is None else messages[place])
    orphans = [m for index, m in enumerate(messages) if m.role == "tool" and index not in found]
    return Pairing(out, [*positions, len(out)], orphans)


def _results(messages: Sequence[Message]) -> dict[int, list[int | None]]:
    """Where the results of each message's calls stand: the first ones said before another call has the same id."""
    results: dict[int, list[int | None]] = {}
    waiting: dict[str, tuple[int, int]] = {}
    for index, message in enumerate(messages):
        if message.role == "tool":
            if (call := waiting.pop(message.tool_call_id or "", None)) is not None:
                results[call[0]][call[1]] = index
        elif message.tool_calls:
            results[index] = [None] * len(message.tool_calls)
            waiting.update({call.id: (index, place) for place, call in enumerate(message.tool_calls)})
    return results

"""What a conversation is: messages, usage, and the turns that they were said in.

Below it stand only `errors` and `events`; the runtime writes a session, models read its messages, stores keep it.
It guarantees that live history is valid for every provider: each tool call of an assistant message is followed by its
result (the runtime's finalizer records the ones that are missing), and that nothing said is ever lost: a rewound turn
leaves `Session.messages` and stays in `Session.branches`.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Role = Literal["user", "assistant", "tool"]


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
    """

    role: Role
    content: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    agent_name: str = ""
    is_error: bool = False
    interrupted: bool = False


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


@dataclass(slots=True)
class Turn:
    """A user's message and all that followed from it.

    Parameters
    ----------
    stream_id
        The stream that spoke it.
    start
        The index of its first message in `Session.messages`.
    cell_id, execution
        The notebook cell and the execution of it that asked, where there was one.
    agent
        The name of the agent that had the conversation when it began; "" for the team's root.
    reason
        How it ended (`nbagent.events.StreamStopped.reason`), or None while it is under way.
    """

    stream_id: str
    start: int
    cell_id: str | None = None
    execution: str | None = None
    agent: str = ""
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """What stands for the oldest messages of a session when a model reads it; the messages themselves stay.

    Parameters
    ----------
    upto
        It stands for ``messages[:upto]``; no tool call is parted from its result there.
    text
        What the model reads in their place.
    """

    upto: int
    text: str


@dataclass(slots=True)
class Session:
    """A conversation with an agent: in this process, and on disk where its runtime has a store.

    Parameters
    ----------
    id
        Made up where none is given.
    messages
        The live history, oldest first.
    branches
        What rewinding took out of the live history, oldest first, one list a rewind.
    turns
        The turns of the live history.
    usage
        The sum over all turns, the rewound ones included.
    approved
        What the user approved for the rest of this session: patterns of `nbagent.permissions`.
    summaries
        What stands for the oldest messages, each for more of them than the one before; models read the last.
    agent
        The name of the agent that the conversation was handed to; "" for the team's root.
    parent_id
        The session whose agent began this one, where it is nested.
    created
        Seconds since the epoch.

    Examples
    --------
    >>> session = Session()
    >>> session.messages
    []
    """

    id: str = field(default_factory=lambda: new_id("session"))
    messages: list[Message] = field(default_factory=list[Message])
    branches: list[list[Message]] = field(default_factory=list[list[Message]])
    turns: list[Turn] = field(default_factory=list[Turn])
    usage: Usage = Usage()
    approved: set[str] = field(default_factory=set[str])
    summaries: list[Summary] = field(default_factory=list[Summary])
    agent: str = ""
    parent_id: str | None = None
    created: float = field(default_factory=time.time)

    @property
    def busy(self) -> bool:
        """Whether a turn is under way."""
        return bool(self.turns) and self.turns[-1].reason is None

    def rewind(self, turn: Turn) -> None:
        """Take `turn` and all after it out of the live history; they stay in `branches`."""
        index = self.turns.index(turn)
        self.branches.append(self.messages[turn.start :])
        del self.messages[turn.start :]
        del self.turns[index:]
        self.agent = turn.agent
        while self.summaries and self.summaries[-1].upto > turn.start:
            self.summaries.pop()

    def rewind_cell(self, cell_id: str, execution: str) -> int:
        """Rewind to before the first live turn that another execution of `cell_id` spoke.

        Returns
        -------
        int
            The number of messages that left the live history; 0 where that cell said nothing yet.
        """
        for turn in self.turns:
            if turn.cell_id == cell_id and turn.execution != execution:
                before = len(self.messages)
                self.rewind(turn)
                return before - len(self.messages)
        return 0


@dataclass(frozen=True, slots=True)
class Result:
    """What a run came to.

    Parameters
    ----------
    text
        The agent's last text.
    messages
        The messages of this turn, the user's first.
    reason
        How it ended (`nbagent.events.StreamStopped.reason`).
    usage
        Tokens and cost of this turn.
    session_id, stream_id
        Where it was said.
    output
        With an `output_type`, the validated instance, else None.
    """

    text: str
    messages: Sequence[Message]
    reason: str
    usage: Usage
    session_id: str
    stream_id: str
    output: Any = None

    def __repr__(self) -> str:
        return f"Result(reason={self.reason!r}, text={self.text!r})"

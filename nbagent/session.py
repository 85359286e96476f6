"""What a conversation is: messages, usage, and the turns that they were said in.

Below it stand `errors`, `events`, `messages` and `records`; the runtime writes a session, models read its messages,
stores keep it. It guarantees that live history is valid for every provider: each tool call of an assistant message is
followed by its result (the runtime's finalizer records the ones that are missing, and so does reading a session back),
and that nothing said is ever lost: a rewound turn leaves `Session.messages` and stays in `Session.branches`.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from nbagent import records
from nbagent.messages import Attachment as Attachment
from nbagent.messages import Message as Message
from nbagent.messages import Role as Role
from nbagent.messages import ToolCall as ToolCall
from nbagent.messages import Usage as Usage
from nbagent.messages import new_id as new_id
from nbagent.messages import paired

if TYPE_CHECKING:
    from pandas import DataFrame

FORMAT = 1
"""The version of what `Session.to_dict` gives."""


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


@dataclass(slots=True, weakref_slot=True)
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
    usage: Usage = field(default_factory=Usage)
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

    def fork(self) -> Session:
        """A conversation of its own that begins as this one stands: its settled turns, copied.

        Returns
        -------
        Session
            With an id of its own; a turn that is under way here, and all that is rewound later, is not in it.
        """
        settled = replace(self, messages=list(self.messages), turns=list(self.turns), branches=list(self.branches))
        settled.summaries = list(self.summaries)
        if self.busy:
            settled.rewind(self.turns[-1])
            settled.branches.pop()
        fork = copy.deepcopy(settled)
        fork.id = new_id("session")
        fork.parent_id = None
        fork.created = time.time()
        return fork

    # ------------------------------------------------------------ as JSON

    def to_dict(self) -> dict[str, Any]:
        """The session as JSON's types, all of it; it shares nothing with the session."""
        return {"version": FORMAT} | cast("dict[str, Any]", records.encode(self))

    def to_json(self) -> str:
        """The session as JSON text, indented for a person to read; `from_dict` of what it holds gives it back."""
        return records.to_text(self.to_dict(), indent=2)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Session:
        """The session that `data` (of `to_dict`, also after a trip through JSON) describes.

        It is valid for every provider, whatever was cut short: a turn that was under way is ``interrupted``, and a call
        without a result gets one. What was approved in it stays approved: clear `approved` of a session that comes from
        somebody else.

        Raises
        ------
        ValueError
            It is no session, or one of a newer nbagent; the message names the field that is wrong.
        """
        version = data.get("version") if isinstance(data, Mapping) else None  # pyright: ignore[reportUnnecessaryIsInstance]
        if not isinstance(version, int) or "id" not in data:
            raise ValueError("not a session of nbagent: it has no version or no id")
        if version > FORMAT:
            raise ValueError(f"the session was written by a newer nbagent (format {version}; this one reads {FORMAT})")
        session = records.decode(cls, {name: value for name, value in data.items() if name != "version"})
        if wrong := contradiction(session):
            raise ValueError(wrong)
        repair(session)
        return session


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
        Tokens and cost of this turn, and of the streams nested in it; background agents count for themselves.
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

    def frame(self) -> DataFrame:
        """The output as a table: a row for each item of a list, a column for each field.

        Returns
        -------
        pandas.DataFrame
            Items that have no fields stand in the column ``value``.

        Raises
        ------
        ValueError
            There is no output.
        ImportError
            pandas is not installed.
        """
        if self.output is None:
            raise ValueError("this result has no output; give the agent an output_type=, such as list[City]")
        try:
            import pandas
        except ImportError:
            raise ImportError("Result.frame() needs pandas: pip install pandas") from None
        output: Any = self.output
        rows: list[Any] = list(output) if type(output) in (list, tuple, set) else [output]
        return pandas.DataFrame([_row(row) for row in rows])


def _row(value: Any) -> dict[str, Any]:
    """The fields of a dataclass, a pydantic model or a mapping."""
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: getattr(value, one.name) for one in fields(value)}
    if callable(dump := getattr(value, "model_dump", None)):
        return cast("dict[str, Any]", dump())
    return dict(cast("Mapping[str, Any]", value)) if isinstance(value, Mapping) else {"value": value}


def contradiction(session: Session) -> str | None:
    """What contradicts itself in a session that was read, so that nobody could go on with it; or None."""
    if not session.id:
        return "id: a session has one"
    count = len(session.messages)
    starts = [turn.start for turn in session.turns]
    if starts != sorted(starts) or any(not 0 <= start <= count for start in starts):
        return f"turns: they start at {starts}, which does not fit {count} messages"
    if any(not 0 <= summary.upto <= count for summary in session.summaries):
        return f"summaries: one stands for more than the {count} messages that there are"
    return None


def repair(session: Session) -> None:
    """Make a session valid that its process never finished: for every provider, and for a next turn.

    Each call gets its one result behind it; results of calls that nobody made become a branch. Turns that nobody ended
    are ``interrupted``, and so is what the agent said in them. What is valid stays as it is.
    """
    pairing = paired(session.messages)
    session.messages[:] = pairing.messages
    session.summaries[:] = [Summary(pairing.positions[one.upto], one.text) for one in session.summaries]
    for turn in session.turns:
        turn.start = pairing.positions[turn.start]
    if pairing.orphans:
        session.branches.append(pairing.orphans)
    for index, turn in enumerate(session.turns):
        if turn.reason is None:
            turn.reason = "interrupted"
            later = session.turns[index + 1 :]
            for message in session.messages[turn.start : later[0].start if later else None]:
                message.interrupted = message.role == "assistant"

"""The turn under way, written into its session as it is said.

`loop` and `dispatch` write through it; the finalizer closes it. It guarantees (P8) that the history is valid for every
provider at every instant, and wherever the turn is cut: a message that calls tools joins it together with all its
results, in the order of the calls; text that was heard is kept and marked; each call has exactly one result.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nbagent.messages import CUT_SHORT, Attachment
from nbagent.session import Message, Session, ToolCall


class TurnRecord:
    """Writes one turn of a session; after `close` it writes no more.

    Attributes
    ----------
    agent_name
        Who speaks; another after a handoff.
    """

    def __init__(self, session: Session, agent_name: str) -> None:
        self._session = session
        self.agent_name = agent_name
        self._said: list[Message] = []
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._opaque: dict[str, Any] | None = None
        self._calling: Message | None = None
        self._calls: dict[str, ToolCall] = {}
        self._results: dict[str, Message] = {}
        self._closed = False

    @property
    def messages(self) -> tuple[Message, ...]:
        """The messages of this turn so far, also after the session went on or was rewound."""
        return tuple(self._said)

    @property
    def open_calls(self) -> list[ToolCall]:
        """The calls that have no result yet, in order."""
        return [call for call in self._calls.values() if call.id not in self._results]

    @property
    def said(self) -> str:
        """The agent's text so far, its messages by empty lines apart, also the one that it is speaking."""
        calling = [self._calling.content] if self._calling is not None else []
        before = [message.content for message in self._said if message.role == "assistant"]
        return "\n\n".join(text for text in (*before, *calling, "".join(self._text)) if text)

    @property
    def speaking(self) -> bool:
        """Whether the agent has begun a message that is not complete."""
        return bool(self._text or self._reasoning)

    def user(self, content: str, attachments: tuple[Attachment, ...] = ()) -> None:
        """The user's words, and what is attached to them."""
        self._append(Message("user", content, attachments=attachments))

    def text(self, piece: str) -> None:
        """A piece of the agent's text."""
        self._text.append(piece)

    def reasoning(self, piece: str) -> None:
        """A piece of the agent's reasoning."""
        self._reasoning.append(piece)

    def opaque(self, data: Mapping[str, Any]) -> None:
        """What the provider wants back with the message that the agent is speaking."""
        self._opaque = dict(data)

    def assistant(self, calls: list[ToolCall]) -> None:
        """The agent's message is complete; with calls it joins the history together with their results."""
        message = self._message(tuple(calls))
        if not calls:
            self._append(message)
            return
        self._calling = message
        self._calls = {call.id: call for call in calls}
        self._results = {}

    def result(self, call_id: str, content: str, is_error: bool, attachments: tuple[Attachment, ...] = ()) -> bool:
        """A call's result; whether it was the first for that call, since a second is dropped."""
        if call_id not in self._calls or call_id in self._results:
            return False
        self._results[call_id] = Message(
            "tool", content, tool_call_id=call_id, is_error=is_error, attachments=attachments
        )
        if not self.open_calls and self._calling is not None:
            self._append(self._calling, *(self._results[known] for known in self._calls))
            self._calling = None
        return True

    def close(self, *, interrupted: bool) -> None:
        """Keep what was heard, pair what is open, and mark a turn that was cut short; idempotent."""
        if self._closed:
            return
        for call in self.open_calls:
            self.result(call.id, CUT_SHORT, True)
        if self._text or self._reasoning:
            partial = self._message(())
            partial.interrupted, partial.opaque = True, None
            self._append(partial)
        if interrupted:
            for message in self._said:
                message.interrupted = message.role == "assistant"
        self._closed = True

    def _message(self, calls: tuple[ToolCall, ...]) -> Message:
        message = Message(
            "assistant",
            "".join(self._text),
            reasoning="".join(self._reasoning),
            tool_calls=calls,
            agent_name=self.agent_name,
            opaque=self._opaque,
        )
        self._text, self._reasoning, self._opaque = [], [], None
        return message

    def _append(self, *messages: Message) -> None:
        if not self._closed:
            self._said.extend(messages)
            self._session.messages.extend(messages)

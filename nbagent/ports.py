"""The Protocols that the layers meet at: Model, Tool, Toolset, Asker, Observer, Store.

The runtime knows models, toolsets, stores and whoever is asked only by what stands here; the modules that know
pydantic-ai, MCP, SQLite or ipywidgets implement it. Below: `events`, `session`. Above: everything else.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from nbagent.events import Action, Event
from nbagent.session import Message, Session, Usage

# ---------------------------------------------------------------- models


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as a model is told it: name, description and the JSON schema of its arguments."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """What a model is asked.

    Parameters
    ----------
    messages
        The live history, oldest first; calls and results are paired.
    summarised
        The older messages that the first of `messages` sums up, where the history was compacted; not to be sent.
    purpose
        ``turn``: speak; ``summary``: sum up `messages` for a model that will read the summary in their place.
    instructions
        The agent's standing instructions.
    tools
        The tools that the model may call.
    output_schema
        The JSON schema of the final answer, where the agent has an output type.
    """

    messages: Sequence[Message]
    instructions: str = ""
    tools: Sequence[ToolSpec] = ()
    output_schema: Mapping[str, Any] | None = None
    summarised: Sequence[Message] = ()
    purpose: Literal["turn", "summary"] = "turn"


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of text."""

    content: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """A piece of reasoning."""

    content: str


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of a tool call; the pieces of one call share `id`, and their `arguments` join to JSON text."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Fallback:
    """A model failed before its first word, and another takes over."""

    from_model: str
    to_model: str
    error: str


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that the user should know, such as that the request is tried again or the answer was cut short."""

    message: str


@dataclass(frozen=True, slots=True)
class Opaque:
    """What the provider wants back with this message, such as its signed reasoning; see `Message.opaque`."""

    data: Mapping[str, Any]


ModelChunk = TextDelta | ReasoningDelta | ToolCallDelta | Usage | Fallback | Notice | Opaque


class Model(Protocol):
    """A language model: turns a request into a stream of chunks; raises `nbagent.errors.ModelError`.

    A model may have a `context_limit`: the tokens of input and output together that it can take; without one, or with
    None, the limit is not known.
    """

    @property
    def name(self) -> str:
        """The name that users see, such as ``gpt-5-mini``."""
        ...

    def stream(self, request: ModelRequest) -> AsyncIterator[ModelChunk]:
        """The answer, in pieces; closing the iterator stops the generation."""
        ...


# ---------------------------------------------------------------- asking the user


@dataclass(frozen=True, slots=True)
class ElicitationResult:
    """The user's answer: `action` is MCP's accept, decline or cancel; `content` is set for accept alone.

    `note` says why where nobody answered, such as "there are no widgets here"; the model reads it.
    """

    action: Action
    content: dict[str, Any] | None = None
    note: str = ""

    @property
    def explanation(self) -> str:
        """The note with the word that it explains, for whoever reads it alone; ``""`` where there is none."""
        return f"declined: {self.note}" if self.note and self.action == "decline" else self.note


class Asker(Protocol):
    """Asks the user on behalf of one stream. A stream that ends answers its open questions with ``cancel``."""

    @property
    def stream_id(self) -> str:
        """The stream that asks."""
        ...

    async def ask(
        self,
        message: str,
        schema: Mapping[str, Any] | None = None,
        *,
        url: str | None = None,
        source: str = "",
        tool_call_id: str | None = None,
        timeout: float | None = None,
    ) -> ElicitationResult:
        """Put a question to the user and wait, `timeout` seconds at most; never raises for one who does not answer."""
        ...


# ---------------------------------------------------------------- tools


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool call came to: the text that the model reads, MCP content blocks beside it, and whether it failed."""

    text: str
    is_error: bool = False
    content: tuple[Mapping[str, Any], ...] = ()


@dataclass(slots=True)
class ToolContext:
    """What a running call may use; `current_call` holds it while the tool's code runs, also on its thread.

    Parameters
    ----------
    asker
        Asks the user through the stream that made the call.
    tool_call_id, tool_name, agent_name
        Which call this is.
    session
        The stream's session.
    emit_output
        Adds text (or a MIME bundle) to the call's card; from any thread; dropped once the call has ended.
    stop
        Set when the call is cancelled: a thread reads it by `nbagent.cancelled()`.
    on_thread
        The tool's code runs on a thread of its own right now, where nothing can stop it.
    abandoned
        The call was cancelled while it was on its thread, which may still run.
    """

    asker: Asker
    tool_call_id: str
    tool_name: str
    agent_name: str
    session: Session
    emit_output: Callable[[str, Mapping[str, Any] | None], None]
    stop: threading.Event = field(default_factory=threading.Event)
    on_thread: bool = False
    abandoned: bool = False


current_call: ContextVar[ToolContext | None] = ContextVar("nbagent_current_call", default=None)
"""The call whose tool is running in this context, or None."""


@runtime_checkable
class Tool(Protocol):
    """Something that a model can call."""

    @property
    def spec(self) -> ToolSpec:
        """Name, description, schema of the arguments."""
        ...

    @property
    def toolset(self) -> str:
        """The toolset's name, or "" for a function of the user's own."""
        ...

    @property
    def asks_approval(self) -> bool:
        """Whether a call may hurt, so that the user is asked first."""
        ...

    async def call(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Run it with validated arguments.

        Raises
        ------
        ToolError
            With words for the model; any other exception is reported by its type and text.
        """
        ...


@runtime_checkable
class Toolset(Protocol):
    """A source of tools."""

    @property
    def name(self) -> str:
        """The name that users see."""
        ...

    def open(self, asker: Asker) -> AbstractAsyncContextManager[Sequence[Tool]]:
        """Lend the tools to one stream, inside whose task this is entered and left.

        Raises
        ------
        ToolsUnavailable
            They cannot be had; the message says what to do.
        """
        ...

    async def aclose(self) -> None:
        """End what the toolset keeps warm between streams; idempotent."""
        ...


@runtime_checkable
class ChangingTools(Protocol):
    """What `Toolset.open` may give beside a sequence: a way to see that the tools have become others in mid-run."""

    async def current(self) -> Sequence[Tool]:
        """The tools as they are now; the same object as long as they are the same."""
        ...


# ---------------------------------------------------------------- watching and keeping


class Observer(Protocol):
    """Watches streams from its own queue and task: slow or failing, it neither stalls nor kills a stream."""

    @property
    def lossless(self) -> bool:
        """True: the queue grows as it must. False: under load the oldest events are lost, and counted."""
        ...

    async def on_event(self, event: Event) -> None:
        """Take one event, in order."""
        ...


class Store(Observer, Protocol):
    """Keeps sessions: told of each turn's two ends, it writes what was said as the events come in, on its own thread.

    `begin_turn` and `end_turn` are called on the loop's thread, in this order, once each a turn, whatever ends it.
    """

    def begin_turn(self, session: Session) -> None:
        """Take the session's turn for this process, before the turn is in `Session.turns`.

        Where another process spoke in the session since it was loaded, `session` is first brought up to date in place.

        Raises
        ------
        SessionBusy
            Another process has a turn of it under way.
        """
        ...

    def end_turn(self, session: Session) -> None:
        """Let the turn go; never waits, never raises. What is still to be written is written."""
        ...

    async def load(self, session_id: str) -> Session | None:
        """The session, valid for every provider, or None."""
        ...

    async def save(self, session: Session) -> None:
        """Write the session as it stands; the runtime waits for it at a turn's end, within bounds."""
        ...

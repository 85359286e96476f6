"""A run as its parts see it, and the runtime as a run sees it: the Protocols that let imports point one way.

`run` is made of parts (`loop`, `calls`, `questions`, `hooking`, `toolbox`, `lifetime`, `cleanup`), and each of them
speaks to the run that it belongs to. They are typed against `Life`, below them all; `run` imports them and fits it. In
the same way a run and a `Stream` speak to the runtime as `Home`, and `runtime`, on top, fits that. Nothing here does
anything.

It guarantees that no module of this package imports one which imports it, not even for types.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from nbagent.agent import Agent, Team
from nbagent.events import Error, Event, StopReason, StreamStopped
from nbagent.ports import Asker, ElicitationResult, Model, Store, Tool
from nbagent.runtime.bridge import Bridge, LiveRun
from nbagent.runtime.delegation.background import BackgroundAgents
from nbagent.runtime.inbox import Inbox
from nbagent.runtime.nested import NestedStream
from nbagent.runtime.options import Nested, RunOptions
from nbagent.runtime.outlet import Outlet
from nbagent.runtime.turn import TurnRecord
from nbagent.session import Session, ToolCall, Usage
from nbagent.telemetry import Trace

E = TypeVar("E", bound=Event)
H = TypeVar("H")


class Home(Protocol[H]):
    """The runtime, as its runs and their streams see it; `H` is the consumer's handle on a run, a `Stream`."""

    @property
    def name(self) -> str:
        """The root agent's name."""
        ...

    @property
    def team(self) -> Team:
        """Who may speak."""
        ...

    @property
    def agent(self) -> Agent:
        """The team's root, who answers."""
        ...

    @property
    def bridge(self) -> Bridge[H]:
        """The live streams and their open questions."""
        ...

    @property
    def session_store(self) -> Store | None:
        """Keeps every session after each turn."""
        ...

    @property
    def approved(self) -> dict[str, set[str]]:
        """What the user approved for good, by agent: patterns of `nbagent.permissions`."""
        ...

    @property
    def background(self) -> BackgroundAgents:
        """The background agents of its streams."""
        ...

    @property
    def on_background(self) -> Callable[[H], None] | None:
        """Takes over a background agent's stream, once it has begun; None: nobody looks on."""
        ...

    def nest(self, session: Session, prompt: str, agent: Agent, nested: Nested, like: RunOptions) -> NestedStream:
        """A stream of `agent` that begins in the run whose code is running, under the options of that run."""
        ...

    def answer(
        self,
        elicitation_id: str,
        action: str,
        content: dict[str, Any] | None = None,
        *,
        note: str = "",
        fill: bool = True,
    ) -> None:
        """Answer a question of one of this runtime's streams; from any thread."""
        ...


class RunQuestions(Asker, Protocol):
    """What a run asks: elicitations (`ask`), and approvals and limits (`put`)."""

    async def put(
        self,
        cls: type[Event],
        automatic: Callable[[Any], Awaitable[ElicitationResult]] | None = None,
        check: Callable[[ElicitationResult], None] | None = None,
        **fields: Any,
    ) -> ElicitationResult:
        """Ask by the event `cls`, and wait; `automatic` answers in a person's place, `check` refuses answers."""
        ...

    def resolve_alike(self, matches: Callable[[Event], bool], outcome: ElicitationResult) -> None:
        """Settle every open question whose event matches, with one outcome."""
        ...

    async def ended(self) -> None:
        """Wait until no hook is left that is told of a question."""
        ...


class RunCalls(Protocol):
    """The tool calls of a run."""

    async def make(self, calls: list[ToolCall], toolbox: dict[str, Tool]) -> None:
        """Make the calls of one message, in parallel, until each has its response."""
        ...

    def note(self, tool_call_id: str | None, note: str) -> None:
        """Add a note that the model reads with the call's result; without an id, with the latest open call's."""
        ...

    async def ended(self) -> None:
        """Wait until no call's task is left."""
        ...


class Life(LiveRun[Any], Protocol):
    """A run, as its parts see it; whose handle it has is none of their business."""

    usage: Usage
    output: Any
    successor: Agent | None

    @property
    def runtime(self) -> Home[Any]:
        """Where it runs."""
        ...

    @property
    def agent(self) -> Agent:
        """Who speaks."""
        ...

    @property
    def model(self) -> Model:
        """The model that it speaks by."""
        ...

    @property
    def session(self) -> Session:
        """The session that it speaks in."""
        ...

    @property
    def prompt(self) -> str:
        """The user's words."""
        ...

    @property
    def options(self) -> RunOptions:
        """What the caller said of it."""
        ...

    @property
    def parent(self) -> Life | None:
        """The run that it is nested in, or None."""
        ...

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that it runs on."""
        ...

    @property
    def started(self) -> asyncio.Event:
        """Set when its first event is out."""
        ...

    @property
    def stopped(self) -> StreamStopped | None:
        """Its final event, or None while it is live."""
        ...

    @property
    def error(self) -> Error | None:
        """What it ends with, where that is an error."""
        ...

    @property
    def outlet(self) -> Outlet:
        """Where its events go."""
        ...

    @property
    def turn(self) -> TurnRecord:
        """The turn, as its session keeps it."""
        ...

    @property
    def questions(self) -> RunQuestions:
        """What it asks."""
        ...

    @property
    def calls(self) -> RunCalls:
        """Its tool calls."""
        ...

    @property
    def trace(self) -> Trace:
        """Its spans and log records."""
        ...

    @property
    def inbox(self) -> Inbox:
        """What the user says to it while it is under way."""
        ...

    def become(self, agent: Agent) -> None:
        """Go on as another agent, which the session is with from now on."""
        ...

    def make(self, cls: type[E], **fields: Any) -> E:
        """The next event of this stream; `push` it in the same step."""
        ...

    def push(self, event: Event) -> None:
        """Give an event to the observers and the channel."""
        ...

    def record(self, cls: type[Event], **fields: Any) -> None:
        """Emit an event at once, also beyond the channel's capacity; dropped once the stream has stopped."""
        ...

    @property
    def crowded(self) -> bool:
        """Whether `emit` would have to wait."""
        ...

    async def emit(self, cls: type[Event], **fields: Any) -> None:
        """Emit an event when the consumer has made room for it."""
        ...

    def record_start(self) -> None:
        """Emit the first event."""
        ...

    def fail(self, code: str, message: str) -> None:
        """Emit the error that this stream ends with."""
        ...

    def cancel(self, reason: StopReason = "cancelled", message: str = "") -> None:
        """Stop the stream: at once on the loop's thread, as soon as the loop can from another."""
        ...

    def finalize(self, reason: StopReason, message: str = "") -> None:
        """Stop the stream (P2), once; never waits."""
        ...

"""One stream's producer: its lifetime, its finalizer, and the only place that numbers its events.

Above stand `stream` (the consumer's handle) and `runtime`, which it knows as a type variable and as `life.Home`. It
uses `channel`, `observers` and `turn`, is a `life.Life` to its parts (`questions`, `calls`), and hands the talking to
`loop`. It guarantees P1 to P4:

- Acquire and finalize are one thing (`lifetime`): the bridge is entered where its leaving is already certain.
- `finalize` is synchronous, idempotent, and may be called by anyone on the loop's thread: the run's own task, `cancel`,
  an unload. It never waits for a consumer, a tool or a hook, so that `cancel` returns with the stream already stopped.
- What takes time (tools that clean up, session_end hooks, observers that drain) happens after it, bounded and shielded,
  before the turn is freed. The task's done-callback frees it also where the task never came to run.

What does not work: finalizing only in the task's own `finally`. A task that is cancelled before its first step runs
none of its body, and a tool that ignores its cancellation would keep the form of a dead run open.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
import weakref
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Generic, TypeVar

import anyio
from anyio.lowlevel import checkpoint_if_cancelled

from nbagent.agent import Agent
from nbagent.errors import Interrupted, NestingTooDeep, SessionBusy
from nbagent.events import (
    Error,
    Event,
    StopReason,
    StreamStarted,
    StreamStopped,
    SubSessionCompleted,
    SubSessionStarted,
    Warning,
)
from nbagent.ports import Model, Store, current_call
from nbagent.runtime import registry
from nbagent.runtime.calls import Calls
from nbagent.runtime.channel import Channel
from nbagent.runtime.crossing import call_soon
from nbagent.runtime.inbox import Inbox
from nbagent.runtime.life import Home
from nbagent.runtime.lifetime import Lifetime
from nbagent.runtime.loop import converse, session_end
from nbagent.runtime.observers import FanOut
from nbagent.runtime.options import RunOptions
from nbagent.runtime.outlet import Direct, Outlet, Relay
from nbagent.runtime.questions import Questions
from nbagent.runtime.turn import TurnRecord
from nbagent.session import Result, Session, Turn, Usage, new_id
from nbagent.telemetry import Trace

logger = logging.getLogger("nbagent")
E = TypeVar("E", bound=Event)
H = TypeVar("H")

GRACE = 5.0
"""Seconds that tools, toolsets and session_end hooks have to clean up after the stream has stopped."""
HOOK_GRACE = 1.0
"""Of these, the seconds that are left to the hooks, whatever the tools do."""
DRAIN = 2.0
"""Seconds that observers have to take what is queued, and then the store to save the session."""
DRAIN_CUT_SHORT = 0.2
"""The same after an interrupt, when a person waits for the cell to end."""
MAX_DEPTH = 10
"""How many streams a stream may be nested in."""
CUT_SHORT: frozenset[StopReason] = frozenset({"cancelled", "interrupted", "superseded"})

_turns = threading.Lock()  # a session may be used from the loops of several threads

current_run: ContextVar[Run[Any] | None] = ContextVar("nbagent_current_run", default=None)
"""The run whose code is running in this context: what it starts is nested in it."""


class Run(Generic[H]):
    """One stream's producer; every method but `cancel` and `hurry` belongs to the loop's thread.

    `H` is the consumer's handle, which stands above and is held only weakly.
    """

    def __init__(self, runtime: Home[H], session: Session, prompt: str, options: RunOptions) -> None:
        self.id = new_id("stream")
        self.runtime = runtime
        self.session = session
        self.prompt = prompt
        self.options = options
        self.agent: Agent = self._speaker()
        self.model: Model = options.model or self.agent.model
        self.successor: Agent | None = None
        self.parent: Run[H] | None = None
        self.children: list[Run[H]] = []
        self.stopped: StreamStopped | None = None
        self.error: Error | None = None
        self.usage = Usage()
        self.nested_usage = Usage()
        self.output: Any = None
        self.turn = TurnRecord(session, self.agent.name)
        self.started = asyncio.Event()
        self.stopping = asyncio.Event()
        self.done = asyncio.Event()
        self.channel = Channel()
        self.inbox = Inbox()
        self.undelivered: tuple[str, ...] = ()
        self.questions = Questions(self)
        self.calls = Calls(self)
        self.trace = Trace(self.id, session, lambda: self._reason)
        self._seq = 0
        self._hurried = False
        self._clean_by = 0.0
        self._scope: anyio.CancelScope | None = None
        self._grace: anyio.CancelScope | None = None
        self._task: asyncio.Task[None] | None = None
        self._handle: weakref.ref[H]
        self._view: Callable[[Run[H]], H]

    # ------------------------------------------------------------ the handle

    @property
    def handle(self) -> H:
        """The consumer's handle; where that was dropped, another, whose dropping means nothing."""
        handle = self._handle()
        return self._view(self) if handle is None else handle

    def held_by(self, handle: H, view: Callable[[Run[H]], H]) -> None:
        """The consumer's handle is this, before the run begins; `view` makes another once it was dropped."""
        self._handle = weakref.ref(handle)
        self._view = view

    @property
    def on_loop_thread(self) -> bool:
        """Whether this is the thread of the run's loop."""
        return threading.get_ident() == self._thread

    # ------------------------------------------------------------ the beginning

    def start(self) -> None:
        """Take the session's turn and start the producer's task.

        Raises
        ------
        SessionBusy
            The session's turn is taken.
        NestingTooDeep
            It would be nested in more than `MAX_DEPTH` streams.
        """
        registry.bury_dead()
        self.loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        parent = self._find_parent()
        fanout = FanOut(self.options.observers)  # what may fail comes before anything is acquired
        try:
            self._take_turn()
        except BaseException:
            registry.discard(self)
            fanout.end()
            raise
        relayed = parent is not None and self.options.nested is not None and not self.options.nested.detached
        self.outlet: Outlet = Relay(parent.outlet, self.channel) if relayed and parent else Direct(self.channel, fanout)
        self._join(parent)
        self.trace.begin(self.agent, self.model, self.parent.id if self.parent else "")
        self._task = self.loop.create_task(self._main(), name=f"nbagent {self.id} {self.agent.name}")
        self._task.add_done_callback(self._ended)

    def _take_turn(self) -> None:
        with _turns:
            if self.session.busy:
                raise SessionBusy(
                    f"session {self.session.id} has a turn under way (stream {self.session.turns[-1].stream_id}); "
                    "wait for it, cancel it, or use another session"
                )
            registry.add(self)
            if self.runtime.session_store is not None:
                self.runtime.session_store.begin_turn(self.session)
                self._speak_as(self._speaker())  # another process may have handed the conversation over
            session, options = self.session, self.options
            self._turn = Turn(self.id, len(session.messages), options.cell_id, options.execution, session.agent)
            session.turns.append(self._turn)

    def _find_parent(self) -> Run[Any] | None:
        parent = current_run.get()
        if parent is None or parent.stopped is not None or parent.loop is not self.loop:
            return None
        depth = 1
        ancestor = parent.parent
        while ancestor is not None:
            depth += 1
            ancestor = ancestor.parent
        if depth > MAX_DEPTH:
            raise NestingTooDeep(f"a stream of {self.agent.name} would be nested in {depth}; {MAX_DEPTH} are the most")
        return parent

    def _join(self, parent: Run[Any] | None) -> None:
        """Be nested in `parent`; in the background, only for those who want to know where it comes from."""
        if parent is None:
            return
        self.parent = parent
        background = self.options.nested is not None and self.options.nested.detached
        if not background:
            parent.children.append(self)
        call = current_call.get()
        parent.record(
            SubSessionStarted,
            child_stream_id=self.id,
            child_session_id=self.session.id,
            child_agent=self.agent.name,
            tool_call_id=call.tool_call_id if call is not None else None,
            background=background,
            background_id=self.options.nested.id if self.options.nested is not None else "",
        )

    def become(self, agent: Agent) -> None:
        """Go on as another agent, which the session is with from now on."""
        self._speak_as(agent)
        self.session.agent = agent.name

    def _speaker(self) -> Agent:
        runtime = self.runtime
        return self.options.agent or runtime.team.agents.get(self.session.agent) or runtime.agent

    def _speak_as(self, agent: Agent) -> None:
        self.agent = agent
        self.model = self.options.model or agent.model
        self.turn.agent_name = agent.name

    # ------------------------------------------------------------ events

    def make(self, cls: type[E], **fields: Any) -> E:
        """The next event of this stream; `push` it in the same step."""
        return self._next(cls, fields)

    def _next(self, cls: type[E], fields: dict[str, Any]) -> E:
        self._seq += 1
        return cls(
            session_id=self.session.id,
            agent_name=self.agent.name,
            stream_id=self.id,
            seq=self._seq,
            timestamp=time.time(),
            **fields,
        )

    def push(self, event: Event) -> None:
        """Give an event to the observers and the consumer."""
        self.outlet.push(event)

    def record(self, cls: type[Event], **fields: Any) -> None:
        """Emit an event at once, also beyond the channel's capacity; dropped once the stream has stopped."""
        if self.stopped is None:
            self.outlet.push(self._next(cls, fields))

    @property
    def crowded(self) -> bool:
        """Whether `emit` would have to wait."""
        return self.outlet.full

    async def emit(self, cls: type[Event], **fields: Any) -> None:
        """Emit an event when the consumer has made room for it."""
        if self.outlet.full:
            await self.outlet.room()
            if self.stopped is not None:  # the close made the room: go no further than the cancellation
                await checkpoint_if_cancelled()
        if self.stopped is None:
            self.outlet.push(self._next(cls, fields))

    def fail(self, code: str, message: str) -> None:
        """Emit the error that this stream ends with."""
        if self.stopped is None:
            self.error = self.make(Error, code=code, message=message)
            self.push(self.error)

    # ------------------------------------------------------------ the end

    def cancel(self, reason: StopReason = "cancelled", message: str = "") -> None:
        """Stop the stream: at once on the loop's thread, as soon as the loop can from another."""
        if asyncio._get_running_loop() is self.loop:  # pyright: ignore[reportPrivateUsage]
            self._cancel(reason, message)
        elif self.loop.is_closed():
            self.bury()
        else:
            call_soon(self.loop, self._cancel, reason, message)

    def cancel_soon(self) -> None:
        """Stop the stream from wherever the garbage collector happens to be, as soon as the loop can."""
        if self.stopped is None:
            call_soon(self.loop, self._cancel, "cancelled")

    def hurry(self) -> None:
        """Cut the cleanup's grace short; from any thread."""
        call_soon(self.loop, self._hurry)

    def _cancel(self, reason: StopReason, message: str = "") -> None:
        if self.stopped is not None:
            return  # what still cleans up has its grace
        try:
            self.finalize(reason, message)
        finally:
            if self._scope is not None:
                self._scope.cancel()

    def bury(self) -> None:
        """Its loop was closed over it, so that nobody is left to be woken: forget who waits, and record the facts."""
        self.calls.forget()
        self.questions.forget()
        self._scope = None
        self.channel = Channel()
        self.outlet = Direct(self.channel, FanOut(()))
        self.started, self.stopping, self.done = asyncio.Event(), asyncio.Event(), asyncio.Event()
        for child in tuple(self.children):  # after the outlet, since each tells its parent that it has stopped
            child.bury()
        self.finalize("cancelled")
        self._free()

    def _hurry(self) -> None:
        self._hurried = True
        for scope in (self._scope, self._grace):
            if scope is not None and self.stopped is not None:
                scope.cancel()

    def finalize(self, reason: StopReason, message: str = "") -> None:
        """Stop the stream (P2), once: children, tools, questions, bridge, `stream_stopped`, channel; never waits."""
        if self.stopped is not None:
            return
        if not self._seq:
            self.record_start()
        for child in tuple(reversed(self.children)):  # one that is cut short has not completed, whatever its parent did
            child.cancel(reason if reason in CUT_SHORT else "cancelled")
        self.calls.stop()
        self.questions.cancel_all()
        self.calls.record_missing()
        self.runtime.bridge.leave(self)
        self.turn.close(interrupted=reason in CUT_SHORT)
        self.session.usage += self.usage
        self.undelivered = self.inbox.close()
        if self.undelivered:
            self.record(Warning, message=_unread(self.undelivered))
        self.stopped = self.make(StreamStopped, reason=reason, message=message)
        self.outlet.close(self.stopped)
        self._tell_parent(reason)
        self.stopping.set()
        self._clean_by = self.loop.time() + GRACE
        if self._scope is not None:
            self._scope.deadline = self._clean_by - HOOK_GRACE

    def record_start(self) -> None:
        """Emit the first event."""
        self.record(StreamStarted, parent_id=self.parent.id if self.parent else None)

    def _tell_parent(self, reason: StopReason) -> None:
        if self.parent is not None:
            if self in self.parent.children:
                self.parent.children.remove(self)
                self.parent.nested_usage += self.usage + self.nested_usage
            self.parent.record(
                SubSessionCompleted,
                child_stream_id=self.id,
                child_session_id=self.session.id,
                child_agent=self.agent.name,
                reason=reason,
            )

    async def join(self) -> None:
        """Wait for the stop, then for the cleanup; after all its graces, give the producer up and free its turn."""
        if self.loop is not asyncio.get_running_loop():
            if not self.loop.is_closed():
                await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self.join(), self.loop))
            return
        await self.stopping.wait()
        with anyio.move_on_after(GRACE + DRAIN + DRAIN + 1.0):
            await self.done.wait()
        if not self.done.is_set():
            logger.error("stream %s ignores its cancellation and is given up", self.id)
            self._free()

    def result(self) -> Result:
        """What the run came to."""
        messages = self.turn.messages
        text = next((m.content for m in reversed(messages) if m.role == "assistant"), "")
        reason = self.stopped.reason if self.stopped is not None else ""
        usage = self.usage + self.nested_usage
        return Result(text, messages, reason, usage, self.session.id, self.id, self.output)

    # ------------------------------------------------------------ the task

    async def _main(self) -> None:
        current_run.set(self)
        current_call.set(None)  # a stream that a tool started is no part of the tool's call
        self.trace.enter()
        try:
            with Lifetime(self):
                if self.stopped is None:
                    with anyio.CancelScope() as self._scope:
                        await converse(self)
        finally:
            with anyio.CancelScope(shield=True):
                await self._wind_down()

    async def _wind_down(self) -> None:
        assert self.stopped is not None
        with anyio.CancelScope(deadline=self._clean_by) as self._grace, contextlib.suppress(Interrupted):
            if self._hurried:
                self._grace.cancel()
            with anyio.CancelScope(deadline=self._clean_by - HOOK_GRACE):
                await self.calls.ended()
                await self.questions.ended()
            await session_end(self, self.stopped.reason)
        self.trace.end(self.usage, self.error)
        await self.trace.settle()
        seconds = DRAIN_CUT_SHORT if self.stopped.reason in CUT_SHORT else DRAIN
        await self.outlet.drain(seconds)
        if self.runtime.session_store is not None:
            await self._save(self.runtime.session_store, seconds)

    async def _save(self, store: Store, seconds: float) -> None:
        try:
            with anyio.move_on_after(seconds) as saving:
                await store.save(self.session)
        except Exception as error:  # the run is over and its history intact: what is on disk is behind
            logger.error("session %s was not saved: %s", self.session.id, error)
        else:
            if saving.cancelled_caught:
                logger.warning("session %s was not saved in %.1f s", self.session.id, seconds)

    def _ended(self, task: asyncio.Task[None]) -> None:
        try:
            self.finalize("cancelled")
            if not task.cancelled() and (error := task.exception()) is not None and not isinstance(error, Interrupted):
                logger.error("stream %s: its cleanup failed", self.id, exc_info=error)
        finally:
            self._free()

    def _free(self) -> None:
        begun, self._turn.reason = self._turn.reason is None, self._turn.reason or self._reason
        registry.discard(self)
        self.trace.end(self.usage, self.error)
        self.started.set()
        self.stopping.set()
        self.done.set()
        if begun and self.runtime.session_store is not None:
            self.runtime.session_store.end_turn(self.session)

    @property
    def _reason(self) -> StopReason:
        return self.stopped.reason if self.stopped else "cancelled"


def _unread(messages: tuple[str, ...]) -> str:
    quoted = ", ".join(f"“{text if len(text) <= 80 else text[:79] + '…'}”" for text in messages)
    return f"The stream ended before the agent had read {quoted}; say it again in a new turn."

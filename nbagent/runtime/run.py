"""One stream's producer: its lifetime, its finalizer, and the only place that numbers its events.

Above stand `stream` (the consumer's handle) and `runtime`, which it knows as a type variable and as `life.Home`. It
uses `channel`, `observers` and `turn`, is a `life.Life` to its parts (`questions`, `calls`), and hands the talking to
`loop`. It guarantees P1 to P4:

- Acquire and finalize are one thing (`lifetime`): the bridge is entered where its leaving is already certain.
- `finalize` is synchronous, idempotent, and may be called by anyone on the loop's thread: the run's own task, `cancel`,
  an unload. It never waits for a consumer, a tool or a hook, so that `cancel` returns with the stream already stopped.
- What takes time (`cleanup`: tools, session_end hooks, observers, the store) happens after it, bounded and shielded,
  before the turn is freed. The task's done-callback frees it also where the task never came to run.

What does not work: finalizing only in the task's own `finally`. A task that is cancelled before its first step runs
none of its body, and a tool that ignores its cancellation would keep the form of a dead run open.
"""

from __future__ import annotations

import asyncio
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
from nbagent.errors import Interrupted, SessionBusy
from nbagent.events import Error, Event, StopReason, StreamStarted, StreamStopped, Warning
from nbagent.ports import Model, current_call
from nbagent.runtime import nesting, registry
from nbagent.runtime.calls import Calls
from nbagent.runtime.channel import Channel
from nbagent.runtime.cleanup import CUT_SHORT, Cleanup, longest
from nbagent.runtime.crossing import call_soon
from nbagent.runtime.inbox import Inbox
from nbagent.runtime.life import Home
from nbagent.runtime.lifetime import Lifetime
from nbagent.runtime.loop import converse
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
        self._cleanup = Cleanup(self)
        self._scope: anyio.CancelScope | None = None
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
            It would be nested in more than `nesting.MAX_DEPTH` streams.
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
        self.parent = parent
        if parent is not None:
            nesting.enter(self, parent)
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
            self._speak_as(self._speaker())  # the conversation may have been handed over since this run was made
            session, options = self.session, self.options
            self._turn = Turn(self.id, len(session.messages), options.cell_id, options.execution, session.agent)
            session.turns.append(self._turn)

    def _find_parent(self) -> Run[Any] | None:
        parent = current_run.get()
        if parent is None or parent.stopped is not None or parent.loop is not self.loop:
            return None
        nesting.check_depth(parent, self.agent.name)
        return parent

    def become(self, agent: Agent) -> None:
        """Go on as another agent, which the session is with from now on."""
        self._speak_as(agent)
        self.session.agent = agent.name

    def _speaker(self) -> Agent:
        runtime = self.runtime
        return self.options.agent or runtime.team.agents.get(self.session.agent) or runtime.agent

    def _speak_as(self, agent: Agent) -> None:
        self.agent = agent
        self.model = self.options.model or agent.model_of_a_run()
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
        if self.stopped is None and self.outlet.full:  # a stopped run waits for no consumer of its parent's either
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
        self.calls.end_forgotten()
        self._free()

    def _hurry(self) -> None:
        self._cleanup.hurry()
        if self._scope is not None and self.stopped is not None:
            self._scope.cancel()

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
        if self.parent is not None:
            nesting.leave(self, self.parent, reason)
        self.stopping.set()
        due = self._cleanup.due()
        if self._scope is not None:
            self._scope.deadline = due

    def record_start(self) -> None:
        """Emit the first event."""
        self.record(StreamStarted, parent_id=self.parent.id if self.parent else None)

    async def join(self) -> None:
        """Wait for the stop, then for the cleanup; after all its graces, give the producer up and free its turn."""
        if self.loop is not asyncio.get_running_loop():
            if not self.loop.is_closed():
                await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self.join(), self.loop))
            return
        await self.stopping.wait()
        with anyio.move_on_after(longest()):
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
                await self._cleanup.done()

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

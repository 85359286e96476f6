"""One example's runtime, sessions and consumers, and what must hold of them whenever all rest.

The rules (`test_machine`) call the methods that do something; each of them leaves the loop at rest. `check` is what
the design promises, said of all streams at once.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from nbagent.agent import Agent, Team
from nbagent.errors import AnswerRefused, InvalidAnswer, SessionBusy, StreamEnded
from nbagent.events import ElicitationRequest, Event, StopReason, StreamStopped
from nbagent.hooks import HookContext, HookResult
from nbagent.ports import ElicitationResult
from nbagent.runtime import Runtime, Stream, registry
from nbagent.runtime.bridge import Question
from nbagent.runtime.run import Run
from nbagent.session import Session
from tests.property.ledger import Ledger
from tests.property.loop import SteppedLoop, tool_threads
from tests.property.puppet import Puppet, Puppets, tools
from tests.runtime.support import assert_paired

GRACES = 20.0
"""Seconds after which every grace of a run's end is over."""


@dataclass
class Top:
    """A stream that the machine began, and how it is consumed: by a task, by hand, or by an iteration alone."""

    run: Run[Any]
    stream: Stream | None
    events: Any = None
    task: asyncio.Task[None] | None = None
    got: list[Event] = field(default_factory=list[Event])
    drained: bool = False


class Hanging:
    """An observer that never comes back from its first event."""

    lossless = False

    def __init__(self, hindrances: dict[object, str]) -> None:
        self._hindrances = hindrances

    async def on_event(self, event: Event) -> None:
        self._hindrances[self] = event.stream_id
        try:
            await asyncio.Event().wait()
        finally:
            del self._hindrances[self]


class Failing:
    """An observer that fails on every event."""

    lossless = False

    async def on_event(self, event: Event) -> None:
        raise OSError("told to")


class Faults(logging.Handler):
    """Whatever nbagent logs as an error of its own."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._faults = faults

    def emit(self, record: logging.LogRecord) -> None:
        if not record.getMessage().startswith("observer <tests.property"):
            self._faults.append(record.getMessage())


class World:
    """One example."""

    def __init__(self) -> None:
        gc.freeze()  # what is here already is none of this example's, and `gc.collect` need not look at it
        self.puppets = Puppets()
        self.ledger = Ledger()
        self.hindrances: dict[object, str] = {}
        self.loop = SteppedLoop()
        self.runtime = Runtime(Team(*self._agents()), observers=[self.ledger])
        self.puppets.runtime = self.runtime
        self.sessions: list[Session] = []
        self.tops: list[Top] = []
        self.tasks: list[asyncio.Task[Any]] = []
        self.told: dict[str, list[str]] = {}
        self.settled: list[str] = []
        self._faults = Faults(self.puppets.faults)
        logging.getLogger("nbagent").addHandler(self._faults)

    def _agents(self) -> list[Agent]:
        model, its_tools = Puppet(self.puppets), tools(self.puppets)
        hooks = {"user_prompt_submit": self._hears, "pre_tool_use": self._guards, "session_end": self._lingers}
        common: dict[str, Any] = {"model": model, "tools": its_tools, "hooks": hooks, "max_iterations": 12}
        last = Agent("last", **common)
        middle = Agent("middle", sub_agents=[last], background_agents=True, **common)
        return [Agent("root", sub_agents=[middle, last], background_agents=True, handoffs=[middle], **common)]

    async def _hears(self, context: HookContext) -> HookResult | None:
        match context.prompt.split()[0]:
            case "blocked":
                return HookResult(block=True, reason="told to")
            case "broken":
                raise ValueError("told to")
            case "pondered":
                gate = self.puppets.gates[context.stream_id] = asyncio.Event()
                try:
                    await gate.wait()
                finally:
                    del self.puppets.gates[context.stream_id]
            case _:
                pass
        return None

    def _guards(self, context: HookContext) -> HookResult | None:
        return HookResult(block=True) if context.arguments == {"kind": "forbidden"} else None

    async def _lingers(self, context: HookContext) -> None:
        if context.prompt.split()[0] == "lingering":
            me = object()
            self.hindrances[me] = context.stream_id
            try:
                await asyncio.Event().wait()
            finally:
                del self.hindrances[me]

    # ------------------------------------------------------------ what there is

    @property
    def live(self) -> list[Run[Any]]:
        """The runs that have not stopped, oldest first."""
        return [run for run in self.puppets.runs.values() if run.stopped is None]

    @property
    def listening(self) -> list[str]:
        """The streams whose model waits to be told what to say."""
        mouths = self.puppets.mouths
        return [run.id for run in self.live if run.id in mouths and mouths[run.id].listening]

    @property
    def pending(self) -> tuple[Question, ...]:
        """The questions that wait for an answer."""
        return self.runtime.bridge.pending

    def parked(self, thread: threading.Thread) -> bool:
        """Whether a tool's thread waits for an answer."""
        call = self.puppets.parked.get(thread.ident or 0)
        if call is None:
            return False
        requests = (question.request for question in self.pending)
        return any(isinstance(request, ElicitationRequest) and request.tool_call_id == call for request in requests)

    def settle(self) -> None:
        """Run until all rest, and note the runs that have come."""
        self.loop.settle(self.parked)
        for run in registry.owned():
            if isinstance(run, Run):
                self.puppets.runs.setdefault(run.id, run)

    def do(self, action: Callable[[], Any], *, on_thread: bool = False) -> Any:
        """Call on the loop's thread, within the loop, or on another that has ended when the loop goes on."""
        if on_thread:
            value: list[Any] = []
            thread = threading.Thread(target=lambda: value.append(action()))
            thread.start()
            thread.join(5)
            self.settle()
            return value[0]

        async def within() -> Any:
            return action()

        value = self.loop.run_until_complete(within())
        self.settle()
        return value

    # ------------------------------------------------------------ streams and their consumers

    def open(self, how: str, words: str, session: Session, observer: str) -> None:
        """Begin a stream; on a busy session it is refused."""
        observers: list[Any] = {"none": [], "hanging": [Hanging(self.hindrances)], "failing": [Failing()]}[observer]
        stream = self.runtime.run_stream(session, words, observers=observers)
        top = Top(stream._run, stream)
        busy = session.busy
        try:
            self._consume(how, top, stream)
        except SessionBusy:
            assert busy, "a free session was called busy"
            return
        assert not busy, "a busy session took a second turn"
        self.puppets.runs[stream.id] = top.run
        self.tops.append(top)
        del stream
        self.settle()

    def _consume(self, how: str, top: Top, stream: Stream) -> None:
        async def begin() -> None:
            if how == "entered":
                await stream.__aenter__()
            top.events = aiter(stream)

        async def drain() -> None:
            async with stream:
                async for event in stream:
                    top.got.append(event)
            top.drained = True

        if how == "drained" and not top.run.session.busy:
            top.task, top.stream = self.loop.create_task(drain()), None
        else:
            self.loop.run_until_complete(begin())

    def pull(self, top: Top, most: int) -> None:
        """Take events by hand, as many as there are."""

        async def take() -> None:
            for _ in range(most):
                if not top.run.channel._buffer and not top.run.channel.closed:
                    return
                event = await anext(top.events, None)
                if event is None:
                    top.drained = True
                    return
                top.got.append(event)

        self.loop.run_until_complete(take())
        self.settle()

    def abandon(self, top: Top, what: str) -> None:
        """Leave: drop the iteration, the handle or both, leave the block, or cancel the task that consumes."""
        if top.task is not None:
            top.task.cancel()
        elif what == "block" and top.stream is not None:
            self.tasks.append(self.loop.create_task(top.stream.__aexit__(None, None, None)))
        top.stream = top.events = None
        gc.collect()
        self.settle()
        assert top.run.stopped is not None, "a stream whose consumer has left is live"

    def cancel(self, run: Run[Any], reason: StopReason, *, on_thread: bool) -> None:
        """Stop a stream; on the loop's thread it and its children have stopped at once."""
        handle = Stream.viewing(run)
        kin = [run, *self._descendants(run)]

        def act() -> bool:
            handle.cancel(reason)
            return all(one.stopped is not None and one.handle not in self.runtime.bridge.live for one in kin)

        assert self.do(act, on_thread=on_thread) or on_thread, "cancel returned before the stop"

    def _descendants(self, run: Run[Any]) -> list[Run[Any]]:
        return [one for child in run.children for one in (child, *self._descendants(child))]

    def close(self) -> None:
        """Close the runtime: every stream stops."""
        self.tasks.append(self.loop.create_task(self.runtime.aclose()))
        self.settle()
        assert not self.live, "a stream survives the close of its runtime"

    # ------------------------------------------------------------ speaking to them

    def tell(self, run: Run[Any], how: str, manner: str, *, on_thread: bool) -> None:
        """Steer or follow up: a live stream takes it, another refuses."""
        words = f"{manner} {self.puppets.fresh('words')}"
        handle, live = Stream.viewing(run), run.stopped is None

        def act() -> bool:
            try:
                (handle.steer if how == "steer" else handle.follow_up)(words)
            except StreamEnded:
                return False
            self.told.setdefault(run.id, []).append(words)
            return True

        assert self.do(act, on_thread=on_thread) == live, "taken by the dead, or refused by the living"

    def answer(self, question: Question, action: str, *, on_thread: bool, twice: bool) -> None:
        """Answer an open question; a second answer is refused."""
        request = question.request
        content: dict[str, Any] | None = None
        if isinstance(request, ElicitationRequest):
            if action == "accept":
                content = {"name": self.puppets.fresh("name")}
            self.puppets.given[request.message] = ElicitationResult(action, content)  # pyright: ignore[reportArgumentType]
        elif action == "accept" and twice:
            content = {"scope": "session"}
        self.settled.append(question.id)

        def act() -> list[bool]:
            return [self._answered(question.id, action, content) for _ in range(1 + twice)]

        taken = self.do(act, on_thread=on_thread)
        assert taken == [True, False][: 1 + twice], f"{taken}: an open question takes one answer"

    def answer_badly(self, question: Question) -> None:
        """An answer that does not fit changes nothing."""

        def act() -> None:
            try:
                self.runtime.answer(question.id, "accept", {"name": 7})
            except InvalidAnswer:
                return
            raise AssertionError("a number passed for a name")

        self.do(act)
        assert question in self.pending

    def answer_late(self, question_id: str) -> None:
        """An answer to what is settled is refused."""
        assert not self.do(lambda: self._answered(question_id, "accept", {"name": "late"}))

    def _answered(self, question_id: str, action: str, content: dict[str, Any] | None) -> bool:
        try:
            self.runtime.answer(question_id, action, content)
        except AnswerRefused:
            return False
        return True

    # ------------------------------------------------------------ what must hold

    def check(self) -> None:
        """What the design promises of all streams, while they rest."""
        faults = [*self.ledger.faults, *self.puppets.faults, *self.loop.faults]
        assert not faults, faults
        bridge, runs = self.runtime.bridge, self.puppets.runs
        assert bridge.current is None or bridge.current.stopped is None, "current is dead"
        assert {stream.id for stream in bridge.live} == {run.id for run in self.live}
        assert {question.stream_id for question in bridge.pending} <= {run.id for run in self.live}
        for question in bridge.pending:
            if isinstance(question.request, ElicitationRequest):
                assert question.stream_id == self.puppets.asked[question.request.message], "another stream asks"
        hindered = {_root(runs[name]) for name in (*self.hindrances.values(), *self.puppets.stubborn.values())}
        for run in runs.values():
            self._check_run(run, _root(run) in hindered)
        for session in {id(run.session): run.session for run in runs.values()}.values():
            assert_paired(session)
            assert session.busy == any(run.session is session and not run.done.is_set() for run in runs.values())

    def _check_run(self, run: Run[Any], hindered: bool) -> None:
        book = self.ledger.books[run.id]
        assert book.stopped is run.stopped, "the stop was told, and it alone is the end"
        if run.stopped is None:
            detached = run.options.nested is not None and run.options.nested.detached
            assert run.parent is None or detached or run.parent.stopped is None, "a child survives its parent"
            return
        assert run.done.is_set() or hindered, "the turn is not freed, and nothing is in its way"
        assert not run.done.is_set() or run.id not in {owned.id for owned in registry.owned()}
        assert run.stopped.reason != "completed" or self.puppets.mouths[run.id].finished
        said = "".join(message.content for message in run.turn.messages if message.role == "assistant")
        assert said.startswith("".join(book.text)), "what was told is not in the history"
        assert said.count("<") == said.count(f"<{run.id}."), "another stream's words are in the history"
        heard = {message.content for message in run.turn.messages if message.role == "user"}
        for words in self.told.get(run.id, ()):
            unread = words in run.undelivered
            if words.startswith("blocked"):
                assert words not in heard or run.parent is not None, "a hook's no was not heard"
            else:
                assert (words in heard) != unread, f"{words} is stranded, or twice there"
        answered = {message.tool_call_id for message in run.turn.messages if message.role == "tool"}
        assert book.called <= answered, "a call that was announced has no result in the history"

    def check_consumer(self, top: Top) -> None:
        """What one consumer got: no gap in any stream, and where it drained, the last event is the stop."""
        ledger = Ledger(of_one_consumer=True)
        for event in top.got:
            ledger.enter(event)
        assert not ledger.faults, ledger.faults
        if top.drained:
            assert isinstance(top.got[-1], StreamStopped) and top.got[-1] is top.run.stopped
            assert all(book.stopped is not None for book in ledger.books.values()), "a stream without its stop"

    def end(self) -> None:
        """End the example; nothing may be left."""
        try:
            self._end()
        finally:
            logging.getLogger("nbagent").removeHandler(self._faults)
            self.loop.close()
            gc.unfreeze()

    def _end(self) -> None:
        for run in self.live:
            self.do(run.cancel)
        for gate in tuple(self.puppets.gates.values()):
            self.do(gate.set)
        self.loop.pass_time(GRACES, self.parked)
        self.check()
        for top in self.tops:
            self.check_consumer(top)
            if top.events is not None:
                self.pull(top, 10_000)
                assert top.drained, "a consumer that drains gets the end"
                self.check_consumer(top)
        assert registry.owned() == () and self.runtime.bridge.live == () and self.pending == ()
        assert tool_threads() == []
        assert asyncio.all_tasks(self.loop) == set(), asyncio.all_tasks(self.loop)


def _root(run: Run[Any]) -> str:
    return run.id if run.parent is None else _root(run.parent)

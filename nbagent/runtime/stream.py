"""The consumer's handle on a stream: iterate over its events, cancel it, see how it ended.

Above `run`, which it holds; the run holds the handle only weakly, so that a handle that is dropped is noticed. Below
`runtime`, which it knows as `life.Home`. It guarantees (P4): a consumer that leaves cancels the producer, by the end of
`async with`, by leaving an `async for` over a stream that was not entered, or by garbage collection.
"""

from __future__ import annotations

import weakref
from types import TracebackType

import anyio

from nbagent.events import Event, StopReason, StreamStopped
from nbagent.runtime.life import Home
from nbagent.runtime.options import Nested
from nbagent.runtime.run import Run
from nbagent.session import Result, Session


class Stream:
    """One run of an agent, as its consumer sees it; made by `Runtime.run_stream`.

    Examples
    --------
    ::

        async with runtime.run_stream(session, "hi") as stream:
            async for event in stream:
                print(event.type)
        print(stream.stopped.reason)
    """

    def __init__(self, run: Run[Stream], *, owning: bool = True) -> None:
        self._run = run
        self._begun = not owning
        self._entered = not owning
        self._ends_early: StopReason | None = None
        if owning:
            run.held_by(self, Stream.viewing)

    @classmethod
    def viewing(cls, run: Run[Stream]) -> Stream:
        """A handle whose dropping does not end the run."""
        return cls(run, owning=False)

    # ------------------------------------------------------------ what it is

    @property
    def id(self) -> str:
        """The stream's identifier, which its events carry as `stream_id`."""
        return self._run.id

    @property
    def session(self) -> Session:
        """The session that it speaks in."""
        return self._run.session

    @property
    def runtime(self) -> Home[Stream]:
        """The `Runtime` that runs it; its `answer` and `bridge` are there."""
        return self._run.runtime

    @property
    def agent_name(self) -> str:
        """The agent that speaks."""
        return self._run.agent.name

    @property
    def parent(self) -> Stream | None:
        """The stream that this one is nested in, or None."""
        return self._run.parent.handle if self._run.parent is not None else None

    @property
    def prompt(self) -> str:
        """What it was asked."""
        return self._run.prompt

    @property
    def nested(self) -> Nested | None:
        """How it is nested, where an agent started it."""
        return self._run.options.nested

    @property
    def stopped(self) -> StreamStopped | None:
        """The final event, or None while the stream is live; it may be set before the consumer has drained to it."""
        return self._run.stopped

    def result(self) -> Result:
        """What the run came to; complete once it has stopped."""
        return self._run.result()

    @property
    def said(self) -> str:
        """The agent's text of this turn so far, also what it is saying right now."""
        return self._run.turn.said

    def __repr__(self) -> str:
        state = self.stopped.reason if self.stopped is not None else "live" if self._begun else "not begun"
        return f"<Stream {self.id} of {self.agent_name}: {state}>"

    # ------------------------------------------------------------ consuming it

    async def __aenter__(self) -> Stream:
        self._begin()
        self._entered = True
        try:
            await self._run.started.wait()
        except BaseException:
            self._run.cancel()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run.cancel()
        with anyio.CancelScope(shield=True):  # whoever cancels the consumer still finds the session free
            await self._run.join()

    def __aiter__(self) -> Events:
        self._begin()
        return Events(self._run, leaving_cancels=not self._entered)

    def _begin(self) -> None:
        if self._begun:
            return
        self._run.start()
        self._begun = True
        _cancel_when_dropped(self, self._run)
        if self._ends_early is not None:
            self._run.cancel(self._ends_early)

    # ------------------------------------------------------------ ending it

    def cancel(self, reason: StopReason = "cancelled") -> None:
        """Stop the stream; from any thread.

        On the loop's thread it has stopped when this returns: `stopped` is set, the channel is closed, its questions
        are answered with cancel, and the bridge has forgotten it. Tools clean up after that; `join` waits for them.
        A stream that has not begun stops as soon as it begins.
        """
        self._ends_early = reason
        if self._begun:
            self._run.cancel(reason)

    def hurry(self) -> None:
        """Cut short the 5 s that tools and hooks have to clean up."""
        if self._begun:
            self._run.hurry()

    # ------------------------------------------------------------ speaking to it

    def steer(self, text: str) -> None:
        """Say something that the agent reads before its next model call; from any thread.

        Raises
        ------
        StreamEnded
            It has ended: begin a new turn.
        ConfigError
            The text is empty.
        """
        self._run.inbox.steer(text)

    def follow_up(self, text: str) -> None:
        """Say something that the agent reads when it has finished what it does; from any thread.

        Raises
        ------
        StreamEnded
            It has ended: begin a new turn.
        ConfigError
            The text is empty.
        """
        self._run.inbox.follow_up(text)

    @property
    def undelivered(self) -> tuple[str, ...]:
        """Messages of `steer` and `follow_up` that the agent had not read when the stream ended early."""
        return self._run.undelivered

    async def join(self) -> None:
        """Wait until the stream has stopped, and then, boundedly, until its cleanup and observers have ended.

        The session is free after it. It consumes nothing: a stream that waits for its consumer does not stop by itself.
        """
        if self._begun:
            await self._run.join()


class Events:
    """An iteration over a stream's events."""

    def __init__(self, run: Run[Stream], *, leaving_cancels: bool) -> None:
        self._run = run
        if leaving_cancels:
            _cancel_when_dropped(self, run)

    def __aiter__(self) -> Events:
        return self

    async def __anext__(self) -> Event:
        channel = self._run.channel
        try:
            return channel.take()
        except IndexError:
            event = await channel.receive()
        if event is None:
            raise StopAsyncIteration
        return event


def _cancel_when_dropped(handle: Stream | Events, run: Run[Stream]) -> None:
    weakref.finalize(handle, run.cancel_soon).atexit = False

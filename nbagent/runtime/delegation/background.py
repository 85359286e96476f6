"""The background agents of one runtime: those that run, and what is worth keeping of those that have ended.

Filled by `background_tools`; kept by the runtime. It holds each stream's handle, since a stream whose handle is dropped
is cancelled, and where no front end takes the stream over it drains its events, so that the agent never waits for room.

It guarantees: a background agent ends by its own end, its own stop or its runtime's, and by nothing that happens to
its parent; a session sees its own agents alone; of one that has ended, its stream is let go and its text is kept.
Below: `nested`. Above: `life`, `background_tools`, `runtime`.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable
from contextvars import Context

from nbagent.errors import ToolError
from nbagent.events import Event, StopReason
from nbagent.runtime.nested import NestedStream

MOST = 20
"""Background agents that may run at once in one runtime."""
KEPT = 100
"""Finished ones whose text is kept, in one runtime."""
TEXT_KEPT = 100_000
"""Characters of it, the last ones."""
SETTLING = 2.0
"""Seconds that the runtime waits at its end for the streams to be let go."""


class BackgroundAgent:
    """One agent in the background; `stream` has begun.

    Attributes
    ----------
    id
        The name by which agents and people speak of it.
    session_id
        The session whose agent started it.
    agent, task
        Who does what.
    """

    def __init__(self, id: str, session_id: str, agent: str, task: str, stream: NestedStream) -> None:
        self.id = id
        self.session_id = session_id
        self.agent = agent
        self.task = task
        self._begun = time.monotonic()
        self._took = 0.0
        self._reason: StopReason = "cancelled"
        self._message = ""
        self._text = ""
        self._settled = asyncio.Event()
        self._stream: NestedStream | None = stream
        self._events: AsyncIterator[Event] | None = aiter(stream)

    @property
    def stream_id(self) -> str:
        """Its stream's identifier while it runs, else ""."""
        return self._stream.id if self._stream is not None else ""

    @property
    def live(self) -> bool:
        """Whether it still runs."""
        return self._stream is not None and self._stream.stopped is None

    @property
    def reason(self) -> StopReason | None:
        """How it ended, or None while it runs."""
        if self._stream is None:
            return self._reason
        return self._stream.stopped.reason if self._stream.stopped is not None else None

    @property
    def message(self) -> str:
        """More about how it ended."""
        if self._stream is None:
            return self._message
        return self._stream.stopped.message if self._stream.stopped is not None else ""

    @property
    def elapsed(self) -> float:
        """Seconds that it has been running, or ran."""
        return self._took or time.monotonic() - self._begun

    @property
    def text(self) -> str:
        """What it has said."""
        return self._stream.said if self._stream is not None else self._text

    def cancel(self) -> None:
        """Stop it; on the loop's thread it has stopped when this returns."""
        if self._stream is not None:
            self._stream.cancel()

    async def ended(self) -> None:
        """Wait until it has ended and cleaned up; who stops waiting does not stop it."""
        await self._settled.wait()

    async def watch(self, drains: bool) -> None:
        """Wait for its end, and keep what is worth keeping; with `drains`, consume what it tells."""
        assert self._stream is not None and self._events is not None
        try:
            if drains:
                async for _ in self._events:
                    pass
            await self._stream.join()
        finally:
            self._settle(self._stream)

    def _settle(self, stream: NestedStream) -> None:
        """Let the stream go; where it has not stopped, as when the loop ends, losing its consumer stops it."""
        if stream.stopped is not None:
            self._reason, self._message = stream.stopped.reason, stream.stopped.message
        self._text = stream.said[-TEXT_KEPT:]
        self._took = self.elapsed
        self._stream = self._events = None
        self._settled.set()


class BackgroundAgents:
    """The background agents of one runtime.

    Attributes
    ----------
    naming
        Set by a front end: names the next one, so that its own lists and the agents use one name. None: b1, b2 …
    """

    def __init__(self) -> None:
        self.naming: Callable[[], str] | None = None
        self._count = itertools.count(1)
        self._agents: dict[str, BackgroundAgent] = {}
        self._watching: set[asyncio.Task[None]] = set()

    def new_id(self) -> str:
        """The name of the next one."""
        return self.naming() if self.naming is not None else f"b{next(self._count)}"

    def of(self, session_id: str) -> list[BackgroundAgent]:
        """Those that this session's agents started, oldest first."""
        return [agent for agent in self._agents.values() if agent.session_id == session_id]

    def find(self, session_id: str, id: str) -> BackgroundAgent:
        """The one of that name.

        Raises
        ------
        ToolError
            This session has none of that name.
        """
        agent = self._agents.get(id)
        if agent is None or agent.session_id != session_id:
            known = ", ".join(agent.id for agent in self.of(session_id)) or "none"
            raise ToolError(f"There is no background agent {id!r}. There are: {known}.")
        return agent

    def check_room(self) -> None:
        """Whether another may run.

        Raises
        ------
        ToolError
            `MOST` run already.
        """
        if sum(agent.live for agent in self._agents.values()) >= MOST:
            raise ToolError(
                f"{MOST} background agents run already, which is the most. Wait for one by wait_background_agents, or "
                "stop one by stop_background_agent."
            )

    def add(self, agent: BackgroundAgent, drains: bool) -> None:
        """Keep `agent` from now on; with `drains`, consume its stream too."""
        self._agents[agent.id] = agent
        task = asyncio.get_running_loop().create_task(
            self._watch(agent, drains), name=f"nbagent background agent {agent.id}", context=Context()
        )
        self._watching.add(task)
        task.add_done_callback(self._watching.discard)

    async def settled(self) -> None:
        """Wait, boundedly, until the streams that have stopped are let go."""
        loop = asyncio.get_running_loop()
        if mine := [task for task in self._watching if task.get_loop() is loop]:
            await asyncio.wait(mine, timeout=SETTLING)

    async def _watch(self, agent: BackgroundAgent, drains: bool) -> None:
        try:
            await agent.watch(drains)
        finally:
            ended = [known.id for known in self._agents.values() if not known.live]
            for id in ended[: max(len(ended) - KEPT, 0)]:
                del self._agents[id]

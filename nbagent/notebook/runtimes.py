"""One runtime for each agent that a notebook names, so that MCP servers stay warm between cells.

A variable that is assigned a new agent (its cell ran again) gets a new runtime; the old one is closed in the
background, once no variable that was run names it any more and its last run has ended. Runtimes that the user made
are used as they are, and are closed with the others when the extension is unloaded: no server's process may outlive
it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbagent.agent import Agent, Team
    from nbagent.runtime import Runtime, Stream

logger = logging.getLogger("nbagent")


@dataclass(slots=True)
class Runtimes:
    """The runtimes of one notebook, by the name of the variable that they were run under.

    Attributes
    ----------
    on_background
        Takes over the stream of each background agent, unless a runtime's owner set something else there.
    naming
        Names them.
    """

    on_background: Callable[[Stream], None] | None = None
    naming: Callable[[], str] | None = None
    _declared: dict[str, Agent | Team | Runtime] = field(default_factory=dict[str, "Agent | Team | Runtime"])
    _runtimes: dict[int, Runtime] = field(default_factory=dict[int, "Runtime"])
    _retiring: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    def of(self, name: str, declared: Agent | Team | Runtime) -> Runtime:
        """The runtime of what the variable `name` holds now; call on the loop's thread."""
        from nbagent.runtime import Runtime

        before = self._declared.get(name)
        self._declared[name] = declared
        if before is not None and before is not declared:
            self._retire(before)
        if id(declared) not in self._runtimes:  # `_declared` keeps the object alive, so its id is its own
            self._runtimes[id(declared)] = declared if isinstance(declared, Runtime) else Runtime(declared)
            self._look_on(self._runtimes[id(declared)])
        return self._runtimes[id(declared)]

    @property
    def warm(self) -> bool:
        """Whether one may keep something warm that closing has to wait for."""
        agents = [agent for runtime in self._runtimes.values() for agent in runtime.team.agents.values()]
        return bool(self._retiring) or any(agent.toolsets for agent in agents)

    async def aclose(self) -> None:
        """Close all; a failure of one is logged and keeps none of the others open."""
        runtimes = list(self._runtimes.values())
        for runtime in runtimes:
            self._look_away(runtime)
        retiring = list(self._retiring)
        for task in retiring:
            task.cancel()
        closed = await asyncio.gather(*(runtime.aclose() for runtime in runtimes), *retiring, return_exceptions=True)
        for error in closed:
            if isinstance(error, Exception):
                logger.error("a runtime did not close cleanly", exc_info=error)
        self._runtimes.clear()
        self._declared.clear()

    def _look_on(self, runtime: Runtime) -> None:
        if runtime.on_background is None:
            runtime.on_background, runtime.background.naming = self.on_background, self.naming

    def _look_away(self, runtime: Runtime) -> None:
        if runtime.on_background is self.on_background:
            runtime.on_background = runtime.background.naming = None

    def _retire(self, declared: Agent | Team | Runtime) -> None:
        from nbagent.runtime import Runtime

        if isinstance(declared, Runtime) or any(other is declared for other in self._declared.values()):
            return
        runtime = self._runtimes.pop(id(declared))
        task = asyncio.get_running_loop().create_task(_close_when_idle(runtime), name=f"nbagent retires {runtime.name}")
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)


async def _close_when_idle(runtime: Runtime) -> None:
    try:
        for stream in runtime.bridge.live:
            await stream.join()
    finally:
        await runtime.aclose()

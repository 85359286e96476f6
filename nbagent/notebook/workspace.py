"""All that one loaded extension keeps: the place where cells run, the sessions, the warm runtimes, the runs.

Made by `magics` at load and closed at unload or when the kernel shuts down. It guarantees: after `aclose` no run of
this process is live, no server that a runtime kept warm has a process, and no task of this package is left.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nbagent.notebook.answering import Answering
from nbagent.notebook.ground import Ground
from nbagent.notebook.runs import Runs
from nbagent.notebook.runtimes import Runtimes
from nbagent.notebook.sessions import Sessions
from nbagent.notebook.warming import Warming

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from nbagent.agent import Agent

logger = logging.getLogger("nbagent")


@dataclass(slots=True, eq=False)
class Workspace:
    """One notebook, as nbagent sees it.

    Parameters
    ----------
    shell
        IPython's.
    ground
        The kernel, or the terminal.
    has_kernel
        Whether there is a kernel, so that widgets can reach somebody; a terminal has none.
    bundled
        What makes the agents that have a name without a variable: the demo.
    """

    shell: InteractiveShell
    ground: Ground
    has_kernel: bool
    bundled: Mapping[str, Callable[[], Agent]]
    sessions: Sessions = field(default_factory=Sessions)
    runtimes: Runtimes = field(default_factory=Runtimes)
    runs: Runs = field(default_factory=Runs)
    answering: Answering = field(default_factory=Answering)
    warming: Warming = field(default_factory=Warming)
    _made: dict[str, Agent] = field(default_factory=dict[str, "Agent"])
    _tasks: set[asyncio.Task[Any]] = field(default_factory=set[asyncio.Task[Any]])

    def bundled_agent(self, name: str) -> Agent | None:
        """The agent that comes with nbagent under that name, made once; or None."""
        if name not in self._made and name in self.bundled:
            self._made[name] = self.bundled[name]()
        return self._made.get(name)

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run `work` beside the cells; kept from garbage collection, its failure logged."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("%s failed", task.get_name(), exc_info=error)

    @property
    def idle(self) -> bool:
        """Whether there is nothing that `aclose` would have to wait for."""
        from nbagent.runtime.live import live_runs

        return not (live_runs() or self._tasks or self.runtimes.warm)

    async def aclose(self) -> None:
        """End every run of this process, then every server. The caller bounds it; a failure keeps nothing else open."""
        from nbagent.runtime.live import live_runs

        for run in self.runs.live:
            run.cancel("cancelled")
        streams = live_runs()
        for stream in streams:
            stream.cancel("cancelled")
            stream.hurry()
        for stream in streams:
            await stream.join()
        if self._tasks:
            await asyncio.wait(tuple(self._tasks), timeout=2)
        await self.runtimes.aclose()

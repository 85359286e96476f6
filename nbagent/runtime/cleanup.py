"""What takes time once a stream has stopped: tools that clean up, session_end hooks, spans, observers, and the store.

Made by `run`, whose finalizer says when the stream has stopped, and whose task waits here, shielded, before it frees
the turn. Below stand `calls`, `questions` and `outlet`, which it waits for, and `loop`, which has the hooks.

It guarantees (P2): each of these has its bound, counted from the stop; the hooks keep `HOOK_GRACE`, whatever the tools
do; observers and store are waited for also where tools and hooks were cut short; nothing that the store raises passes.
"""

from __future__ import annotations

import contextlib
import logging

import anyio

from nbagent.errors import Interrupted
from nbagent.events import StopReason
from nbagent.ports import Store
from nbagent.runtime.life import Life
from nbagent.runtime.loop import session_end

logger = logging.getLogger("nbagent")

GRACE = 5.0
"""Seconds that tools, toolsets and session_end hooks have to clean up after the stream has stopped."""
HOOK_GRACE = 1.0
"""Of these, the seconds that are left to the hooks, whatever the tools do."""
DRAIN = 2.0
"""Seconds that observers have to take what is queued, and then the store to save the session."""
DRAIN_CUT_SHORT = 0.2
"""The same after an interrupt or a `hurry`, when a person waits for the cell to end."""
CUT_SHORT: frozenset[StopReason] = frozenset({"cancelled", "interrupted", "superseded"})


def longest() -> float:
    """Seconds after the stop in which a cleanup has ended, unless something ignores its cancellation."""
    return GRACE + DRAIN + DRAIN + 1.0


class Cleanup:
    """The cleanup of one run."""

    def __init__(self, run: Life) -> None:
        self._run = run
        self._hurried = False
        self._by = 0.0
        self._scope: anyio.CancelScope | None = None

    def due(self) -> float:
        """The stream stops now: by when, on the loop's clock, the run's own work must have ended."""
        self._by = self._run.loop.time() + GRACE
        return self._by - HOOK_GRACE

    def hurry(self) -> None:
        """Cut the grace of tools and hooks short, also if it has not begun."""
        self._hurried = True
        if self._scope is not None:
            self._scope.cancel()

    async def done(self) -> None:
        """Wait for all of it, bounded; called within a shield."""
        run = self._run
        assert run.stopped is not None
        await self._graced(run.stopped.reason)
        run.trace.end(run.usage, run.error)
        await run.trace.settle()
        seconds = DRAIN_CUT_SHORT if self._hurried or run.stopped.reason in CUT_SHORT else DRAIN
        await run.outlet.drain(seconds)
        if run.runtime.session_store is not None:
            await self._save(run.runtime.session_store, seconds)

    async def _graced(self, reason: StopReason) -> None:
        run = self._run
        with anyio.CancelScope(deadline=self._by) as self._scope, contextlib.suppress(Interrupted):
            if self._hurried:
                self._scope.cancel()
            with anyio.CancelScope(deadline=self._by - HOOK_GRACE):
                await run.calls.ended()
                await run.questions.ended()
            await session_end(run, reason)

    async def _save(self, store: Store, seconds: float) -> None:
        session = self._run.session
        try:
            with anyio.move_on_after(seconds) as saving:
                await store.save(session)
        except Exception as error:  # the run is over and its history intact: what is on disk is behind
            logger.error("session %s was not saved: %s", session.id, error)
        else:
            if saving.cancelled_caught:
                logger.warning("session %s was not saved in %.1f s", session.id, seconds)

"""Calls the hooks of a point of a run, the team's before the agent's, and tells of it in events.

Used by `loop`, `calls`, `approval`, `compaction` and `questions`. A hook that fails is reported and passed over, except
at `pre_tool_use`, which fails closed: a guard that cannot speak must not let anything through. A hook that wants the
whole run to end gets its way here: the run is finalized, and whoever called finds itself cancelled.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from anyio.lowlevel import checkpoint

from nbagent import boundary, hooks
from nbagent.events import HookBlocked, HookFinished, HookStarted, Warning
from nbagent.hooks import HookContext, HookResult
from nbagent.runtime.life import Life

logger = logging.getLogger("nbagent")

_STRICTEST = ("deny", "ask", "allow")
_NOTHING_TO_BLOCK = ("on_user_input", "on_error", "session_end")
_ENDING_ALREADY = ("on_error", "session_end")


@dataclass(slots=True)
class _Sum:
    """What the hooks of a point want together."""

    contexts: list[str] = field(default_factory=list[str])
    updated: Any = None
    permission: Literal["allow", "deny", "ask"] | None = None

    def add(self, result: HookResult) -> None:
        if result.context:
            self.contexts.append(result.context)
        if result.updated_input is not None:
            self.updated = result.updated_input
        given = {result.permission, self.permission}
        self.permission = next((one for one in _STRICTEST if one in given), None)

    def result(self, reason: str | None = None) -> HookResult:
        return HookResult(
            block=reason is not None,
            reason=reason or "",
            context="\n\n".join(self.contexts),
            updated_input=self.updated,
            permission=self.permission,
        )


async def fire(run: Life, point: str, **fields: Any) -> HookResult:
    """Call the hooks of `point` in order, until one blocks.

    Returns
    -------
    HookResult
        Of all together: their contexts joined, the last updated input, the strictest permission, and who blocked, if
        one did; one that denies a call blocks it.
    """
    together = _Sum()
    for hook in _hooks(run, point, fields.get("tool_name", "")):
        context = HookContext(point, run.session, run.agent.name, run.id, **fields)
        result = await _call(run, point, hook, context)
        if result.message:
            run.record(Warning, message=result.message, hook=hooks.name_of(hook))
        together.add(result)
        if result.updated_input is not None:
            fields["prompt" if point == "user_prompt_submit" else "arguments"] = result.updated_input
        if (reason := await _blocked(run, point, hook, result)) is not None:
            return together.result(reason)
    return together.result()


def _hooks(run: Life, point: str, tool_name: str) -> Iterator[hooks.Hook]:
    declared = (*run.runtime.team.hooks.get(point, ()), *run.agent.hooks.get(point, ()))
    return hooks.chosen(declared, tool_name)


async def _blocked(run: Life, point: str, hook: hooks.Hook, result: HookResult) -> str | None:
    """Why the hook blocks, which is told, or None; where it stops the run, this does not return."""
    stops = result.stop and point not in _ENDING_ALREADY
    denies = result.permission == "deny" and point in ("pre_tool_use", "permission_request")
    if not (stops or ((result.block or denies) and point not in _NOTHING_TO_BLOCK)):
        return None
    name = hooks.name_of(hook)
    reason = result.reason or f"blocked by the hook {name}"
    run.record(HookBlocked, point=point, hook=name, reason=reason)
    if stops:
        run.cancel("hook_blocked", reason)
        await checkpoint()  # raises: the task that called is one of the run's
    return reason


async def _call(run: Life, point: str, hook: hooks.Hook, context: HookContext) -> HookResult:
    name = hooks.name_of(hook)
    begun = time.monotonic()
    await run.emit(HookStarted, point=point, hook=name)
    error = ""
    try:
        result = await hooks.call(hook, context)
    except BaseException as failure:  # the user's code
        if not boundary.is_failure(failure):
            raise
        error = boundary.told(failure)
        logger.warning("hook %s of %s failed", name, point, exc_info=failure)
        run.record(Warning, message=f"The hook {name} of {point} failed: {error}")
        closed = point == "pre_tool_use"
        result = HookResult(block=closed, reason=f"the hook {name} failed, so the call was not made" if closed else "")
    if not result.suppress:
        took = time.monotonic() - begun
        run.record(HookFinished, point=point, hook=name, duration=took, error=error, told=bool(error))
    return result

"""Calls an agent's hooks at a point of a run, and tells of it in events.

Used by `loop` and `calls`. A hook that fails is reported and passed over, except at `pre_tool_use`, which fails closed:
a guard that cannot speak must not let anything through.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from nbagent import boundary, hooks
from nbagent.events import HookBlocked, HookFinished, HookStarted, Warning
from nbagent.hooks import HookContext, HookResult
from nbagent.runtime.life import Life

logger = logging.getLogger("nbagent")


async def fire(run: Life, point: str, **fields: Any) -> HookResult:
    """Call the hooks of `point` in order, until one blocks.

    Returns
    -------
    HookResult
        Of all together: their contexts joined, the last updated input, and who blocked, if one did.
    """
    contexts: list[str] = []
    updated: Any = None
    for hook in run.agent.hooks.get(point, ()):
        context = HookContext(point, run.session, run.agent.name, run.id, **fields)
        result = await _call(run, point, hook, context)
        if result.context:
            contexts.append(result.context)
        if result.updated_input is not None:
            updated = result.updated_input
            fields["prompt" if point == "user_prompt_submit" else "arguments"] = updated
        if result.block:
            reason = result.reason or f"blocked by the hook {hooks.name_of(hook)}"
            run.record(HookBlocked, point=point, hook=hooks.name_of(hook), reason=reason)
            return HookResult(True, reason, "\n\n".join(contexts), updated)
    return HookResult(context="\n\n".join(contexts), updated_input=updated)


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
    run.record(HookFinished, point=point, hook=name, duration=time.monotonic() - begun, error=error)
    return result

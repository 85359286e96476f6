"""Calls one hook: a user's function inside the boundary, a command outside of it.

Above `points` and `command`; the runtime calls hooks by it alone. A `CommandHook` is this package's own code, which an
interrupt must not cut between the start of a process and the note that it is to be ended: it runs outside of the
boundary, and what ends it is the cancellation of the run.
"""

from __future__ import annotations

import inspect
from typing import Any

from nbagent import boundary
from nbagent.errors import ConfigError
from nbagent.hooks.command import CommandHook
from nbagent.hooks.points import Hook, HookContext, HookResult

_PERMISSIONS = (None, "allow", "deny", "ask")


def name_of(hook: Hook) -> str:
    """The name under which events speak of a hook."""
    return getattr(hook, "__name__", type(hook).__name__)


async def call(hook: Hook, context: HookContext) -> HookResult:
    """Call one hook.

    Raises
    ------
    ConfigError
        It returned something that is neither None nor a `HookResult`, or one whose words are no text.
    CommandFailed
        It is a command, and failed.
    """
    if isinstance(hook, CommandHook):
        return await hook(context)
    result: Any = boundary.call(hook, context)
    if inspect.isawaitable(result):
        result = await boundary.drive(result)
    if result is None:
        return HookResult()
    if not isinstance(result, HookResult):
        raise ConfigError(f"hook {name_of(hook)} returned {type(result).__name__}; return None or a HookResult")
    for words in ("reason", "context", "message"):
        if not isinstance(getattr(result, words), str):
            raise ConfigError(f"hook {name_of(hook)} returned a HookResult whose {words} is no text")
    if result.permission not in _PERMISSIONS:
        raise ConfigError(f"hook {name_of(hook)} returned permission={result.permission!r}; there are allow, deny, ask")
    return result

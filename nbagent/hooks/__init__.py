"""Hooks: the user's code at fixed points of a stream, which may block it, change its input or add context.

    points      the points, what a hook is told there and what it may want
    declaring   matching(…) and the check of what a user declares
    command     CommandHook: a program as a hook
    └── contract    what it is told and says, in docker-agent's words
    calling     one call of one hook

A hook takes one `HookContext` and returns None or a `HookResult`; it may be sync or async, and it runs on the loop's
thread inside a boundary (`nbagent.boundary`), so that an interrupt stops it. The runtime decides when to call which.
"""

from __future__ import annotations

from nbagent.hooks.calling import call, name_of
from nbagent.hooks.command import CommandFailed, CommandHook
from nbagent.hooks.declaring import Declaration, Declared, Matching, check, chosen, matching
from nbagent.hooks.points import POINTS, TOOL_POINTS, Hook, HookContext, HookResult, Point

__all__ = [
    "POINTS",
    "TOOL_POINTS",
    "CommandFailed",
    "CommandHook",
    "Declaration",
    "Declared",
    "Hook",
    "HookContext",
    "HookResult",
    "Matching",
    "Point",
    "call",
    "check",
    "chosen",
    "matching",
    "name_of",
]

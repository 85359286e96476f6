"""Whether a tool call may run: allow it, ask the user, or refuse it (P11).

    rules        Permissions, and `decide`: one pure function over a call, the rules, the mode and what was approved
    patterns     which calls a rule or an approval speaks of
    globs        text with wildcards
    suggesting   what an approval for good could be for

The runtime calls `decide` for every call, again after each hook that may take a while, and for each call that waits
when the user approves another.
"""

from __future__ import annotations

from nbagent.permissions.patterns import Pattern, exactly, read
from nbagent.permissions.rules import EVERYTHING, Decision, Mode, Permissions, check_mode, decide
from nbagent.permissions.suggesting import suggested

__all__ = [
    "EVERYTHING",
    "Decision",
    "Mode",
    "Pattern",
    "Permissions",
    "check_mode",
    "decide",
    "exactly",
    "read",
    "suggested",
]

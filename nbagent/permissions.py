"""Whether a tool call may run: allow it, ask the user, or refuse it.

One pure function over the tool, the mode of the run and what the user approved for this session. The runtime calls it
once for every call; an approval for the session also settles the asks for that tool which wait at that moment.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from nbagent.errors import ConfigError
from nbagent.ports import Tool

Mode = Literal["ask", "all", "none"]
Decision = Literal["allow", "ask", "refuse"]


def check_mode(mode: str) -> Mode:
    """The mode, if it is one.

    Raises
    ------
    ConfigError
        It is none of ``ask``, ``all``, ``none``.
    """
    match mode:
        case "ask" | "all" | "none":
            return mode
        case _:
            raise ConfigError(f"approve={mode!r}: choose 'ask', 'all' or 'none'")


def decide(tool: Tool, name: str, mode: Mode, approved: Collection[str]) -> Decision:
    """What becomes of a call of `tool`.

    Parameters
    ----------
    tool
        A tool that cannot hurt (`Tool.asks_approval` is false) is always allowed.
    name
        The name under which the model calls it.
    mode
        ``ask`` the user, allow ``all``, or allow ``none`` of those that can hurt.
    approved
        Names of the tools that the user approved for the session.
    """
    if not tool.asks_approval or mode == "all" or name in approved:
        return "allow"
    return "ask" if mode == "ask" else "refuse"

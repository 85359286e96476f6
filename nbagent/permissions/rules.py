"""What is decided about a call: rules, approvals, the tool's own word, and the mode of the run, in this order.

Pure functions; `runtime.approval` calls them. What denies beats everything; what a hook says beats all else; an allow
rule and what the user approved let the call run; an ask rule, or a tool that can hurt, makes it a question, which the
mode answers or leaves to the user.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from nbagent.errors import ConfigError
from nbagent.permissions.patterns import read
from nbagent.ports import Tool

Mode = Literal["ask", "all", "none"]
Decision = Literal["allow", "ask", "deny", "refuse"]
"""``deny``: a rule forbids it. ``refuse``: it would have to be asked for, and this run approves nothing."""

EVERYTHING = "*"
"""The pattern that stands for every call that asks: approved for a session, it is the mode ``all`` for the session."""


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


@dataclass(frozen=True, slots=True)
class Permissions:
    """Rules about tool calls; the first that fits decides, in the order deny, allow, ask.

    A pattern is ``tool``, ``tool:argument=value`` (several by further colons) or ``mcp:server:tool``; ``*`` stands for
    any text, ``?`` for a character, ``[abc]`` for one of these. Arguments that are not text are compared as JSON.

    Parameters
    ----------
    deny
        Calls that never run, whatever was approved.
    allow
        Calls that run unasked. In an argument, a wildcard takes nothing that a shell would act on (``; & | ` $ ( ) <
        > { } \\`` and control characters) and no ``..`` in a path: such a call is asked about.
    ask
        Calls that the user is asked about, also where the tool cannot hurt.

    Raises
    ------
    ConfigError
        A pattern cannot be read.

    Examples
    --------
    >>> Permissions(deny=["shell:cmd=*sudo*"], allow=["shell:cmd=ls*", "mcp:github:get_*"])
    Permissions(deny=('shell:cmd=*sudo*',), allow=('shell:cmd=ls*', 'mcp:github:get_*'), ask=())
    """

    deny: Sequence[str] = ()
    allow: Sequence[str] = ()
    ask: Sequence[str] = ()

    def __post_init__(self) -> None:
        for name in ("deny", "allow", "ask"):
            given: Any = getattr(self, name)
            if isinstance(given, str | bytes) or not isinstance(given, Iterable):
                raise ConfigError(f"permissions: {name}={given!r} is a list of patterns, such as {name}=['shell']")
            object.__setattr__(self, name, tuple(given))  # pyright: ignore[reportUnknownArgumentType]
            for text in getattr(self, name):
                read(text)

    def __or__(self, other: Permissions) -> Permissions:
        """The rules of both."""
        return Permissions((*self.deny, *other.deny), (*self.allow, *other.allow), (*self.ask, *other.ask))

    def denying(self, tool: Tool, name: str, arguments: Mapping[str, Any]) -> str | None:
        """The pattern that denies this call, or None."""
        return next((text for text in self.deny if read(text).concerns(tool, name, arguments)), None)


def decide(
    tool: Tool,
    name: str,
    arguments: Mapping[str, Any],
    mode: Mode,
    rules: Permissions = Permissions(),
    approved: Collection[str] = (),
    hooked: Literal["allow", "ask"] | None = None,
) -> Decision:
    """What becomes of a call.

    Parameters
    ----------
    tool, name, arguments
        The call; `name` is how the model calls the tool.
    mode
        Where it would have to be asked for: ``ask`` the user, allow ``all``, or allow ``none``.
    rules
        Those of the agent and the team.
    approved
        Patterns that the user approved.
    hooked
        What a hook said: ``allow`` it unasked, or ``ask`` whatever allows it.
    """
    if rules.denying(tool, name, arguments) is not None:
        return "deny"
    if hooked == "allow":
        return "allow"
    if hooked is None:
        if any(_grants(text, tool, name, arguments) for text in (*rules.allow, *approved)):
            return "allow"
        if not tool.asks_approval and not any(read(text).concerns(tool, name, arguments) for text in rules.ask):
            return "allow"
    elif mode == "ask" and EVERYTHING in approved:
        return "allow"
    return {"ask": "ask", "all": "allow", "none": "refuse"}[mode]  # pyright: ignore[reportReturnType]


def _grants(text: str, tool: Tool, name: str, arguments: Mapping[str, Any]) -> bool:
    try:
        return read(text).grants(tool, name, arguments)
    except ConfigError:  # an approval that a store brought along, and that nobody can read: it grants nothing
        return False

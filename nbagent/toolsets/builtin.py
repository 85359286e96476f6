"""What nbagent's own toolsets have in common: how a tool is told, bounded in time, and lent.

Each toolset is a module of its own beside this one, and makes its tools here. It guarantees: a call that takes longer
than its time ends with words for the model, and a tool that may hurt says so. Below: `nbagent.ports`. Above:
`filesystem`, `shell`, `fetch`, `think`, `todo`, `user_prompt`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from nbagent.errors import ConfigError, ToolError
from nbagent.ports import Asker, Tool, ToolContext, ToolResult, ToolSpec

Arguments = Mapping[str, Any]
Work = Callable[[Arguments, ToolContext], Awaitable[ToolResult]]
Show = Callable[[Arguments], Awaitable[str]]

SHOWN = 200_000
"""Characters of what a call would change that are told; a form shows fewer."""

TEXT: Mapping[str, Any] = {"type": "string"}
WORDS: Mapping[str, Any] = {"type": "string", "minLength": 1}


def spec(name: str, description: str, properties: Mapping[str, Any], *, optional: Sequence[str] = ()) -> ToolSpec:
    """A tool with these arguments and no others."""
    schema = {
        "type": "object",
        "properties": dict(properties),
        "required": [key for key in properties if key not in optional],
        "additionalProperties": False,
    }
    return ToolSpec(name, description, schema)


def told(of: Mapping[str, Any], description: str, **more: Any) -> dict[str, Any]:
    """The schema of an argument, with what the model is told of it."""
    return {**of, "description": description, **more}


def check_timeout(owner: str, timeout: float) -> float:
    """The seconds, if they are some.

    Raises
    ------
    ConfigError
        They are none.
    """
    if isinstance(timeout, bool) or not timeout > 0:
        raise ConfigError(f"{owner}: timeout={timeout!r}; it is a number of seconds, more than 0")
    return timeout


@dataclass(frozen=True, slots=True)
class BuiltinTool:
    """One of nbagent's own tools; implements `nbagent.ports.Tool`.

    Parameters
    ----------
    spec, toolset
        What the model is told, and whose it is.
    work
        Does it.
    timeout
        Seconds that it may take; None: as long as it does, since a person is waited for, or it bounds itself.
    asks_approval
        Whether the user is asked first.
    show
        What the call would change, as a unified diff for the user who is asked.
    """

    spec: ToolSpec
    toolset: str
    work: Work
    timeout: float | None = None
    asks_approval: bool = False
    show: Show | None = None

    async def call(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Do it, with arguments that fit the schema.

        Raises
        ------
        ToolError
            It cannot be done, or took too long.
        """
        clock = asyncio.timeout(self.timeout)
        try:
            async with clock:
                return await self.work(arguments, context)
        except TimeoutError:
            if not clock.expired():
                raise
            raise ToolError(f"This took more than {self.timeout:g} s and was given up.") from None

    async def preview(self, arguments: Mapping[str, Any]) -> str:
        """What the call would change, as a unified diff; ``""`` where there is nothing to show."""
        if self.show is None:
            return ""
        async with asyncio.timeout(self.timeout):
            text = await self.show(arguments)
        left = len(text) - SHOWN
        return text if left <= 0 else f"{text[:SHOWN]}\n… ({left:,} more characters)"


class BuiltinToolset:
    """Lends the same tools to every stream; a base of nbagent's own toolsets."""

    name = ""

    def _tools(self) -> Sequence[Tool]:
        """The tools.

        Raises
        ------
        ToolsUnavailable
            They cannot be had.
        """
        raise NotImplementedError

    def open(self, asker: Asker) -> AbstractAsyncContextManager[Sequence[Tool]]:
        """Lend the tools to one stream.

        Raises
        ------
        ToolsUnavailable
            They cannot be had.
        """
        return self._opened()

    @asynccontextmanager
    async def _opened(self) -> AsyncGenerator[Sequence[Tool]]:
        yield self._tools()

    async def aclose(self) -> None:
        """Nothing is kept warm."""

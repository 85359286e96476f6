"""Toolsets of a file, each made when an agent first opens it.

Used by `toolsets`, which knows what the file says. Making one fills in variables of the environment; where that fails,
the run ends with `ToolsUnavailable` and one line. What `aclose` ended is made anew at the next opening.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbagent import boundary
from nbagent.config import expansion
from nbagent.config.problems import home
from nbagent.errors import ConfigError, ToolsUnavailable
from nbagent.ports import Asker, Tool, Toolset

if TYPE_CHECKING:
    from nbagent.config import shape


class ConfiguredToolset:
    """A toolset that a file speaks of; implements `nbagent.ports.Toolset`.

    Parameters
    ----------
    name
        What users see.
    kind
        ``mcp`` for a server.
    make
        Makes it; raises `ConfigError` or `ToolsUnavailable` where it cannot be had.
    tools
        The names of the only tools to offer; None: all.
    """

    def __init__(self, name: str, kind: str, make: Callable[[], Toolset], tools: Sequence[str] | None = None) -> None:
        self.name = name
        self.kind = kind
        self._make = make
        self._chosen = None if tools is None else frozenset(tools)
        self._made: Toolset | None = None

    def __repr__(self) -> str:
        return f"ConfiguredToolset({self.name!r})"

    def open(self, asker: Asker) -> AbstractAsyncContextManager[Sequence[Tool]]:
        """Lend the tools to one stream.

        Raises
        ------
        ToolsUnavailable
            They cannot be had; the message says what to do.
        """
        return self._open(asker)

    @asynccontextmanager
    async def _open(self, asker: Asker) -> AsyncGenerator[Sequence[Tool]]:
        if self._made is None:
            try:
                self._made = self._make()
            except ConfigError as error:
                raise ToolsUnavailable(f"toolset {self.name}: {error}") from None
        async with self._made.open(asker) as tools:
            yield [tool for tool in tools if self._offers(tool)]

    def _offers(self, tool: Tool) -> bool:
        if self._chosen is None:
            return True
        return tool.spec.name in self._chosen or getattr(tool, "own_name", None) in self._chosen

    async def aclose(self) -> None:
        """End what it keeps warm; the next opening makes it anew, with the variables as they are then."""
        made, self._made = self._made, None
        if made is not None:
            await made.aclose()


class FunctionsToolset:
    """Python functions by their dotted paths; implements `nbagent.ports.Toolset`."""

    def __init__(self, name: str, functions: Sequence[str]) -> None:
        from nbagent.toolsets import as_tool

        self.name = name
        self._tools = [as_tool(_imported(path)) for path in functions]

    @asynccontextmanager
    async def open(self, asker: Asker) -> AsyncGenerator[Sequence[Tool]]:
        """Lend the functions."""
        yield self._tools

    async def aclose(self) -> None:
        """Nothing is kept warm."""


@dataclass(frozen=True, slots=True)
class Server:
    """An MCP server of a file, not yet started."""

    given: shape.MCPServer
    folder: Path
    where: str
    name: str | None
    timeout: int | None

    @property
    def shown(self) -> str:
        """What users see: the name, else one that is made of the command or the address, without a variable's value."""
        from nbagent.toolsets import MCPToolset

        given = self.given
        if self.name or given.ref:
            return self.name or given.ref or ""
        url = given.remote.url if given.remote is not None else None
        return MCPToolset(given.command, given.args, url=url).name

    def made(self) -> Toolset:
        """The toolset.

        Raises
        ------
        ConfigError
            A variable is not set.
        """
        from nbagent.toolsets import MCPToolset

        env = expansion.filled_all(self.given.env, self.where)
        if (remote := self.given.remote) is not None:
            headers = expansion.filled_all(remote.headers, self.where)
            url = expansion.filled(remote.url, self.where)
            return MCPToolset(url=url, headers=headers, name=self.shown, timeout=self.timeout)
        if self.given.ref is not None:
            command, args = "docker", ["mcp", "gateway", "run", f"--servers={self.given.ref.removeprefix('docker:')}"]
        else:
            command = expansion.filled(self.given.command or "", self.where)
            args = [expansion.filled(argument, self.where) for argument in self.given.args]
        if os.path.dirname(command):
            command = os.fspath(self.folder / home(command))
        cwd = self.folder / home(self.given.working_dir or ".")
        return MCPToolset(command, args, env, cwd, name=self.shown, timeout=self.timeout)


def _imported(path: str) -> Any:
    module, _, name = path.partition(":")
    try:
        return getattr(boundary.call(importlib.import_module, module), name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"the function {path} cannot be imported: {error}") from None

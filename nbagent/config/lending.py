"""Toolsets of a file, each made when an agent first opens it.

Used by `toolsets`, which knows what the file says. Making one fills in variables of the environment; where that fails,
the run ends with `ToolsUnavailable` and one line. What `aclose` ended is made anew at the next opening.
"""

from __future__ import annotations

import importlib
import os
import shutil
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbagent import boundary
from nbagent.config import expansion
from nbagent.config.problems import home
from nbagent.errors import ConfigError, ToolsUnavailable
from nbagent.ports import Asker, ChangingTools, Tool, Toolset

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
            yield tools if self._chosen is None else _ChosenTools(tools, self._chosen)

    async def aclose(self) -> None:
        """End what it keeps warm; the next opening makes it anew, with the variables as they are then."""
        made, self._made = self._made, None
        if made is not None:
            await made.aclose()


class _ChosenTools(list[Tool]):
    """Those tools of a toolset that the file names; implements `nbagent.ports.ChangingTools`."""

    def __init__(self, tools: Sequence[Tool], names: AbstractSet[str]) -> None:
        self._tools = self._last = tools
        self._names = names
        self._latest: Sequence[Tool] | None = None  # not itself, which would be a circle
        super().__init__(self._of(tools))

    async def current(self) -> Sequence[Tool]:
        """Those that are there now."""
        now = await self._tools.current() if isinstance(self._tools, ChangingTools) else self._tools
        if now is not self._last:
            self._last, self._latest = now, self._of(now)
        return self if self._latest is None else self._latest

    def _of(self, tools: Sequence[Tool]) -> list[Tool]:
        return [tool for tool in tools if {tool.spec.name, getattr(tool, "own_name", None)} & self._names]


class FunctionsToolset:
    """Python functions by their dotted paths, each with `timeout` seconds; implements `nbagent.ports.Toolset`."""

    def __init__(self, name: str, functions: Sequence[str], timeout: float = 300.0) -> None:
        from nbagent.toolsets import as_tool
        from nbagent.toolsets.limits import LimitedTool

        self.name = name
        self._tools = [LimitedTool(as_tool(_imported(path)), timeout) for path in functions]

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
    prefix: str | None = None

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
            A variable is not set, or there is no docker command for a server of Docker's catalogue.
        """
        from nbagent.toolsets import MCPToolset

        env = expansion.filled_all(self.given.env, self.where)
        more: dict[str, Any] = {"name": self.shown, "prefix": self.prefix}
        more |= {} if self.timeout is None else {"timeout": self.timeout}
        if (remote := self.given.remote) is not None:
            headers = expansion.filled_all(remote.headers, self.where)
            url = expansion.filled(remote.url, self.where)
            transport = "sse" if remote.transport_type == "sse" else "streamable"
            return MCPToolset(url=url, headers=headers, transport=transport, **more)
        if self.given.ref is not None:
            _check_docker(self.given.ref, env)
            command, args = "docker", ["mcp", "gateway", "run", f"--servers={self.given.ref.removeprefix('docker:')}"]
        else:
            command = expansion.filled(self.given.command or "", self.where)
            args = [expansion.filled(argument, self.where) for argument in self.given.args]
        if os.path.dirname(command):
            command = os.fspath(self.folder / home(command))
        cwd = self.folder / home(self.given.working_dir or ".")
        return MCPToolset(command, args, env, cwd, **more)


def _check_docker(ref: str, env: Mapping[str, str]) -> None:
    if shutil.which("docker", path=env.get("PATH", os.environ.get("PATH"))) is None:
        raise ConfigError(
            f"{ref} is run by `docker mcp gateway`, and there is no docker on the PATH; install Docker with its "
            "MCP toolkit, or name a command or an address (remote) instead of the ref"
        )


def _imported(path: str) -> Any:
    module, _, name = path.partition(":")
    try:
        return getattr(boundary.call(importlib.import_module, module), name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"the function {path} cannot be imported: {error}") from None

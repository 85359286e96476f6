"""An MCP server as a toolset: what a user declares, and the server's tools as the runtime sees them.

Connections are kept warm between streams, in one pool per event loop. A toolset that nobody holds any more (its cell
ran again and made another) ends its idle connections by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import weakref
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from nbagent.errors import ConfigError
from nbagent.ports import Asker, Tool, ToolContext, ToolResult, ToolSpec
from nbagent.toolsets.mcp.pool import Lease, Pool
from nbagent.toolsets.mcp.transport import Server

if TYPE_CHECKING:
    import mcp_types

_Pools = dict[int, Pool]
_RUNNERS = re.compile(r"^(node|python[\d.]*|npx|uvx|uv|bunx?|deno|docker|podman|pipx|env)$")
_NOT_A_NAME = {"", "run", "exec", "stdio", "dist", "build", "src", "bin", "index", "main", "server", "__main__", "x"}


class MCPTool:
    """One tool of a server, for one stream; implements `nbagent.ports.Tool`."""

    kind = "mcp"
    """That rules may speak of it as ``mcp:server:tool``, by its own name there."""

    def __init__(self, toolset: MCPToolset, lease: Lease, tool: mcp_types.Tool) -> None:
        name = tool.name if toolset.prefix is None else f"{toolset.prefix}_{tool.name}"
        self.spec = ToolSpec(name, tool.description or tool.title or "", tool.input_schema)
        self.toolset = toolset.name
        read_only = tool.annotations is not None and tool.annotations.read_only_hint is True
        self.asks_approval = not (toolset.trust and read_only)
        self.own_name = tool.name
        self._lease = lease
        self._timeout = toolset.timeout

    async def call(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Call it on the server; its questions go to `context.asker`.

        Raises
        ------
        ToolError
            The server refused, ended, or did not answer in time.
        """
        return await self._lease.call(self.own_name, arguments, context, self._timeout)


class MCPTools(list[Tool]):
    """The tools that a server lends to one stream, as they were at first; implements `nbagent.ports.ChangingTools`."""

    def __init__(self, toolset: MCPToolset, lease: Lease) -> None:
        self._toolset = toolset
        self._lease = lease
        self._listed = lease.tools
        self._latest: Sequence[Tool] | None = None  # not itself: a circle would keep the toolset, and its server, alive
        super().__init__(self._made())

    async def current(self) -> Sequence[Tool]:
        """The tools as they are now; the same object as long as the server has not said otherwise.

        Raises
        ------
        ToolError
            The server does not list them.
        """
        listed = await self._lease.latest()
        if listed is not self._listed:  # a restarted server's list is another, and mostly the same
            if listed != self._listed:
                self._latest = self._made()
            self._listed = listed
        return self if self._latest is None else self._latest

    def _made(self) -> list[Tool]:
        return [MCPTool(self._toolset, self._lease, tool) for tool in self._lease.tools]


class MCPToolset:
    """The tools of an MCP server, a process that is started or an address; implements `nbagent.ports.Toolset`.

    Parameters
    ----------
    command, args
        The process to start: MCP over its stdin and stdout.
    env
        Added to a small safe environment (PATH, HOME …), which is all that a server sees of the kernel's.
    cwd
        Its working directory.
    url, headers
        Or the address of a server: MCP over streamable HTTP.
    transport
        How the address is reached: ``streamable``, or ``sse`` for a server that knows the older HTTP with events alone.
    name
        What users see; made from command or address where None.
    prefix
        Put before the tools' names, with ``_`` between.
    trust
        Believe the server's read-only hints: such tools run without approval.
    timeout
        Seconds that a call may take, ten minutes by default; the time in which a person is asked does not count. None:
        no limit.
    connect_timeout
        Seconds to start and connect.

    Raises
    ------
    ConfigError
        Neither or both of command and url are given, or something that is none of what is named here.

    Examples
    --------
    >>> weather = MCPToolset("uvx", ["mcp-server-weather"])
    >>> weather.name
    'mcp-server-weather'
    """

    kind = "mcp"
    """That opening it reaches a server, which the runtime tells of by events of its own."""

    def __init__(
        self,
        command: str | None = None,
        args: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        *,
        url: str | None = None,
        headers: Mapping[str, str] | None = None,
        transport: Literal["streamable", "sse"] = "streamable",
        name: str | None = None,
        prefix: str | None = None,
        trust: bool = False,
        timeout: float | None = 600.0,
        connect_timeout: float = 60.0,
    ) -> None:
        __tracebackhide__ = True  # IPython's verbose tracebacks show every argument: keys are among these
        _check(starts=command is not None, reaches=url is not None, transport=transport, args=type(args))
        self.name = name or _guessed(command, args, url)
        self.prefix = prefix
        self.trust = trust
        self.timeout = timeout
        self.connect_timeout = connect_timeout
        self._server = Server(
            name=self.name,
            command=command,
            args=tuple(args),
            env=dict(env or {}),
            cwd=None if cwd is None else os.fspath(cwd),
            url=url,
            headers=dict(headers or {}),
            sse=transport == "sse",
        )
        self._pools: _Pools = {}
        weakref.finalize(self, _forgotten, self._pools).atexit = False

    def __repr__(self) -> str:
        return f"MCPToolset({self._server.where!r}, name={self.name!r})"

    def open(self, asker: Asker) -> AbstractAsyncContextManager[Sequence[Tool]]:
        """Lend the server's tools to one stream; starts the server where it is not warm.

        Raises
        ------
        ToolsUnavailable
            The command does not exist, the server ends at once, or does not answer.
        """
        return self._open(asker)

    @asynccontextmanager
    async def _open(self, asker: Asker) -> AsyncGenerator[Sequence[Tool]]:
        lease = await self._pool().lease(asker)
        try:
            yield MCPTools(self, lease)
        finally:
            lease.release()

    def _pool(self) -> Pool:
        loop = asyncio.get_running_loop()
        for key, pool in list(self._pools.items()):
            if pool.loop.is_closed():
                del self._pools[key]
        if id(loop) not in self._pools:
            self._pools[id(loop)] = Pool(self._server, self.connect_timeout)
        return self._pools[id(loop)]

    async def aclose(self) -> None:
        """End the server's processes and connections; idempotent."""
        loop = asyncio.get_running_loop()
        own = self._pools.pop(id(loop), None)
        _forgotten(self._pools)
        if own is not None:
            await own.aclose()


def _forgotten(pools: _Pools) -> None:
    """End what is idle, each pool in its own loop."""
    for pool in pools.values():
        with contextlib.suppress(RuntimeError):  # that loop is closed, and what it owned has ended with it
            pool.loop.call_soon_threadsafe(pool.close_idle)
    pools.clear()


def _check(*, starts: bool, reaches: bool, transport: str, args: type) -> None:
    """Refuse what cannot be meant; it is told no value that may be secret, since a traceback shows its arguments."""
    if starts == reaches:
        raise ConfigError("MCPToolset takes a command (a server to start) or a url (a server to reach), one of them")
    if transport not in ("streamable", "sse"):
        raise ConfigError(f"MCPToolset: transport={transport!r}; it is streamable or sse")
    if issubclass(args, str) or not issubclass(args, Iterable):
        raise ConfigError("MCPToolset: args is a list of strings, one for each argument")


def _guessed(command: str | None, args: Sequence[str], url: str | None) -> str:
    """A name that a person recognises: that of the package, the script, or the host."""
    if url is not None:
        return urlsplit(url).hostname or url
    program = os.path.basename(command or "").removesuffix(".exe")
    if not _RUNNERS.match(program):
        return program
    for argument in args:
        if argument in ("-c", "-e", "--eval"):  # code, which names nothing
            return program
        if argument.startswith("-"):
            continue
        parts = [re.sub(r"\.(py|[cm]?[jt]s)$", "", part) for part in re.split(r"[/\\]", argument)]
        named = [part for part in parts if part.lower() not in _NOT_A_NAME]
        if named:
            return named[-1].partition("@")[0] or named[-1]
    return program

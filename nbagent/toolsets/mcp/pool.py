"""Which connection a stream gets.

A first-era server's questions name no call, so its connection is leased to one stream at a time: a second stream at
the same time gets a connection of its own, that is, a second process. A second-era connection is shared. Idle
connections stay warm, at most `_WARM` of them; a quarantined or ended one is never lent, and a stream that holds one
is given another at its next call. A pool belongs to one event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nbagent.errors import ToolError, ToolsUnavailable
from nbagent.ports import Asker, ToolContext, ToolResult
from nbagent.toolsets.mcp.transport import Server
from nbagent.toolsets.threads import on_daemon

if TYPE_CHECKING:
    from mcp_types import Tool

    from nbagent.toolsets.mcp.connection import Connection

_WARM = 2
_END = 8.0  # seconds at most for a process to end: mcp's own bounds sum up to less


class Pool:
    """The connections to one server in one event loop."""

    def __init__(self, server: Server, connect_timeout: float) -> None:
        self.server = server
        self.loop = asyncio.get_running_loop()
        self._timeout = connect_timeout
        self._connections: list[Connection] = []
        self._modes = ["auto"]
        self._closed = False

    async def lease(self, asker: Asker) -> Lease:
        """A connection for one stream, with the server's tools; `Lease.release` gives it back.

        Raises
        ------
        ToolsUnavailable
            The server cannot be reached.
        """
        if "nbagent.toolsets.mcp.connection" not in sys.modules:
            await on_daemon(_import, "nbagent-import")  # half a second in which the loop goes on
            threading.Thread(target=_warm_up, name="nbagent-warm-up", daemon=True).start()
        lease = Lease(self, asker)
        try:
            await lease.renew()
        except BaseException:
            lease.release()
            raise
        return lease

    def take(self, asker: Asker) -> tuple[Connection, bool]:
        """A connection that is free, and whether it was warm; else a new one."""
        for connection in self._connections:
            if connection.free:
                connection.askers.append(asker)
                return connection, True
        return self._new(asker), False

    def _new(self, asker: Asker) -> Connection:
        from nbagent.toolsets.mcp.connection import Connection

        self.server.check()
        connection = Connection(self.server, self._timeout, self._modes, self.tidy)
        connection.askers.append(asker)
        self._connections.append(connection)
        return connection

    def give_back(self, connection: Connection, asker: Asker) -> None:
        """The stream needs it no longer."""
        if asker in connection.askers:
            connection.askers.remove(asker)
        self.tidy()

    def tidy(self) -> None:
        """Forget the ended connections; end idle ones beyond what is kept warm."""
        self._connections = [connection for connection in self._connections if not connection.owner.gone]
        idle = [connection for connection in self._connections if connection.idle]
        for connection in idle if self._closed else idle[_WARM:]:
            connection.owner.end()

    def close_idle(self) -> None:
        """Nobody declares this toolset any more: end what is idle now, and the rest as it becomes so."""
        self._closed = True
        self.tidy()

    async def aclose(self) -> None:
        """End all connections and wait (bounded) for their processes to be gone."""
        connections = list(self._connections)
        for connection in connections:
            connection.owner.end()
        with contextlib.suppress(TimeoutError):  # a process that even SIGKILL does not end: nothing more can be done
            async with asyncio.timeout(_END):
                await asyncio.gather(*(connection.owner.ended() for connection in connections))
        for connection in connections:
            connection.forget()


def _import() -> None:
    import nbagent.toolsets.mcp.connection  # noqa: F401  # pyright: ignore[reportUnusedImport]


def _warm_up() -> None:
    """Load the validator of schemas before the first call needs it: jsonschema's formats take seconds to import."""
    from nbagent.schema import validate

    validate({}, {"type": "object"})


class Lease:
    """One stream's use of a connection."""

    def __init__(self, pool: Pool, asker: Asker) -> None:
        self.tools: list[Tool] = []
        self._pool = pool
        self._asker = asker
        self._connection: Connection | None = None
        self._replacing = asyncio.Lock()
        self._released = False

    async def renew(self) -> None:
        """Take a connection that works, in place of the one held, with the server's tools.

        Raises
        ------
        ToolsUnavailable
            The server cannot be reached.
        """
        while True:
            self._give_back()
            self._connection, warm = self._pool.take(self._asker)
            try:
                self.tools = await self._connection.tools()
                return
            except ToolsUnavailable:
                if not warm:
                    raise

    async def latest(self) -> list[Tool]:
        """The server's tools as they are now; the same list where nothing has changed.

        Raises
        ------
        ToolError
            The server does not list them.
        """
        connection = self._connection
        if connection is not None and connection.usable:
            self.tools = await connection.latest()
        return self.tools

    async def call(
        self, name: str, arguments: Mapping[str, Any], context: ToolContext, timeout: float | None
    ) -> ToolResult:
        """Call a tool of the server for `context`.

        Raises
        ------
        ToolError
            The server refused, ended, or did not answer in time.
        """
        from nbagent.toolsets.mcp.calls import Call
        from nbagent.toolsets.mcp.content import to_result

        connection = await self._working()
        call = Call(context.asker, context.tool_call_id)

        def progress(text: str) -> None:
            context.emit_output(f"{text}\n", None)

        answer = await connection.call(name, dict(arguments), call, progress, timeout)
        return to_result(answer)

    async def _working(self) -> Connection:
        async with self._replacing:
            if self._released:
                raise ToolError(f"server {self._pool.server.name} is not open any more")
            connection = self._connection
            if connection is None or not connection.usable:
                try:
                    await self.renew()
                except ToolsUnavailable as error:
                    raise ToolError(str(error)) from error
            assert self._connection is not None
            return self._connection

    def _give_back(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._pool.give_back(connection, self._asker)

    def release(self) -> None:
        """Give the connection back; idempotent, and nothing waits."""
        self._released = True
        self._give_back()

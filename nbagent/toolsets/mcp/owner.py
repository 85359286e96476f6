"""The long-lived task that owns one `mcp.Client`: enters it, keeps it, and leaves it, in an empty context (K5).

Left from another cell's task, a client wedges the kernel; entered in a stream's context, everything that it starts
would take that stream for its own for ever after. `connection` makes the calls; this module connects, says why it
could not, and ends. It asks for the second era first; a first-era process that ends when it is asked is started once
more.

It guarantees: once `gone`, the process is gone, too; `end` never waits.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from contextvars import Context
from typing import TYPE_CHECKING, Any

from mcp import Client, MCPError
from mcp.client.session import ElicitationFnT, IncomingMessage
from mcp_types import CONNECTION_CLOSED, LoggingMessageNotificationParams
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from nbagent.errors import ToolsUnavailable
from nbagent.toolsets.mcp import transport
from nbagent.toolsets.mcp.failures import explained, leaf, unparsed
from nbagent.toolsets.mcp.tap import Tap, TappedReader, TappedWriter

if TYPE_CHECKING:
    from mcp.client._transport import TransportStreams

logger = logging.getLogger("nbagent")
logger.addHandler(logging.NullHandler())
logging.getLogger("mcp").addHandler(logging.NullHandler())  # else its warnings go to stderr, which is the user's cell


class Owner:
    """Makes one connection and keeps it until it ends or is ended.

    Parameters
    ----------
    server
        Where it leads.
    timeout
        Seconds to connect.
    modes
        One element, shared by all connections to that server: how to begin, ``auto`` or, once that is known to be
        needed, ``legacy``, which does not ask for the second era.
    tap
        Told of what passes by.
    elicit
        Answers the server's questions.
    on_end
        Called when it has ended.
    """

    def __init__(
        self,
        server: transport.Server,
        timeout: float,
        modes: list[str],
        *,
        tap: Tap,
        elicit: ElicitationFnT,
        on_end: Callable[[], None],
    ) -> None:
        self.client: Client | None = None
        self.modern = False
        self.ending = False
        self.gone = False
        self._server = server
        self._timeout = timeout
        self._modes = modes
        self._tap = tap
        self._elicit = elicit
        self._on_end = on_end
        self._noise = ""
        self._stderr: transport.Stderr | None = None
        self._failure: ToolsUnavailable | None = None
        self._started = False
        self._told_to_end = False
        self._ready = asyncio.Event()
        self._close = asyncio.Event()
        self._task = in_empty_context(self._own())

    async def connected(self) -> Client:
        """The client, once it is connected.

        Raises
        ------
        ToolsUnavailable
            It could not be, or has ended since.
        """
        await self._ready.wait()
        if self.client is None:
            raise self._failure or ToolsUnavailable(f"MCP server {self._server.name} was closed")
        return self.client

    def end(self) -> None:
        """Have the client left, also one that is still connecting; nothing waits here."""
        self.ending = self._told_to_end = True
        self._close.set()
        if self._started and not self._ready.is_set():  # not before: a cancelled start loses hold of the process
            self._task.cancel()

    async def ended(self) -> None:
        """Wait until the client has been left, and the process is gone."""
        await asyncio.wait({self._task})

    async def last_words(self) -> str:
        """What a process said at its end: exit code and last lines of stderr."""
        return "" if self._stderr is None else await self._stderr.last_words()

    # ------------------------------------------------------------ the task

    async def _own(self) -> None:
        try:
            await self._negotiated()
        except Exception as error:  # the outermost edge: told to whoever waits for the connection
            self._failure = await self._explained(leaf(error))
            if self._ready.is_set():
                logger.warning("%s", self._failure)
        finally:
            self.ending = self.gone = True
            self.client = None
            self._ready.set()
            self._on_end()

    async def _negotiated(self) -> None:
        try:
            return await self._live(self._modes[0])
        except Exception as error:
            if not self._broke_off(leaf(error)):
                raise
        self.ending = self._started = False
        self._close.clear()
        await self._live("legacy")

    async def _live(self, mode: str) -> None:
        async with asyncio.timeout(self._timeout) as clock, self._entered(mode) as client:
            clock.reschedule(None)
            self.client = client
            self._modes[0] = mode
            self.modern = client.protocol_version in MODERN_PROTOCOL_VERSIONS
            self._ready.set()
            async with self._listening(client):
                await self._close.wait()

    @asynccontextmanager
    async def _listening(self, client: Client) -> AsyncGenerator[None]:
        """Have a second-era server tell of changes, which it does for those alone that listen; `tap` hears of them."""
        tools = client.server_capabilities.tools
        if not (self.modern and tools is not None and tools.list_changed):
            yield
            return
        listening = in_empty_context(self._listen(client))
        try:
            yield
        finally:
            listening.cancel()
            await asyncio.wait({listening})

    async def _listen(self, client: Client) -> None:
        try:
            async with client.listen(tools_list_changed=True) as changes:
                async for _ in changes:
                    pass
        except Exception as error:  # the edge of a task: its tools stay as they were listed
            text = self._server.redacted(explained(error))
            logger.info("MCP server %s tells of no changes: %s", self._server.name, text)

    def _broke_off(self, error: BaseException) -> bool:
        """Whether a process ended by itself when it was asked for the second era."""
        closed = isinstance(error, MCPError) and error.code == CONNECTION_CLOSED and self._server.url is None
        return closed and self._modes[0] == "auto" and not (self._ready.is_set() or self._told_to_end)

    async def _explained(self, error: BaseException) -> ToolsUnavailable:
        if isinstance(error, ToolsUnavailable):
            return error
        server = f"MCP server {self._server.name} ({self._server.where})"
        words = await self.last_words()
        if isinstance(error, TimeoutError):
            heard = f"; it wrote to stdout what is not MCP: {self._noise}" if self._noise else words
            return ToolsUnavailable(f"{server} gave no answer in {self._timeout:g} s{heard}")
        if self._stderr is not None and self._stderr.exit_code is not None:
            return ToolsUnavailable(f"{server} ended before it could be used{words}")
        return ToolsUnavailable(f"{server} cannot be reached: {self._server.redacted(explained(error))}{words}")

    def _entered(self, mode: str) -> Client:
        return Client(
            self._transport(),
            mode=mode,
            elicitation_callback=self._elicit,
            message_handler=self._heard,
            logging_callback=self._logged,
            cache=None,
        )

    @asynccontextmanager
    async def _transport(self) -> AsyncGenerator[TransportStreams]:
        if self._server.url is None:
            self._stderr = transport.Stderr(self._server)
            streams = transport.stdio(self._server, self._stderr)
        else:
            streams = transport.http(self._server)
        async with streams as (read, write):
            self._started = True
            if self._told_to_end:
                raise ToolsUnavailable(f"MCP server {self._server.name} was closed while it started")
            yield TappedReader(read, self._tap, self._at_eof), TappedWriter(write, self._tap)

    def _at_eof(self) -> None:
        self.ending = True
        self._close.set()

    # ------------------------------------------------------------ what the server says besides answers

    async def _heard(self, message: IncomingMessage) -> None:
        if isinstance(message, Exception):
            self._noise = self._server.redacted(unparsed(message))
            logger.warning("MCP server %s wrote what is not MCP: %s", self._server.name, self._noise)

    async def _logged(self, params: LoggingMessageNotificationParams) -> None:
        text = self._server.redacted(str(params.data))
        logger.info("MCP server %s: %s: %s", self._server.name, params.level, text)


def in_empty_context(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Start a task that no stream's or call's context variables reach."""
    return asyncio.get_running_loop().create_task(work, context=Context())

"""One connection to one server, and the long-lived task that owns it.

The owner task enters and leaves `mcp.Client`, in an empty context: left from another cell's task, the client wedges the
kernel. Calls are made from the streams' tasks. Questions arrive in two ways. A second-era server puts them into the
answer to a call, so that they run in that call's own context. A first-era server sends a request that names no call: it
is put to the stream that holds the lease, and its callback, which must never be cancelled, runs below the owner.

It guarantees: a cancelled call's caller is free at once. What the server still does with that call can reach nobody: the
connection is quarantined, its questions declined, until the server has answered that call; after `_PATIENCE` seconds the
connection is ended instead. While a question is open no time limit runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from contextvars import Context, ContextVar
from dataclasses import dataclass, field
from typing import Any

from mcp import Client, MCPError
from mcp.client.session import ClientRequestContext, IncomingMessage
from mcp_types import (
    CONNECTION_CLOSED,
    CallToolResult,
    ElicitRequestParams,
    ElicitRequestURLParams,
    ElicitResult,
    LoggingMessageNotificationParams,
    Tool,
)
from mcp_types.jsonrpc import JSONRPCRequest
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from nbagent.errors import ToolError, ToolsUnavailable
from nbagent.ports import Asker, ElicitationResult
from nbagent.toolsets.mcp import transport
from nbagent.toolsets.mcp.failures import explained, unparsed
from nbagent.toolsets.mcp.tap import TappedReader, TappedWriter

logger = logging.getLogger("nbagent")
logger.addHandler(logging.NullHandler())
logging.getLogger("mcp").addHandler(logging.NullHandler())  # else its warnings go to stderr, which is the user's cell

_QUESTION_GRACE = 0.5  # seconds for a server whose question was just cancelled to end its call by itself
_PATIENCE = 2.0  # seconds in quarantine, after which the connection is ended

Progress = Callable[[str], None]


@dataclass(eq=False, slots=True)
class Call:
    """A call under way: whose it is, under which id it went out, and why its questions were not answered."""

    asker: Asker
    tool_call_id: str
    clock: asyncio.Timeout | None = None
    remaining: float | None = None
    request_id: Any = None
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    dropped: bool = False
    notes: list[str] = field(default_factory=list[str])


_call: ContextVar[Call | None] = ContextVar("nbagent_mcp_call", default=None)


class Connection:
    """A connection that is being made, warm, quarantined or ended.

    Parameters
    ----------
    server
        Where it leads.
    connect_timeout
        Seconds to connect, and to list the tools.
    on_idle
        Called when a quarantine is over, and when the connection has ended.
    """

    def __init__(self, server: transport.Server, connect_timeout: float, on_idle: Callable[[], None]) -> None:
        self.server = server
        self.askers: list[Asker] = []
        """The streams that may use this connection; at most one in the first era."""
        self.modern = False
        self.ending = False
        self.gone = False
        self._timeout = connect_timeout
        self._on_idle = on_idle
        self._client: Client | None = None
        self._calls: dict[asyncio.Task[CallToolResult], Call] = {}
        self._quarantine: set[Call] = set()
        self._asking = 0
        self._noise = ""
        self._stderr: transport.Stderr | None = None
        self._failure: ToolsUnavailable | None = None
        self._ready = asyncio.Event()
        self._close = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._owner = self._spawn(self._own())

    @property
    def quarantined(self) -> bool:
        """Whether the server still works on a call that was cancelled."""
        return bool(self._quarantine)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """A task of the connection's own, in an empty context."""
        task = asyncio.get_running_loop().create_task(work, context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # ------------------------------------------------------------ the owner

    async def _own(self) -> None:
        try:
            async with asyncio.timeout(self._timeout) as clock, self._connected() as client:
                clock.reschedule(None)
                self._client = client
                self.modern = client.protocol_version in MODERN_PROTOCOL_VERSIONS
                self._ready.set()
                await self._close.wait()
        except Exception as error:  # the owner's outermost edge: told to whoever waits for the connection
            self._failed(error)
        finally:
            self.ending = self.gone = True
            self._client = None
            self._ready.set()
            self._on_idle()

    def _failed(self, error: BaseException) -> None:
        name, where = self.server.name, self.server.where
        words = self._stderr.last_words() if self._stderr is not None else ""
        if isinstance(error, TimeoutError):
            heard = f"; it wrote to stdout what is not MCP: {self._noise}" if self._noise else words
            self._failure = ToolsUnavailable(f"MCP server {name} ({where}) gave no answer in {self._timeout:g} s{heard}")
        elif self._stderr is not None and self._stderr.exit_code is not None:
            self._failure = ToolsUnavailable(f"MCP server {name} ({where}) ended before it could be used{words}")
        else:
            text = self.server.redacted(explained(error))
            self._failure = ToolsUnavailable(f"MCP server {name} ({where}) cannot be reached: {text}{words}")
        if self._ready.is_set():
            logger.warning("%s", self._failure)

    @asynccontextmanager
    async def _connected(self) -> AsyncGenerator[Client]:
        async with Client(
            self._transport(),
            elicitation_callback=self._elicit,
            message_handler=self._heard,
            logging_callback=self._logged,
            cache=None,
        ) as client:
            yield client

    @asynccontextmanager
    async def _transport(self) -> AsyncGenerator[tuple[TappedReader, TappedWriter]]:
        if self.server.url is None:
            self._stderr = transport.Stderr(self.server)
            streams = transport.stdio(self.server, self._stderr)
        else:
            streams = transport.http(self.server)
        async with streams as (read, write):
            yield TappedReader(read, self._answered, self.end), TappedWriter(write, self._sent)

    def end(self) -> None:
        """End it, now and not gently; nothing waits here."""
        self.ending = True
        self._close.set()

    async def settled(self) -> None:
        """Wait until no cancelled call is looked after any more."""
        if busy := self._tasks - {self._owner}:
            await asyncio.wait(busy)

    async def ended(self) -> None:
        """Wait until the owner has left the client, and the process is gone."""
        await asyncio.wait({self._owner})

    # ------------------------------------------------------------ what passes by

    def _sent(self, request: JSONRPCRequest) -> None:
        call = _call.get()
        if call is not None and request.method == "tools/call":
            call.request_id = request.id

    def _answered(self, request_id: Any) -> None:
        for call in (*self._calls.values(), *self._quarantine):
            if call.request_id == request_id:
                call.answered.set()

    async def _heard(self, message: IncomingMessage) -> None:
        if isinstance(message, Exception):
            self._noise = self.server.redacted(unparsed(message))
            logger.warning("MCP server %s wrote what is not MCP: %s", self.server.name, self._noise)

    async def _logged(self, params: LoggingMessageNotificationParams) -> None:
        logger.info("MCP server %s: %s: %s", self.server.name, params.level, params.data)

    # ------------------------------------------------------------ tools and calls

    async def tools(self) -> list[Tool]:
        """The server's tools, asked for anew.

        Raises
        ------
        ToolsUnavailable
            The connection could not be made, or the server does not answer.
        """
        await self._ready.wait()
        if self._client is None:
            raise self._failure or ToolsUnavailable(f"MCP server {self.server.name} was closed")
        try:
            async with asyncio.timeout(self._timeout):
                return await self._listed(self._client)
        except TimeoutError:
            self.end()
            raise ToolsUnavailable(
                f"MCP server {self.server.name} did not list its tools in {self._timeout:g} s"
            ) from None
        except Exception as error:  # whatever the library raises, this connection is of no use any more
            self.end()
            text = self.server.redacted(explained(error))
            raise ToolsUnavailable(f"MCP server {self.server.name} cannot list its tools: {text}") from error

    @staticmethod
    async def _listed(client: Client) -> list[Tool]:
        tools: list[Tool] = []
        cursor: str | None = None
        while True:
            page = await client.list_tools(cursor=cursor)
            tools += page.tools
            if page.next_cursor is None or page.next_cursor == cursor:
                return tools
            cursor = page.next_cursor

    async def call(
        self, name: str, arguments: dict[str, Any], call: Call, progress: Progress, timeout: float | None
    ) -> CallToolResult:
        """Call a tool; cancelled, the caller is free at once, whatever the server does.

        Raises
        ------
        ToolError
            The server refused, ended, or did not answer within `timeout` seconds (the time of questions not counted).
        """
        token = _call.set(call)
        try:  # a task of its own: the caller's cancellation does not reach it
            task = asyncio.get_running_loop().create_task(self._request(name, arguments, progress))
        finally:
            _call.reset(token)
        self._calls[task] = call
        call.remaining = timeout
        try:
            async with asyncio.timeout(timeout) as call.clock:
                await asyncio.wait({task})
        except TimeoutError:
            raise ToolError(f"server {self.server.name} did not answer within {timeout:g} s") from None
        finally:
            call.clock = None
            del self._calls[task]
            if not task.done():
                self._drop(task, call)
        return self._outcome(task)

    async def _request(self, name: str, arguments: dict[str, Any], progress: Progress) -> CallToolResult:
        async def progressed(done: float, total: float | None, message: str | None) -> None:
            progress(message or (f"{done:g}" if total is None else f"{done:g}/{total:g}"))

        if self._client is None:
            raise MCPError(code=CONNECTION_CLOSED, message="Connection closed")
        return await self._client.call_tool(name, arguments, progress_callback=progressed)

    def _outcome(self, task: asyncio.Task[CallToolResult]) -> CallToolResult:
        if task.cancelled():
            raise ToolError(f"server {self.server.name} was closed during the call")
        error = task.exception()
        if error is None:
            return task.result()
        if self.ending or (isinstance(error, MCPError) and error.code == CONNECTION_CLOSED):
            self.end()
            words = self._stderr.last_words() if self._stderr is not None else ""
            raise ToolError(f"server {self.server.name} ended during the call{words}") from error
        raise ToolError(self.server.redacted(explained(error))) from error

    # ------------------------------------------------------------ a call that nobody waits for any more

    def _drop(self, task: asyncio.Task[CallToolResult], call: Call) -> None:
        call.dropped = True
        task.add_done_callback(_retrieved)
        if self.modern or self.ending:
            task.cancel()
            return
        self._quarantine.add(call)
        self._spawn(self._recover(task, call))

    async def _recover(self, task: asyncio.Task[CallToolResult], call: Call) -> None:
        if self._asking:  # its question is being answered with cancel, which may well end the call by itself
            await asyncio.wait({task}, timeout=_QUESTION_GRACE)
        task.cancel()  # sends notifications/cancelled
        await asyncio.wait({task}, timeout=_PATIENCE)
        if call.request_id is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE):
                    await call.answered.wait()
        if call.request_id is not None and not call.answered.is_set():
            self.end()
        self._quarantine.discard(call)
        self._on_idle()

    # ------------------------------------------------------------ questions

    async def _elicit(self, context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        asked = self._asked()
        if asked is None:
            logger.info("MCP server %s asked although no call waits; declined", self.server.name)
            return ElicitResult(action="decline")
        asker, call = asked
        paused = list(self._calls.values()) if call is None else [call]
        with self._thinking(paused):
            answer = await self._ask(asker, params, None if call is None else call.tool_call_id)
        for each in paused:
            each.notes += [answer.note] if answer.note else []
        if answer.action != "accept" or isinstance(params, ElicitRequestURLParams):
            return ElicitResult(action=answer.action)
        return ElicitResult(action="accept", content=answer.content or {})

    def _asked(self) -> tuple[Asker, Call | None] | None:
        """Who is to be asked, and for which call; None where nobody is."""
        call = _call.get()
        if call is not None:  # certain: a second-era server, or the answering stream of a first-era one over HTTP
            return None if call.dropped else (call.asker, call)
        if self._quarantine or not self.askers:
            return None
        calls = list(self._calls.values())
        return self.askers[0], calls[0] if len(calls) == 1 else None

    async def _ask(self, asker: Asker, params: ElicitRequestParams, tool_call_id: str | None) -> ElicitationResult:
        if isinstance(params, ElicitRequestURLParams):
            question = asker.ask(params.message, url=params.url, source=self.server.name, tool_call_id=tool_call_id)
        else:
            question = asker.ask(
                params.message, params.requested_schema, source=self.server.name, tool_call_id=tool_call_id
            )
        task = asyncio.ensure_future(question)
        try:
            await asyncio.wait({task})  # so that a cancelled question does not cancel this callback
        except asyncio.CancelledError:
            task.cancel()
            raise
        if task.cancelled():
            return ElicitationResult("cancel")
        if (error := task.exception()) is not None:
            logger.error("a question of MCP server %s could not be put", self.server.name, exc_info=error)
            return ElicitationResult("cancel", note=f"the question could not be put: {error}")
        return task.result()

    @contextlib.contextmanager
    def _thinking(self, calls: list[Call]) -> Any:
        """No time limit runs while the user is asked."""
        now = asyncio.get_running_loop().time()
        if self._asking == 0:
            for call in calls:
                if call.clock is not None and (when := call.clock.when()) is not None:
                    call.remaining = when - now
                    call.clock.reschedule(None)
        self._asking += 1
        try:
            yield
        finally:
            self._asking -= 1
            if self._asking == 0:
                now = asyncio.get_running_loop().time()
                for call in self._calls.values():
                    if call.clock is not None and call.remaining is not None and call.clock.when() is None:
                        call.clock.reschedule(now + call.remaining)


def _retrieved(task: asyncio.Task[Any]) -> None:
    """Look at the outcome, which nobody waits for, so that asyncio does not complain."""
    if not task.cancelled():
        task.exception()

"""One connection to one server: the calls that streams make on it, and the questions that the server asks.

Below it `owner` keeps the client; above it `pool` lends it to streams, from whose tasks the calls are made. Questions
arrive in two ways. A second-era server puts them into the answer to a call, so that they run in that call's own
context. A first-era server sends a request that names no call: it is put to the stream that holds the lease (P5).

It guarantees: a cancelled call's caller is free at once. What the server still does with that call can reach nobody:
the connection is quarantined, its questions declined, until the server has answered that call; after `_PATIENCE`
seconds the connection is ended instead. While a question is open no time limit runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any

from mcp import Client, MCPError
from mcp.client.session import ClientRequestContext
from mcp_types import (
    CONNECTION_CLOSED,
    URL_ELICITATION_REQUIRED,
    CallToolResult,
    ElicitRequestParams,
    ElicitResult,
    Tool,
)
from mcp_types.jsonrpc import JSONRPCRequest

from nbagent.errors import ToolError, ToolsUnavailable
from nbagent.ports import Asker
from nbagent.toolsets.mcp import transport
from nbagent.toolsets.mcp.calls import Call, Progress, current, reporting, retrieved, thinking
from nbagent.toolsets.mcp.failures import explained
from nbagent.toolsets.mcp.owner import Owner, in_empty_context
from nbagent.toolsets.mcp.questions import put, to_wire, visited
from nbagent.toolsets.mcp.tap import Tap

logger = logging.getLogger("nbagent")

_QUESTION_GRACE = 0.5  # seconds for a server whose question was just cancelled to end its call by itself
_RELIST = 10.0  # seconds for a warm server to list its tools again
_PATIENCE = 2.0  # seconds in quarantine, after which the connection is ended


class Connection:
    """A connection that is being made, warm, quarantined or ended.

    Parameters
    ----------
    server
        Where it leads.
    timeout
        Seconds to connect, and to list the tools.
    modes
        How to begin; see `Owner`.
    on_idle
        Called when it may have become idle, and when it has ended.
    """

    def __init__(self, server: transport.Server, timeout: float, modes: list[str], on_idle: Callable[[], None]) -> None:
        self.askers: list[Asker] = []
        """The streams that may use this connection; at most one in the first era."""
        self._server = server
        self._timeout = timeout
        self._on_idle = on_idle
        self._tools: list[Tool] = []
        self._changed = False
        self._calls: dict[asyncio.Task[CallToolResult], Call] = {}
        self._quarantine: set[Call] = set()
        self._recoveries: set[asyncio.Task[None]] = set()
        tap = Tap(self._sent, self._answered, self._noted)
        self.owner = Owner(server, timeout, modes, tap=tap, elicit=self._elicit, on_end=on_idle)

    @property
    def free(self) -> bool:
        """Whether it may be lent to a stream."""
        return self.usable and (self.owner.modern or not (self.askers or self._calls))

    @property
    def idle(self) -> bool:
        """Whether nothing uses it."""
        return self.usable and not (self.askers or self._calls)

    @property
    def usable(self) -> bool:
        """Whether calls may be made: it is not ending, and the server does not work on a call that was cancelled."""
        return not (self.owner.ending or self._quarantine)

    async def settled(self) -> None:
        """Wait until no cancelled call is looked after any more."""
        if self._recoveries:
            await asyncio.wait(self._recoveries)

    def forget(self) -> None:
        """It has ended: look after no cancelled call any more."""
        for recovery in tuple(self._recoveries):
            recovery.cancel()

    # ------------------------------------------------------------ tools and calls

    async def tools(self) -> list[Tool]:
        """The server's tools, asked for anew.

        Raises
        ------
        ToolsUnavailable
            The connection could not be made, or the server does not answer.
        """
        client = await self.owner.connected()
        if self._calls and self._tools and not self._changed:  # at work for another stream: no reason to disturb it
            return self._tools
        limit = min(self._timeout, _RELIST) if self._tools else self._timeout
        try:
            async with asyncio.timeout(limit):
                return await self._list(client)
        except TimeoutError:
            self.owner.end()
            raise ToolsUnavailable(f"MCP server {self._server.name} did not list its tools in {limit:g} s") from None
        except Exception as error:  # whatever the library raises, this connection is of no use any more
            self.owner.end()
            text = self._server.redacted(explained(error))
            raise ToolsUnavailable(f"MCP server {self._server.name} cannot list its tools: {text}") from error

    async def latest(self) -> list[Tool]:
        """The tools again, asked for anew where the server has said that they are others; else the same list.

        Raises
        ------
        ToolError
            The server does not list them; they stay as they were.
        """
        client = self.owner.client
        if client is None or not self._changed:
            return self._tools
        try:
            async with asyncio.timeout(_RELIST):
                return await self._list(client)
        except TimeoutError:
            raise ToolError(f"server {self._server.name} did not list its tools in {_RELIST:g} s") from None
        except Exception as error:  # whatever the library raises: a call will tell whether the connection is of use
            raise ToolError(self._server.redacted(explained(error))) from error

    async def _list(self, client: Client) -> list[Tool]:
        self._changed = False  # before it is asked: what changes meanwhile is asked for once more
        self._tools = await _listed(client)
        return self._tools

    async def call(
        self, name: str, arguments: dict[str, Any], call: Call, on_progress: Progress, timeout: float | None
    ) -> CallToolResult:
        """Call a tool; cancelled, the caller is free at once, whatever the server does.

        Raises
        ------
        ToolError
            The server refused, ended, or did not answer within `timeout` seconds (the time of questions not counted).
        """
        token = current.set(call)
        try:  # a task of its own: the caller's cancellation does not reach it
            task = asyncio.get_running_loop().create_task(self._request(name, arguments, call, on_progress))
        finally:
            current.reset(token)
        task.add_done_callback(retrieved)
        self._calls[task] = call
        try:
            async with asyncio.timeout(timeout) as call.clock:
                await asyncio.wait({task})
        except TimeoutError:
            raise ToolError(f"server {self._server.name} did not answer within {timeout:g} s") from None
        finally:
            call.clock = None
            del self._calls[task]
            if not task.done():
                self._drop(task, call)
            if not self.askers:
                self._on_idle()
        return await self._outcome(task)

    async def _request(self, name: str, arguments: dict[str, Any], call: Call, on_progress: Progress) -> CallToolResult:
        while True:
            client = self.owner.client
            if client is None:
                raise MCPError(code=CONNECTION_CLOSED, message="Connection closed")
            try:
                return await client.call_tool(name, arguments, progress_callback=reporting(on_progress))
            except MCPError as error:
                if error.code != URL_ELICITATION_REQUIRED:
                    raise
                await visited(error, call, self._server.name)  # and then once more, as the person has been there

    async def _outcome(self, task: asyncio.Task[CallToolResult]) -> CallToolResult:
        if task.cancelled():
            raise ToolError(f"server {self._server.name} was closed during the call")
        error = task.exception()
        if error is None:
            return task.result()
        if self.owner.ending or (isinstance(error, MCPError) and error.code == CONNECTION_CLOSED):
            self.owner.end()
            words = await self.owner.last_words()
            raise ToolError(f"server {self._server.name} ended during the call{words}") from error
        text = str(error) if isinstance(error, ToolError) else explained(error)
        raise ToolError(self._server.redacted(text)) from error

    # ------------------------------------------------------------ a call that nobody waits for any more

    def _drop(self, task: asyncio.Task[CallToolResult], call: Call) -> None:
        call.dropped = True
        if self.owner.modern or self.owner.ending:
            task.cancel()
            return
        self._quarantine.add(call)
        recovery = in_empty_context(self._recover(task, call))
        self._recoveries.add(recovery)
        recovery.add_done_callback(self._recoveries.discard)

    async def _recover(self, task: asyncio.Task[CallToolResult], call: Call) -> None:
        if call.asked:  # its question is being answered with cancel, which may well end the call by itself
            await asyncio.wait({task}, timeout=_QUESTION_GRACE)
        task.cancel()  # sends notifications/cancelled
        await asyncio.wait({task}, timeout=_PATIENCE)
        if call.request_id is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE):
                    await call.answered.wait()
            if not call.answered.is_set():
                self.owner.end()
        self._quarantine.discard(call)
        self._on_idle()

    def _sent(self, request: JSONRPCRequest) -> None:
        call = current.get()
        if call is not None and request.method == "tools/call":
            call.request_id = request.id
            call.answered.clear()

    def _answered(self, request_id: Any) -> None:
        for call in (*self._calls.values(), *self._quarantine):
            if call.request_id == request_id:
                call.answered.set()

    def _noted(self, method: str) -> None:
        self._changed = self._changed or method == "notifications/tools/list_changed"

    # ------------------------------------------------------------ questions

    async def _elicit(self, context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        asked = self._asked()
        if asked is None:
            logger.info("MCP server %s asked although no call waits; declined", self._server.name)
            return ElicitResult(action="decline")
        asker, call = asked
        with thinking(list(self._calls.values()) if call is None else [call]):
            answer = await put(asker, params, self._server.name, None if call is None else call.tool_call_id)
        return to_wire(answer, params)

    def _asked(self) -> tuple[Asker, Call | None] | None:
        """Who is to be asked, and for which call; None where nobody is."""
        call = current.get()
        if call is not None:  # certain: a second-era server, or the answering stream of a first-era one over HTTP
            return None if call.dropped else (call.asker, call)
        if self._quarantine or not self.askers:
            return None
        calls = list(self._calls.values())
        return self.askers[0], calls[0] if len(calls) == 1 else None


async def _listed(client: Client) -> list[Tool]:
    tools: list[Tool] = []
    cursor: str | None = None
    while True:
        page = await client.list_tools(cursor=cursor)
        tools += page.tools
        if page.next_cursor is None or page.next_cursor == cursor:
            return tools
        cursor = page.next_cursor

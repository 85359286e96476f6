"""Sees each message of a connection pass, and changes none.

The `mcp` library drops the answer to a request whose caller has gone, yet the quarantine of a connection ends with
exactly that answer. So the transport's two streams are wrapped: a call learns the id that its request went out under,
and an answer is reported by its id, late or not. A change of the list of tools is noted here, too, where it cannot be
overtaken by the answer that comes after it. The wrapped read stream also tells that the server's output has
ended.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

from mcp_types.jsonrpc import JSONRPCError, JSONRPCNotification, JSONRPCRequest, JSONRPCResponse

if TYPE_CHECKING:
    from mcp.client._transport import ReadStream, WriteStream
    from mcp.shared.message import SessionMessage


@dataclass(frozen=True, slots=True)
class Tap:
    """Who is told: `sent` of each request, in the context of its sender; `answered` of each answer, by its id; `noted`
    of each notification, by its method, before whatever the server wrote after it."""

    sent: Callable[[JSONRPCRequest], None]
    answered: Callable[[Any], None]
    noted: Callable[[str], None]


class TappedWriter:
    """The transport's write stream."""

    def __init__(self, inner: WriteStream[SessionMessage], tap: Tap) -> None:
        self._inner = inner
        self._tap = tap

    async def send(self, item: SessionMessage, /) -> None:
        if isinstance(item.message, JSONRPCRequest):
            self._tap.sent(item.message)
        await self._inner.send(item)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def __aenter__(self) -> TappedWriter:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        await self._inner.aclose()


class TappedReader:
    """The transport's read stream; `ended` is called when there is no more."""

    def __init__(
        self,
        inner: ReadStream[SessionMessage | Exception],
        tap: Tap,
        ended: Callable[[], None],
    ) -> None:
        self._inner = inner
        self._tap = tap
        self._ended = ended

    @property
    def last_context(self) -> Context | None:
        """The context of the sender, which mcp's dispatcher looks for."""
        return getattr(self._inner, "last_context", None)

    async def receive(self) -> SessionMessage | Exception:
        item = await self._inner.receive()
        if isinstance(item, Exception):
            return item
        if isinstance(item.message, JSONRPCResponse | JSONRPCError):
            self._tap.answered(item.message.id)
        elif isinstance(item.message, JSONRPCNotification):
            self._tap.noted(item.message.method)
        return item

    def __aiter__(self) -> TappedReader:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        import anyio

        try:
            return await self.receive()
        except anyio.EndOfStream:
            self._ended()
            raise StopAsyncIteration from None

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def __aenter__(self) -> TappedReader:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        await self._inner.aclose()

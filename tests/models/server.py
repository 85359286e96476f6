"""A provider on loopback: speaks HTTP, streams what it is told to, and knows when its client has hung up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass
class Reply:
    """What the provider answers one request.

    Parameters
    ----------
    pieces
        The events of a stream, or the body of an error alone.
    then
        How it goes on after them: ``end``; ``cut``, without the end of the body; ``stall``, saying nothing more;
        ``mute``, without even a status; ``babble``, repeating the last piece for ever.
    """

    pieces: Sequence[str | bytes]
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    then: Literal["end", "cut", "stall", "mute", "babble"] = "end"


def refusal(status: int, message: str, code: str = "", **headers: str) -> Reply:
    """An error, as OpenAI and Anthropic word them."""
    body = {"type": "error", "error": {"type": code or "invalid_request_error", "code": code, "message": message}}
    return Reply([json.dumps(body)], status, {name.replace("_", "-"): value for name, value in headers.items()})


class ProviderServer:
    """Answers each request with the next of its replies; the last of them for good."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)
        self.requests: list[dict[str, Any]] = []
        self.headers: list[str] = []
        self.asked = asyncio.Event()
        self.hung_up = asyncio.Event()
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                while True:
                    await self._answer(reader, writer)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(
            int(line.split(":")[1]) for line in head.split("\r\n") if line.lower().startswith("content-length")
        )
        self.headers.append(head)
        self.requests.append(json.loads(await reader.readexactly(length)))
        self.asked.set()
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        kind = "text/event-stream" if reply.status == 200 else "application/json"
        if reply.pieces and isinstance(reply.pieces[0], bytes):
            kind = "application/vnd.amazon.eventstream"
        lines = [f"HTTP/1.1 {reply.status} X", f"content-type: {kind}", "transfer-encoding: chunked"]
        lines += [f"{name}: {value}" for name, value in reply.headers.items()]
        if reply.then != "mute":
            writer.write("\r\n".join([*lines, "", ""]).encode())
        for piece in reply.pieces:
            await _chunk(writer, piece)
        await self._go_on(reply, reader, writer)

    async def _go_on(self, reply: Reply, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if reply.then == "end":
            writer.write(b"0\r\n\r\n")
            await writer.drain()
            return
        if reply.then == "cut":
            raise ConnectionResetError
        listening = asyncio.ensure_future(reader.read(1))
        with suppress(ConnectionError):  # of a client that hangs up before it has read all
            while reply.then == "babble" and not listening.done():
                await _chunk(writer, reply.pieces[-1])
                await asyncio.wait([listening], timeout=0.01)
        with suppress(ConnectionError):
            await listening
        self.hung_up.set()
        raise ConnectionResetError


async def _chunk(writer: asyncio.StreamWriter, piece: str | bytes) -> None:
    data = piece.encode() if isinstance(piece, str) else piece
    writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
    await writer.drain()


@asynccontextmanager
async def provider(*replies: Reply) -> AsyncGenerator[ProviderServer]:
    """A provider that answers so, at its `url`."""
    served = ProviderServer(*replies)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with suppress(asyncio.CancelledError):  # at the end of the test
            await served.serve(reader, writer)
        tasks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    served.url = f"http://127.0.0.1:{port}"
    try:
        yield served
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

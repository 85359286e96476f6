"""The comm gate: widget messages reach their widgets while a cell is busy.

A kernel handles one request of its main shell at a time, so a form's answer waits behind the very cell that waits for
it. For the time of a foreground run the gate stands in front of the receiver of the ZMQ stream that feeds the main
shell. It hands comm messages, and the read-only requests that a reloaded page makes first, to the kernel's own
handlers at once, and everything else, untouched and in order, to the original receiver.

What does not work, and why. ipykernel 7.4's own dispatch of comms to a busy cell publishes no idle, and a front end
sends the next state of a model only after the idle of its last message: of "hello" the kernel gets "h". Publishing
that idle and no more lets the server take the kernel for idle, and cull it: so busy follows, under the cell's header.
Calling `set_parent` for a comm message would send the cell's later output elsewhere: callbacks run in a copy of the
cell's context. Reading a message twice refuses it the second time as a duplicate: the header is read as ipykernel's
own thread reads it, which checks the signature and does not record it.

It guarantees: no message is lost, none handled twice, and after `close` the original receiver is back. The gate also
sees the execute_request of the cell that runs (K4), and says so. A callback of the user's that never returns can be
interrupted, as `boundary` says. Below: `ports`, `cells`. Above: `foreground`.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable
from typing import Any

from nbagent import boundary
from nbagent.errors import Interrupted
from nbagent.kernel.cells import Cell
from nbagent.kernel.ports import KernelPort, Message

logger = logging.getLogger(__name__)

DELIVERED = frozenset({"comm_open", "comm_msg", "comm_close", "kernel_info_request", "comm_info_request"})
"""What does not wait for the cell; none of these changes what the cell executes."""


class Gate:
    """The gate of one kernel, closed until `open`."""

    def __init__(self, port: KernelPort, on_execute: Callable[[str, str | None], None]) -> None:
        self._port = port
        self._on_execute = on_execute
        self._cell: Cell | None = None
        self._delivering = False
        self._receiver = self._receive
        self._original: Callable[[list[Any]], Any] | None = None

    @property
    def installed(self) -> bool:
        """Whether the gate stands in front of the kernel's receiver."""
        return self._original is not None and self._port.stream._recv_callback is self._receiver

    @property
    def delivering(self) -> bool:
        """Whether it hands on messages for a cell."""
        return self._delivering

    def open(self, cell: Cell) -> None:
        """Deliver from now on what comes for `cell`; call on the loop's thread."""
        self._cell, self._delivering = cell, True
        self.watch()

    def watch(self) -> None:
        """Stand in front of the receiver, to see which cells come; delivers nothing that `open` has not asked for."""
        stream = self._port.stream
        if self._original is None:
            self._original = stream._recv_callback
            stream.on_recv(self._receiver, copy=False)

    def hold(self) -> None:
        """Deliver nothing for now, but go on watching for cells that are executed again."""
        self._delivering = False

    def close(self) -> None:
        """Put the original receiver back; where something was put in front of ours, ours passes everything on."""
        self._cell, self._delivering = None, False
        stream = self._port.stream
        if self._original is not None and stream._recv_callback is self._receiver:
            stream.on_recv(self._original, copy=False)
            self._original = None

    def _receive(self, frames: list[Any]) -> Any:
        """Take one message; what is returned is awaited by the stream, as it does for the original receiver."""
        original = self._original
        assert original is not None
        header, metadata = self._peek(frames)
        msg_type = header.get("msg_type")
        if msg_type in DELIVERED and self._delivering and self._cell is not None:
            return self._deliver(self._cell, frames)
        if msg_type == "execute_request":
            cell_id = metadata.get("cellId")
            self._on_execute(header["msg_id"], cell_id if isinstance(cell_id, str) else None)
        return original(frames)

    def _peek(self, frames: list[Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Header and metadata, or nothing of a message that is not for us to refuse; consumes no signature."""
        session = self._port.session
        try:
            _, parts = session.feed_identities(frames, copy=False)
            message = session.deserialize(parts, content=False, copy=False)
        except Exception:  # malformed, forged, or ipykernel's own wake-up: the kernel knows what to do with it
            return {}, {}
        return message["header"], message["metadata"]

    def _deliver(self, cell: Cell, frames: list[Any]) -> asyncio.Task[None] | None:
        session = self._port.session
        try:
            identities, parts = session.feed_identities(frames, copy=False)
            message = session.deserialize(parts, content=True, copy=False)
        except Exception:
            logger.exception("Invalid message")
            return None
        return asyncio.get_running_loop().create_task(
            self._handle(cell, identities, message), context=cell.context.copy()
        )

    async def _handle(self, cell: Cell, identities: list[bytes], message: Message) -> None:
        self._port.publish_status("busy", message)
        try:
            await _call_handler(self._port, identities, message)
        finally:
            self._port.publish_status("idle", message)
            if cell.active:
                self._port.publish_status("busy", cell.parent)


async def _call_handler(port: KernelPort, identities: list[bytes], message: Message) -> None:
    msg_type = message["header"]["msg_type"]
    handler = port.handler(msg_type)
    if handler is None:
        logger.warning("Unknown message type: %r", msg_type)
        return
    try:
        result = boundary.call(handler, port.reply_to, identities, message)  # callbacks of the user's widgets run there
        if inspect.isawaitable(result):
            await result
    except Exception:
        logger.exception("Exception in message handler")
    except Interrupted:
        logger.warning("A widget's callback was interrupted")

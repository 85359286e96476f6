"""The smallest ground on which nbagent owns something: cells, a SIGINT and a shell stream, without a kernel.

Cells, foregrounds, gate and interrupts are nbagent's own. In place of ipykernel stand a stream in memory, whose
receiver can be replaced, and a port to it; in place of IPython's shell its event manager, which tells of a cell's
beginning and end in the same order.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

from IPython.core.events import EventManager, available_events
from jupyter_client.session import Session as Signer

from nbagent.kernel.cells import Cells
from nbagent.kernel.foreground import Foregrounds
from nbagent.kernel.ports import Message
from nbagent.kernel.superseding import Silencer

_signer = Signer(key=b"interrupts")


class MemoryStream:
    """As much of a ZMQStream as the gate uses."""

    def __init__(self) -> None:
        self.queued: list[list[Any]] = []
        self._recv_callback: Callable[[list[Any]], Any] = self.queued.append

    def on_recv(self, callback: Callable[[list[Any]], Any], copy: bool = True) -> None:
        """Replace the receiver."""
        self._recv_callback = callback


class MemoryPort:
    """A kernel without sockets; implements `nbagent.kernel.ports.KernelPort`."""

    version = "memory"
    kernel = None
    reply_to = None

    def __init__(self) -> None:
        self.session = _signer
        self.stream = MemoryStream()
        self.request: Message = {}
        self.statuses: list[str] = []
        self.handlers: dict[str, Callable[..., Any]] = {}

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The running loop."""
        return asyncio.get_running_loop()

    def handler(self, msg_type: str) -> Callable[..., Any] | None:
        """What a test registered."""
        return self.handlers.get(msg_type)

    def parent(self) -> Message:
        """The request that is executing."""
        return self.request

    def publish_status(self, state: str, parent: Message) -> None:
        """Note it."""
        self.statuses.append(state)

    def send(self, msg_type: str, content: dict[str, Any]) -> Any:
        """A message from the front end, taken by whatever receives on the stream."""
        frames = self.session.serialize(self.session.msg(msg_type, content))
        return self.stream._recv_callback([_Frame(frame) for frame in frames])


class _Frame:
    """As much of a zmq.Frame as a Session reads."""

    def __init__(self, data: bytes) -> None:
        self.bytes = self.buffer = data


class _Watched(Foregrounds):
    """Foregrounds that say when their handler of SIGINT has run."""

    def __init__(self, cells: Cells, port: MemoryPort, silencer: Silencer, handled: Callable[[], None]) -> None:
        self._handled = handled
        super().__init__(cells, port, silencer)

    def _on_interrupt(self) -> None:
        super()._on_interrupt()
        self._handled()


class Ground:
    """One kernel's worth of cells.

    Parameters
    ----------
    handled
        Called in nbagent's handler of SIGINT, after it has taken note.

    Attributes
    ----------
    faults
        What IPython would have shown as an error in one of nbagent's own hooks.
    """

    def __init__(self, handled: Callable[[], None]) -> None:
        self.faults: list[str] = []
        shell: Any = SimpleNamespace(custom_exceptions=(), CustomTB=None, last_execution_succeeded=True)
        shell.showtraceback = lambda: self.faults.append("a hook of nbagent's raised")
        shell.events = self._events = EventManager(shell, available_events)
        self.port = MemoryPort()
        self.cells = Cells(shell, self.port)
        self.foregrounds = _Watched(self.cells, self.port, Silencer(shell), handled)
        self.cells.on_begin(self.foregrounds.begin_cell)
        self.cells.on_end(self.foregrounds.end_cell)
        self.cells.attach()
        self.receiver = self.port.stream._recv_callback

    async def execute(self, code: Callable[[], Awaitable[Any]]) -> str:
        """Execute a cell as IPython does, in this task; the name of the exception that it ended with, or ""."""
        header = {"msg_id": uuid.uuid4().hex, "msg_type": "execute_request"}
        self.port.request = {"header": header, "content": {"allow_stdin": False}, "metadata": {"cellId": "a"}}
        info = object()
        self._events.trigger("pre_execute")
        self._events.trigger("pre_run_cell", info)
        ended = ""
        try:
            await code()
        except (Exception, KeyboardInterrupt, asyncio.CancelledError) as error:
            ended = type(error).__name__
        self._events.trigger("post_execute")
        self._events.trigger("post_run_cell", SimpleNamespace(info=info, error_in_exec=None))
        return ended

    def close(self) -> None:
        """Detach."""
        self.cells.detach()
        self.foregrounds.close()

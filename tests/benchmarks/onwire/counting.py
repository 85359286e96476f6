"""A real kernel and a bare socket on its IOPub: every raw frame of a cell counted, from its busy to its idle.

Headers, signatures, a widget's opening and its patches count, and the static output that is kept. Above: `wire`.
"""

from __future__ import annotations

import ast
import contextlib
import time
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import zmq
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

BOUND = 600.0
"""Seconds that a cell may take."""
FIRST = (b"## F", b"<h2>F", b"```p")
"""The first piece of a text, as it is written or rendered."""


@dataclass(slots=True)
class Traffic:
    """What one cell published.

    Attributes
    ----------
    text, size
        Bytes of the text that was shown; bytes of all frames.
    messages
        How many.
    cpu, seconds
        The kernel process's CPU seconds, and the clock's.
    first_ms
        Milliseconds from the first piece to the arrival of the first message that holds it; None where none shows it.
    """

    text: int
    size: int
    messages: int
    cpu: float
    seconds: float
    first_ms: float | None

    @property
    def factor(self) -> float:
        """Bytes on the wire for each byte of text."""
        return self.size / self.text if self.text else 0.0


@contextmanager
def kernel(*sources: str) -> Generator[Counting]:
    """A kernel that has executed `sources`."""
    manager = KernelManager()
    manager.start_kernel()
    client = manager.client()
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    tap = context.socket(zmq.SUB)
    try:
        tap.setsockopt(zmq.RCVHWM, 0)
        tap.setsockopt(zmq.SUBSCRIBE, b"")
        tap.connect(f"tcp://{manager.ip}:{manager.iopub_port}")
        client.start_channels()
        client.wait_for_ready(timeout=60)
        counting = Counting(client, tap)
        for source in sources:
            counting.run(source)
        yield counting
    finally:
        client.stop_channels()
        tap.close(0)
        context.term()
        manager.shutdown_kernel(now=True)


class Counting:
    """A kernel whose cells are counted."""

    def __init__(self, client: BlockingKernelClient, tap: zmq.Socket[bytes]) -> None:
        self._client, self._tap = client, tap

    def run(self, code: str) -> None:
        """Execute a cell that does not count."""
        self._cell(code, {})

    def measure(self, call: str) -> Traffic:
        """Execute a cell that leaves `cpu`, `seconds`, `first` and `text`."""
        names = ("cpu", "seconds", "first", "text")
        told, size, messages, at = self._cell(call, {name: name if name != "text" else "len(text)" for name in names})
        first_ms = (at - told["first"]) * 1e3 if at else None
        return Traffic(told["text"], size, messages, told["cpu"], told["seconds"], first_ms)

    def _cell(self, code: str, wanted: dict[str, str]) -> tuple[dict[str, Any], int, int, float]:
        asked = self._client.execute(code, user_expressions=wanted)
        size, messages, at = self._drain(asked)
        reply: Any = self._client.get_shell_msg(timeout=BOUND)
        while reply["parent_header"].get("msg_id") != asked:
            reply = self._client.get_shell_msg(timeout=BOUND)
        content = reply["content"]
        if content["status"] != "ok":
            raise RuntimeError("\n".join(content.get("traceback", [])))
        told = content["user_expressions"]
        return {name: ast.literal_eval(one["data"]["text/plain"]) for name, one in told.items()}, size, messages, at

    def _drain(self, asked: str) -> tuple[int, int, float]:
        """Count until the idle of the request `asked`; every frame counts, the topic too."""
        size = messages = 0
        at = 0.0
        deadline = time.monotonic() + BOUND
        unpack: Any = self._client.session.unpack
        while self._tap.poll(int(max(deadline - time.monotonic(), 0) * 1000)):
            frames = self._tap.recv_multipart()
            start = frames.index(b"<IDS|MSG>") + 2
            size += sum(map(len, frames))
            messages += 1
            header = unpack(frames[start])
            ends = header["msg_type"] == "status" and b'"idle"' in frames[start + 3]
            if ends and unpack(frames[start + 1]).get("msg_id") == asked:
                return size, messages, at
            if not at and header["msg_type"] != "execute_input" and shows(frames[start + 3 :]):
                at = time.time()
        raise TimeoutError("the kernel did not become idle")


def shows(frames: list[bytes]) -> bool:
    """Whether a message, its deflated buffers included, holds the first piece."""
    for frame in frames:
        content = frame
        with contextlib.suppress(zlib.error):
            content = zlib.decompress(frame)
        if any(first in content for first in FIRST):
            return True
    return False

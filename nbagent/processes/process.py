"""A command that is started, fed, heard and ended, with all that it started.

Used by command hooks, by `shell`, and by whoever needs a process for work that must be stoppable. `Process.run` belongs
on a thread of its own (`nbagent.toolsets.threads.run_process`). A thread and not asyncio's subprocesses, since those
need a child watcher that a loop on another thread may lack, and leave the end of a process to a loop that may be closed
before. It guarantees, however the command ends and whoever gives up on it:

- nothing waits for the command longer than its time; one that reads no stdin, closes it early, or says more than
  `LIMIT` blocks nobody;
- its process group (a session of its own, so that no interrupt of the kernel reaches it) is ended, by SIGTERM and
  `GRACE` seconds later by SIGKILL; the process is reaped and its pipes are closed when `run` returns;
- it does not outlive this process, even a killed one: a shell of one line holds the other end of a pipe (`_Lifeline`),
  and ends the group when the pipe ends unasked. Not PR_SET_PDEATHSIG: that needs code between fork and exec. Where what
  leaves its group must end too, `watch` stands between, and its stdin is that pipe.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

LIMIT = 1 << 20
"""Bytes that a command may say."""
GRACE = 1.0
"""Seconds between SIGTERM and SIGKILL."""
_AFTER_KILL = 0.5
"""Seconds that the system has to end what was killed."""
_TICK = 0.05
"""Seconds between two looks at whether it was given up, or has ended while something it started holds its pipes."""
_PIECE = 65536


@dataclass(frozen=True, slots=True)
class Ended:
    """How it went: `cut` says why it was ended from here, ``""`` where it ended by itself with `code`."""

    code: int
    stdout: bytes
    stderr: bytes
    cut: str = ""


class Process:
    """One run of a command; `stop` belongs to any thread.

    Parameters
    ----------
    command, env, cwd
        What is run, and where.
    stdin
        What it reads. None: its stdin stays open and silent until it has ended, for a command that watches by it
        whether this process lives.
    seconds
        That it has.
    hear
        Takes what it says, stdout and stderr in one, as it comes, on the thread of `run`. None: both are kept, and of
        stdout `LIMIT` at most.
    """

    def __init__(
        self,
        command: Sequence[str],
        env: Mapping[str, str],
        stdin: bytes | None,
        seconds: float,
        *,
        cwd: str | None = None,
        hear: Callable[[bytes], None] | None = None,
    ) -> None:
        self._command = list(command)
        self._env = dict(env)
        self._cwd = cwd
        self._stdin = None if stdin is None else memoryview(stdin)
        self._seconds = seconds
        self._hear = hear
        self._stopping = threading.Event()
        self._said: dict[str, bytearray] = {"stdout": bytearray(), "stderr": bytearray()}

    def stop(self) -> None:
        """Nobody wants its answer any more."""
        self._stopping.set()

    def run(self) -> Ended:
        """Start it, and wait until it and all that it started has ended.

        Raises
        ------
        OSError
            It cannot be started.
        """
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            self._command,
            bufsize=0,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe if self._hear is None else subprocess.STDOUT,
            env=self._env,
            cwd=self._cwd,
            start_new_session=True,
        )
        try:
            lifeline = _Lifeline(process.pid if self._stdin is not None else None)
            try:
                cut = self._exchange(process, time.monotonic() + self._seconds)
            finally:
                end_group(process)
                lifeline.close()
        finally:
            for stream in (process.stdin, process.stdout, process.stderr):
                _close(stream)
        return Ended(process.returncode, bytes(self._said["stdout"]), bytes(self._said["stderr"]), cut)

    def _exchange(self, process: subprocess.Popen[bytes], deadline: float) -> str:
        """Feed it and hear it until it has ended; why it has to be ended, or ``""``."""
        with selectors.DefaultSelector() as selector:
            stdin = None if self._stdin is None else process.stdin
            for name, stream in (("stdin", stdin), ("stdout", process.stdout), ("stderr", process.stderr)):
                if stream is None:
                    continue
                os.set_blocking(stream.fileno(), False)
                selector.register(stream, selectors.EVENT_WRITE if name == "stdin" else selectors.EVENT_READ, name)
            while selector.get_map():
                ready = selector.select(_TICK)
                if cut := self._cut(deadline):
                    return cut
                if not ready and process.poll() is not None:
                    return ""
                for key, _ in ready:
                    if not self._step(key):
                        selector.unregister(key.fileobj)
                        _close(key.fileobj)  # pyright: ignore[reportArgumentType]
        while process.poll() is None:
            if cut := self._cut(deadline):
                return cut
            self._stopping.wait(_TICK / 10)
        return ""

    def _cut(self, deadline: float) -> str:
        if self._stopping.is_set():
            return "it was given up"
        if time.monotonic() >= deadline:
            return f"it took longer than {self._seconds:g} s"
        return f"it said more than {LIMIT >> 20} MiB" if len(self._said["stdout"]) > LIMIT else ""

    def _step(self, key: selectors.SelectorKey) -> bool:
        """Write or read a piece; whether there may be more."""
        try:
            if key.data == "stdin" and self._stdin is not None:
                self._stdin = self._stdin[os.write(key.fd, self._stdin[:_PIECE]) :]
                return bool(self._stdin)
            piece = os.read(key.fd, _PIECE)
        except BlockingIOError:
            return True
        except OSError:  # it reads no more
            return False
        if self._hear is not None:
            self._hear(piece)
        elif key.data == "stdout" or len(self._said["stderr"]) < LIMIT:
            self._said[key.data] += piece
        return bool(piece)


def _close(stream: IO[bytes] | None) -> None:
    if stream is not None:
        with contextlib.suppress(OSError):
            stream.close()


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End the process and its group, and reap it; idempotent."""
    process.poll()
    for number, patience in ((signal.SIGTERM, GRACE), (signal.SIGKILL, _AFTER_KILL)):
        if not _signal(process.pid, number):
            break
        _await_end(process, time.monotonic() + patience)
    process.wait()


def _await_end(process: subprocess.Popen[bytes], deadline: float) -> None:
    pause = 0.001
    while _lives(process.pid) and time.monotonic() < deadline:
        time.sleep(pause)
        pause = min(2 * pause, _TICK)
        process.poll()  # not reaped, it would still count as one of the group


def _signal(group: int, number: int) -> bool:
    """Signal the group; whether there was anybody."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):  # PermissionError: on macOS, a group of none but zombies
        return False
    return True


def _lives(group: int) -> bool:
    """Whether any process of the group still runs.

    A container's first process may never reap what falls to it, and a zombie can be signalled as any other: where there
    is a /proc, it tells them apart.
    """
    if not _signal(group, 0):
        return False
    try:
        processes = [entry for entry in os.listdir("/proc") if entry.isdigit()]
    except OSError:
        return True
    return any(_runs_in(group, entry) for entry in processes)


def _runs_in(group: int, process: str) -> bool:
    try:
        with open(f"/proc/{process}/stat", "rb") as stat:
            state, _, of = stat.read().rpartition(b")")[2].split()[:3]
    except (OSError, ValueError):  # it has just ended
        return False
    return int(of) == group and state not in (b"Z", b"X")


class _Lifeline:
    """Ends a process group when this process ends without having closed it, by whatever means; None needs no such."""

    _WATCH = 'read line || { kill -TERM "-$1"; sleep 1; kill -KILL "-$1"; } 2>/dev/null'

    def __init__(self, group: int | None) -> None:
        null = subprocess.DEVNULL
        self._watcher: subprocess.Popen[bytes] | None = None
        if group is None:
            return
        with contextlib.suppress(OSError):  # no shell: then the command has this process's own care alone
            self._watcher = subprocess.Popen(
                ["/bin/sh", "-c", self._WATCH, "nbagent-lifeline", str(group)],
                bufsize=0, stdin=subprocess.PIPE, stdout=null, stderr=null, env={"PATH": os.defpath}, cwd="/",
                start_new_session=True,
            )  # fmt: skip

    def close(self) -> None:
        """The group has ended."""
        if self._watcher is not None and self._watcher.stdin is not None:
            with contextlib.suppress(OSError):
                self._watcher.stdin.write(b"done\n")
            _close(self._watcher.stdin)
            self._watcher.wait()

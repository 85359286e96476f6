"""The process between kernel and MCP server, so that no server outlives its kernel: ``watch.py PARENT COMMAND …``

``watch.py --deaf PARENT COMMAND …`` is for a command that is nobody's server: it reads nothing, and no report of its
end is added to what it says.

Run as a script by the interpreter, with the standard library alone. It starts the command, which inherits its stdout
and stderr, and hands on what arrives on stdin. When stdin ends (the connection is closed, or the kernel is gone, even
killed) or the parent changes, the server's stdin is closed, then it is asked to end, then it is killed: within 1.8 s,
less than the 2 s after which the `mcp` library loses patience. When the server ends by itself, what it started ends
with it.

Grandchildren are found although they leave the process group: on Linux this process is the "subreaper" that orphans
below it fall to, and /proc tells who they are. Elsewhere the process group is all that can be reached.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable

EOF_GRACE = 1.0  # seconds for the server to end after its stdin did
TERM_GRACE = 0.6  # seconds more after SIGTERM
PARENT_POLL = 1.0  # seconds between two looks at the parent, which cover a server that does not read its stdin
EXIT_MARK = "\x1enbagent server exited with "  # the last line on stderr, which the kernel's side reads
DEAF = "--deaf"
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of linux/prctl.h


def _adopt_orphans() -> None:
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)


def _descendants() -> list[int]:
    """All processes below this one, by /proc; empty where there is none."""
    children: dict[int, list[int]] = {}
    with contextlib.suppress(OSError):
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                with contextlib.suppress(OSError), open(f"/proc/{entry}/stat", "rb") as stat:
                    fields = stat.read().rpartition(b")")[2].split()
                    if fields[0] != b"Z":
                        children.setdefault(int(fields[1]), []).append(int(entry))
    found: list[int] = []
    todo = [os.getpid()]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


def _signal_all(number: int) -> None:
    """Signal each process below this one, once; without /proc the group, which has this process in it, too."""
    if sys.platform == "linux":
        for pid in _descendants():
            with contextlib.suppress(OSError):
                os.kill(pid, number)
    else:
        with contextlib.suppress(OSError):
            os.killpg(os.getpgrp(), number)


def _reap(server: int, status: int | None) -> int | None:
    """Wait for whatever ended; the server's exit status, once it is known."""
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if ended[0] == server:
                status = os.waitstatus_to_exitcode(ended[1])
    return status


def _end_all(server: int, status: int | None, told: Callable[[int | None], None]) -> int | None:
    """End everything below this process: SIGTERM, a moment, SIGKILL; `told` hears how the server ended."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _signal_all(signal.SIGTERM)
    deadline = time.monotonic() + TERM_GRACE
    while time.monotonic() < deadline and _descendants():
        status = _reap(server, status)
        time.sleep(0.01)
    status = _reap(server, status)
    told(status)
    for _ in range(5):  # again, for what was started in between
        if sys.platform == "linux" and not _descendants():
            break
        _signal_all(signal.SIGKILL)
        time.sleep(0.01)
        status = _reap(server, status)
    return status


def _report(status: int | None) -> None:
    with contextlib.suppress(OSError):
        os.write(2, f"{EXIT_MARK}{-signal.SIGKILL if status is None else status}\n".encode())


def _copy(target: int, ended: threading.Event, woken: int) -> None:
    """Hand stdin on to the server until either of them ends."""
    with contextlib.suppress(OSError):
        while data := os.read(0, 65536):
            view = memoryview(data)
            while view:
                view = view[os.write(target, view) :]
    with contextlib.suppress(OSError):
        os.close(target)
    ended.set()
    with contextlib.suppress(OSError):
        os.write(woken, b"e")


def _silent(status: int | None) -> None:
    """Nobody reads a report."""


def _start(command: list[str], deaf: bool) -> tuple[int, int]:
    """Start the server; its process id, and the end of the pipe that is its stdin, where it has one."""
    read, write = (os.open(os.devnull, flags) for flags in (os.O_RDONLY, os.O_WRONLY)) if deaf else os.pipe()
    actions = [(os.POSIX_SPAWN_DUP2, read, 0), (os.POSIX_SPAWN_CLOSE, write)]
    pid = os.posix_spawnp(
        command[0], command, os.environ, file_actions=actions, setsigdef=[signal.SIGPIPE, signal.SIGTERM]
    )
    os.close(read)
    return pid, write


def main() -> int:
    """Run the command until it, stdin or the parent ends; its exit status."""
    deaf = sys.argv[1] == DEAF
    parent, command = int(sys.argv[1 + deaf]), sys.argv[2 + deaf :]
    asked, ended = threading.Event(), threading.Event()
    wake, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, lambda number, frame: asked.set())
    signal.signal(signal.SIGCHLD, lambda number, frame: None)  # so that it writes to the wakeup pipe
    _adopt_orphans()
    try:
        server, stdin = _start(command, deaf)
    except OSError as error:
        report = "" if deaf else f"\n{EXIT_MARK}127"
        print(f"{command[0]}: {error.strerror}{report}", file=sys.stderr, flush=True)
        return 127
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # so that the kernel sees the end of the server's own stdout
    threading.Thread(target=_copy, args=(stdin, ended, woken), daemon=True).start()
    status = _end_all(server, _watch(server, parent, asked, ended, wake), _silent if deaf else _report)
    return 137 if status is None else status if status >= 0 else 128 - status


def _watch(server: int, parent: int, asked: threading.Event, ended: threading.Event, wake: int) -> int | None:
    """Until the server has ended, or has to: its exit status, or None while it runs."""
    status: int | None = None
    deadline: float | None = None
    while (status := _reap(server, status)) is None and not asked.is_set() and os.getppid() == parent:
        if ended.is_set() and deadline is None:
            deadline = time.monotonic() + EOF_GRACE
        timeout = PARENT_POLL if deadline is None else deadline - time.monotonic()
        if timeout <= 0:
            break
        if select.select([wake], [], [], timeout)[0]:
            os.read(wake, 512)
    return status


if __name__ == "__main__":
    os._exit(main())  # not sys.exit: the copying thread may be blocked in a read

"""The one door to ipykernel: what nbagent borrows from it, behind one Protocol.

Kernels differ in one thing that matters here: which ZMQ stream feeds the main shell. Before 7, and without the thread
for subshells, it is the shell's own; since 7 a thread reads that socket and hands the messages for the main shell
through an inproc pair. Each way is one small class, chosen once, by `open_port`, by what the kernel has and not by its
number.

`BORROWED` lists every private or undocumented name, with why, since when, and when it can go. A name that is gone
raises `UnsupportedKernel` at load; it never fails silently while a person waits for an answer. Above: `gate`,
`shutdown`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from nbagent.errors import UnsupportedKernel

Message = dict[str, Any]
"""A deserialized message: header, parent_header, metadata, content, buffers."""


@dataclass(frozen=True, slots=True)
class Borrowed:
    """A name that is not ours: its path from the kernel, which kernels have it, and why it is needed."""

    path: str
    versions: str
    why: str
    until: str


BORROWED = (
    Borrowed("session.feed_identities", "6, 7", "split a message from its routing", "documented"),
    Borrowed("session.deserialize", "6, 7", "read a header without consuming its signature", "documented"),
    Borrowed("shell_handlers", "6, 7", "hand a comm message to the kernel's own handler", "a public dispatch"),
    Borrowed("get_parent", "6, 7", "the executing request: its cellId, its allow_stdin", "documented"),
    Borrowed("_publish_status", "6, 7", "idle for a comm message, busy for its cell", "the kernel answers busy comms"),
    Borrowed("_publish_status_and_flush", "7", "busy again after a subshell's idle", "the server asks for the cell's"),
    Borrowed("io_loop", "6, 7", "the loop to finalize runs on", "documented"),
    Borrowed("do_shutdown", "6, 7", "finalize runs while the loop still runs", "a shutdown event"),
    Borrowed("iopub_thread.schedule", "6, 7", "what was shown last is sent before SIGTERM ends us", "documented"),
    Borrowed("shell_stream._recv_callback", "6", "the receiver to hand everything else to", "a public hook"),
    Borrowed(
        "shell_channel_thread.manager._shell_channel_to_main.to_stream._recv_callback",
        "7",
        "the same, where a thread reads the shell's socket",
        "a public hook",
    ),
    Borrowed(
        "shell_channel_thread.manager.get_subshell_to_shell_channel_socket",
        "7",
        "where replies of the main shell go",
        "a public dispatch",
    ),
)
"""Every name borrowed from ipykernel; a canary test resolves each on every supported version."""


_ABSENT = object()


class KernelPort(Protocol):
    """What nbagent needs of a kernel, whatever its version."""

    version: str
    kernel: Any

    @property
    def session(self) -> Any:
        """The jupyter_client Session that signs and checks messages."""
        ...

    @property
    def stream(self) -> Any:
        """The ZMQStream that feeds the main shell."""
        ...

    @property
    def reply_to(self) -> Any:
        """Where a handler of the main shell sends its replies."""
        ...

    def handler(self, msg_type: str) -> Callable[..., Any] | None:
        """The kernel's handler of a request."""
        ...

    def parent(self) -> Message:
        """The request that the shell is handling, as seen from this context."""
        ...

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The main loop, once the kernel has started."""
        ...

    def publish_status(self, state: str, parent: Message) -> None:
        """Say busy or idle on IOPub, under the header of `parent`."""
        ...


class _Port:
    """What the two ways have in common."""

    def __init__(self, kernel: Any, version: str) -> None:
        self.kernel = kernel
        self.version = version

    @property
    def session(self) -> Any:
        return self.kernel.session

    def handler(self, msg_type: str) -> Callable[..., Any] | None:
        handlers: Mapping[str, Callable[..., Any]] = self.kernel.shell_handlers
        return handlers.get(msg_type)

    def parent(self) -> Message:
        return self.kernel.get_parent("shell") or {}

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        io_loop = getattr(self.kernel, "io_loop", None)
        return getattr(io_loop, "asyncio_loop", None)

    def publish_status(self, state: str, parent: Message) -> None:
        self.kernel._publish_status(state, "shell", parent)


class SingleShellPort(_Port):
    """The main thread reads the shell's socket itself (ipykernel 6, and 7 without its thread)."""

    @property
    def stream(self) -> Any:
        return self.kernel.shell_stream

    @property
    def reply_to(self) -> Any:
        return self.kernel.shell_stream


class SubshellPort(_Port):
    """A thread reads the shell's socket and feeds the main shell through an inproc pair (ipykernel 7)."""

    @property
    def stream(self) -> Any:
        return self.kernel.shell_channel_thread.manager._shell_channel_to_main.to_stream

    @property
    def reply_to(self) -> Any:
        return self.kernel.shell_channel_thread.manager.get_subshell_to_shell_channel_socket(None)


def missing(kernel: Any, subshells: bool) -> str | None:
    """The first borrowed name that `kernel` lacks, or None.

    A kernel that loads extensions before it starts has its streams not yet made, or without a receiver.
    """
    started = _started(kernel)
    other = "6" if subshells else "7"
    for borrowed in BORROWED:
        if borrowed.versions == other or (borrowed.path == "io_loop" and not started):
            continue
        value = kernel
        for name in borrowed.path.split("."):
            value = getattr(value, name, _ABSENT)
            if value is None and not started:
                break
            if value is None or value is _ABSENT:
                return borrowed.path
    return None


def _started(kernel: Any) -> bool:
    """Whether `kernel` reads requests: it sets its loop just before; and one that handles a request surely does.

    By its loop alone, a kernel that no longer has that name would pass for one that has not started.
    """
    if getattr(kernel, "io_loop", None) is not None:
        return True
    get_parent = getattr(kernel, "get_parent", None)
    return get_parent is not None and bool(get_parent("shell"))


def open_port(shell: Any) -> KernelPort | None:
    """The port to the kernel that `shell` belongs to; None for a shell without one (a terminal).

    Raises
    ------
    UnsupportedKernel
        A name in `BORROWED` is gone.
    """
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        return None
    version = _version_of_ipykernel()
    subshells = getattr(kernel, "shell_channel_thread", None) is not None
    if gone := missing(kernel, subshells):
        raise UnsupportedKernel(version, gone)
    return SubshellPort(kernel, version) if subshells else SingleShellPort(kernel, version)


def _version_of_ipykernel() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("ipykernel")
    except PackageNotFoundError:
        return "(not installed)"

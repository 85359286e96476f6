"""Replies of ipykernel 7.0 to 7.3, sent so that no request is left unread.

These versions read the shell's socket through a ZMQStream and send replies on the same socket past it. Such a send
swallows the socket's edge-triggered wake-up: a request that arrives at that instant (a click, a re-execution) lies
unread until the next one comes (ipykernel's issue 1554, mended in 7.4 by its pull request 1529). A person would see a
form that does not answer. While nbagent is attached, replies go through the stream, as 7.4 sends them.

Below: nothing of nbagent. Above: `attachment`. It can go when 7.4 is the oldest kernel that is supported.
"""

from __future__ import annotations

from typing import Any


class StreamReplies:
    """Sends the replies of one kernel through its shell's stream; a kernel that does so itself is left alone."""

    def __init__(self, kernel: Any) -> None:
        self._kernel = kernel
        self._manager: Any = None
        self._socket: Any = None

    def attach(self) -> None:
        """Send replies through the stream from now on."""
        thread = getattr(self._kernel, "shell_channel_thread", None)
        manager = getattr(thread, "manager", None)
        stream = getattr(self._kernel, "shell_stream", None)
        if (
            manager is None
            or stream is None
            or hasattr(manager, "_shell_stream")
            or not hasattr(manager, "_shell_socket")
        ):
            return
        self._manager, self._socket = manager, manager._shell_socket
        manager._shell_socket = _ThroughStream(self._socket, stream)

    def detach(self) -> None:
        """Put the socket back."""
        if self._manager is not None:
            self._manager._shell_socket = self._socket
            self._manager = None


class _ThroughStream:
    """The shell's socket, but for sending; used on the thread that the stream belongs to."""

    def __init__(self, socket: Any, stream: Any) -> None:
        self._socket = socket
        self._stream = stream

    def send_multipart(self, parts: list[Any], **options: Any) -> None:
        self._stream.send_multipart(parts, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

"""What a tool prints goes to the card of its own call, and to no cell.

While any call runs, a proxy stands in front of `sys.stdout` and of `sys.stderr`. It asks a context variable whose
code is printing: a call's (its thread, its task, and the tasks that these started) writes to that call's card; all
other code writes to the stream that was there before, as if the proxy were not. The calls are counted, and the last
one puts back exactly what the first one found.

Something that replaces `sys.stdout` in the meantime (`redirect_stdout`, IPython's `%%capture`) is left in place;
should it later put the proxy back, that goes on passing everything through.
"""

from __future__ import annotations

import io
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, TextIO

from nbagent import boundary

Emit = Callable[[str, Mapping[str, Any] | None], None]

_emit: ContextVar[Emit | None] = ContextVar("nbagent_emit", default=None)
_lock = threading.Lock()
_count = 0
_proxies: dict[str, _Proxy] = {}
_retired: deque[_Proxy] = deque(maxlen=16)
"""Kept alive, as are the proxies: `print` holds no reference to the `sys.stdout` that it found (CPython before 3.14),
so one that is freed on another thread in the midst of it takes the process with it."""


class _Proxy(io.TextIOBase):
    """A text stream that sends each write to its writer's call, or on to `original`."""

    def __init__(self, original: TextIO) -> None:
        self.original = original

    def write(self, s: str, /) -> int:
        emit = _emit.get()
        if emit is None:
            return self.original.write(s)
        if not isinstance(s, str):  # pyright: ignore[reportUnnecessaryIsInstance]  (as every text stream does)
            raise TypeError(f"write() argument must be str, not {type(s).__name__}")
        if s:
            emit(s, None)
            boundary.checkpoint()
        return len(s)

    def writelines(self, lines: Iterable[str], /) -> None:  # type: ignore[override]
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        if _emit.get() is None:
            self.original.flush()

    def close(self) -> None:
        """Nothing: neither the end of this proxy nor a tool closes the stream behind it."""

    @property
    def closed(self) -> bool:
        return self.original.closed

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self.original.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        return self.original.errors

    def fileno(self) -> int:
        return self.original.fileno()

    def isatty(self) -> bool:
        return _emit.get() is None and self.original.isatty()

    def writable(self) -> bool:
        return True

    def __getattr__(self, name: str) -> Any:
        return getattr(self.original, name)


def _install() -> None:
    global _count
    with _lock:
        if _count == 0:
            for name in ("stdout", "stderr"):
                setattr(sys, name, _proxy_of(name, getattr(sys, name)))
        _count += 1


def _remove() -> None:
    global _count
    with _lock:
        _count -= 1
        if _count == 0:
            for name, proxy in _proxies.items():
                if getattr(sys, name) is proxy:
                    setattr(sys, name, proxy.original)


def _proxy_of(name: str, original: TextIO) -> _Proxy:
    """The proxy in front of `original`: the one of the last time, if it stood in front of the same stream."""
    proxy = _proxies.get(name)
    if proxy is None or proxy.original is not original:
        if proxy is not None:
            _retired.append(proxy)
        proxy = _proxies[name] = _Proxy(original)
    return proxy


@contextmanager
def captured(emit: Emit) -> Generator[None]:
    """Send what this context prints to `emit` (text, None), from whatever thread or task it runs in."""
    _install()
    token = _emit.set(emit)
    try:
        yield
    finally:
        _remove()
        with suppress(ValueError):  # a coroutine whose loop died is ended by the garbage collector, in another context
            _emit.reset(token)

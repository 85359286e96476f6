"""A run on disk: an observer that appends every event to a file, one line of JSON each, and the way back.

The recorder is given to `Runtime(observers=[…])` or `run_stream(observers=[…])`; `read_jsonl` replays the file, without
a model and without tools. Several runs, runtimes and processes may record into one file.

It guarantees: the events of a stream and of all that are nested in it, in the order in which they became true; they are
in the file when the stream has ended, and else at most `INTERVAL` after they happened, so that a crash loses no more;
nothing is written, waited for or raised on the loop's thread. A full disk costs events, which are counted and logged,
and leaves no half of a line. The file holds whatever was said, so only its owner may read it (mode 0600).

The writer's thread and the open file last as long as there is something to write.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sys
import threading
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from nbagent.events.catalogue import Event, StreamStopped
from nbagent.events.decoding import from_dict

logger = logging.getLogger("nbagent")

INTERVAL = 0.1
"""Seconds that events wait for others to be written with."""


class JsonlRecorder:
    """Appends every event that it observes to a file.

    Parameters
    ----------
    path
        The file; made where there is none.

    Raises
    ------
    OSError
        It cannot be written.

    Examples
    --------
    >>> from nbagent.events import JsonlRecorder, read_jsonl  # doctest: +SKIP
    >>> runtime = Runtime(agent, observers=[JsonlRecorder("run.jsonl")])  # doctest: +SKIP
    >>> [event.type for event in read_jsonl("run.jsonl")]  # doctest: +SKIP
    """

    lossless = True

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).absolute()
        os.close(_opened(self.path))
        self._lock = threading.Lock()
        self._queue: deque[Event] = deque()
        self._ends: list[asyncio.Future[None]] = []
        self._hurry = threading.Event()
        self._writer: threading.Thread | None = None
        self._lost = 0

    def __repr__(self) -> str:
        return f"JsonlRecorder({str(self.path)!r})"

    async def on_event(self, event: Event) -> None:
        """Take one event; the last of a stream waits until all are in the file."""
        end = asyncio.get_running_loop().create_future() if isinstance(event, StreamStopped) else None
        with self._lock:
            self._queue.append(event)
            if end is not None:
                self._ends.append(end)
                self._hurry.set()
            if self._writer is None or not self._writer.is_alive():  # a fork leaves a dead one
                self._writer = threading.Thread(target=self._write, name="nbagent recorder", daemon=True)
                self._writer.start()
        if end is not None:
            await end

    # ------------------------------------------------------------ on the writer's thread

    def _write(self) -> None:
        file = -1
        last = False
        while not last:
            self._hurry.wait(INTERVAL)
            with self._lock:
                batch, ends = list(self._queue), self._ends
                self._queue.clear()
                self._ends = []
                self._hurry.clear()
            file = self._append(file, batch)
            with self._lock:
                last = not self._queue and bool(ends or not batch)
                if last:
                    self._writer = None
                    _close(file)
            for end in ends:
                _resolve(end)

    def _append(self, file: int, batch: Sequence[Event]) -> int:
        """Append the batch; the open file, or -1 where it must be opened anew."""
        if not batch:
            return file
        try:
            file = file if file >= 0 else _opened(self.path)
            _append_whole(file, "".join(f"{event.to_json()}\n" for event in batch).encode())
        except Exception as error:  # the outermost edge of the thread
            if not self._lost:
                logger.warning("%r: events are lost: %s", self, error)
            self._lost += len(batch)
            _close(file)
            return -1
        if self._lost:
            logger.warning("%r: %d events were lost; it writes again", self, self._lost)
            self._lost = 0
        return file


def read_jsonl(path: str | os.PathLike[str]) -> Iterator[Event]:
    """The events that were recorded in a file, in order.

    Parameters
    ----------
    path
        A file of `JsonlRecorder`.

    Yields
    ------
    Event
        Equal to the one that was recorded, as far as JSON can say what it held. A last line that a crash cut short is
        left out, which is logged.

    Raises
    ------
    ValueError
        A line is no event; the message has its number.
    """
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                event = _event(line)
            except ValueError as error:
                if not line.endswith(b"\n") and _is_cut_short(line):
                    logger.warning("%s: line %d was cut short and is left out", os.fspath(path), number)
                    return
                raise ValueError(f"{os.fspath(path)}, line {number}: {error}") from None
            yield event


def _event(line: bytes) -> Event:
    try:
        values = json.loads(line)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if not isinstance(values, dict):
        raise ValueError("not an event of nbagent: no JSON object")
    return from_dict(cast("dict[str, Any]", values))


def _is_cut_short(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return True
    return False


def _resolve(end: asyncio.Future[None]) -> None:
    def resolve() -> None:
        if not end.done():
            end.set_result(None)

    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
        end.get_loop().call_soon_threadsafe(resolve)


def _close(file: int) -> None:
    if file >= 0:
        with contextlib.suppress(OSError):  # what was written is written
            os.close(file)


def _opened(path: Path) -> int:
    """The file, open at its end, where a new line begins."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        with _locked(file):
            _mend(file)
    except BaseException:
        os.close(file)
        raise
    return file


def _append_whole(file: int, block: bytes) -> None:
    """Append the block, or nothing of it."""
    with _locked(file):
        before = os.fstat(file).st_size
        rest = memoryview(block)
        try:
            while rest:
                rest = rest[os.write(file, rest) :]
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(file, before)
            raise


def _mend(file: int) -> None:
    """End a last line that a crash has cut short; one of ours, which nobody could read, is taken away."""
    size = os.fstat(file).st_size
    if not size or os.pread(file, 1, size - 1) == b"\n":
        return
    last = _last_line(file, size)
    ours = last[:8] == b'{"type": '[: len(last[:8])]
    if ours and _is_cut_short(last):
        logger.warning("a recording was cut short: its last line, of %d bytes, is taken away", len(last))
        os.ftruncate(file, size - len(last))
    else:
        os.write(file, b"\n")


def _last_line(file: int, size: int) -> bytes:
    last = b""
    while size and b"\n" not in last:
        length = min(size, 1 << 16)
        size -= length
        last = os.pread(file, length, size) + last
    return last.rpartition(b"\n")[2]


@contextlib.contextmanager
def _locked(file: int) -> Generator[None]:
    """No other recorder of the same file is in mid-line meanwhile; where the file system has no locks, hope."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    with contextlib.suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_UN)

"""The store's own thread: all that takes the disk's time is done there, in the order in which it was asked for.

Below `sqlite`, which hands it jobs; beside `database`, whose connection it holds. A daemon thread, so that it keeps no
process alive; what is queued when the process ends is written first, within `AT_EXIT` seconds.

It guarantees: nobody who hands over a job waits for it; a job that fails ends nothing but itself; a cancelled waiter
cancels no job.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from nbagent.errors import StoreError
from nbagent.store.database import Connection, naming, opened

logger = logging.getLogger("nbagent")
T = TypeVar("T")

AT_EXIT = 2.0
"""Seconds that the end of the process grants to what is still to be written."""

_Job = tuple[Callable[[Connection], Any], "Future[Any]"]


class Writer:
    """A thread with a connection and a queue.

    Raises
    ------
    StoreError
        The file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._process = os.getpid()
        self._closing = threading.Lock()
        self._closed = False
        self._ended: Future[None] = Future()
        opening: Future[None] = Future()
        self._thread = threading.Thread(target=self._work, args=(opening,), name="nbagent-store", daemon=True)
        self._thread.start()
        opening.result()
        atexit.register(self._at_exit)

    @property
    def closed(self) -> bool:
        """Whether it takes no more jobs: it was closed, or belongs to the process that this one was forked from."""
        return self._closed or os.getpid() != self._process

    def submit(self, job: Callable[[Connection], T]) -> Future[T]:
        """Do `job` after all that was submitted before.

        Raises
        ------
        StoreError
            The store is closed.
        """
        done: Future[T] = Future()
        done.set_running_or_notify_cancel()  # who waits for it may stop to wait, but stops nothing
        with self._closing:
            if self.closed:
                raise StoreError(f"the store of {self.path} is closed in this process; make another SQLiteStore")
            self._jobs.put((job, done))
        return done

    def close(self) -> None:
        """Take no more jobs, and end when those are done that are queued; never waits; idempotent."""
        with self._closing:
            if not self.closed:
                self._closed = True
                self._jobs.put(None)
        atexit.unregister(self._at_exit)

    async def ended(self) -> None:
        """Wait until a closed writer has done what it had to do."""
        if os.getpid() == self._process:
            await result_of(self._ended)

    def _at_exit(self) -> None:
        self.close()
        if os.getpid() == self._process:
            self._thread.join(AT_EXIT)

    def _work(self, opening: Future[None]) -> None:
        try:
            connection = opened(self.path)
        except BaseException as error:
            opening.set_exception(error)
            return
        opening.set_result(None)
        try:
            while (job := self._jobs.get()) is not None:
                self._do(connection, *job)
                del job
        finally:
            with contextlib.suppress(StoreError), naming(self.path):
                connection.close()
            self._ended.set_result(None)

    def _do(self, connection: Connection, job: Callable[[Connection], T], done: Future[T]) -> None:
        try:
            with naming(self.path):
                result = job(connection)
        except BaseException as error:  # the thread's edge: it lives on, and whoever waits is told
            done.set_exception(error)
        else:
            done.set_result(result)


async def result_of(done: Future[T]) -> T:
    """The result of a job, awaited on any loop; a loop that is closed meanwhile is not told, which is no error."""
    loop = asyncio.get_running_loop()
    arrived = asyncio.Event()

    def tell(_: Future[T]) -> None:
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(arrived.set)

    done.add_done_callback(tell)
    await arrived.wait()
    return done.result()

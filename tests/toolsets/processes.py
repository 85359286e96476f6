"""Looking at processes: which are below one, and that they end."""

from __future__ import annotations

import os
import select
import time

import psutil


def below(pid: int | None = None) -> list[int]:
    """The living processes below `pid` (this one by default)."""
    children = psutil.Process(pid).children(recursive=True)
    return [child.pid for child in children if child.status() != psutil.STATUS_ZOMBIE]


def end_within(seconds: float, pids: list[int]) -> bool:
    """Whether all of them end in that time; the kernel tells, so nothing is polled."""
    deadline = time.monotonic() + seconds
    for pid in pids:
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            if not select.select([handle], [], [], max(0.0, deadline - time.monotonic()))[0]:
                return False
        finally:
            os.close(handle)
    return True

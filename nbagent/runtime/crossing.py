"""The one way by which other threads reach a run's loop.

Used by `run`, `bridge` and `output`. A loop that is closed has nobody left to tell, so that is no error; any other
refusal of the loop is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any


def call_soon(loop: asyncio.AbstractEventLoop, function: Callable[..., Any], *args: Any) -> None:
    """Call `function` on the loop's thread as soon as the loop can; from any thread. Nothing where it is closed."""
    try:
        loop.call_soon_threadsafe(function, *args)
    except RuntimeError:
        if not loop.is_closed():
            raise

"""Work that calls the user's objects before a run begins, on a daemon thread: one that hangs does not hold the kernel.

Here no run is under way that an interrupt could end, and a repr may be anybody's code. It has a few seconds; then the
thread is told to end, which it does at its next bytecode, and the user is told in one line. Below: `kernel.toolset`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from nbagent.errors import UsageError
from nbagent.kernel.toolset.beside import PATIENCE, end

T = TypeVar("T")


def aside(work: Callable[[], T], what: str) -> T:
    """What `work` returns or raises.

    Raises
    ------
    UsageError
        It took too long, or ended with what is no Exception (SystemExit); the message begins with `what`.
    """
    outcome: list[Any] = []
    failure: list[BaseException] = []

    def on_thread() -> None:
        try:
            outcome.append(work())
        except BaseException as error:  # raised again on the caller's thread, SystemExit of `end` apart
            failure.append(error)

    thread = threading.Thread(target=on_thread, name="nbagent-prompt", daemon=True)
    thread.start()
    thread.join(PATIENCE)
    if thread.is_alive():
        end([thread.ident] if thread.ident is not None else [])
        raise UsageError(f"{what} takes more than {PATIENCE:.0f} s to be shown: its own code hangs")
    if failure and not isinstance(failure[0], Exception):  # a repr's SystemExit is no wish of the user's to leave
        raise UsageError(f"{what} could not be read: {type(failure[0]).__name__}: {failure[0]}")
    if failure:
        raise failure[0]
    return outcome[0]

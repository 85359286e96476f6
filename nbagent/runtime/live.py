"""The live streams of this process, whichever runtime began them.

Above `stream`, so that it can name what it returns; `registry`, below `run`, keeps the list. Who unloads, shuts down or
looks on finds here every stream whose producer has not ended.
"""

from __future__ import annotations

from nbagent.runtime import registry
from nbagent.runtime.stream import Stream


def live_runs() -> tuple[Stream, ...]:
    """The streams of this process whose producers have not ended, oldest first."""
    return tuple(run.handle for run in registry.owned())

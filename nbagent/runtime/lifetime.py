"""The two ends of a stream's life in one place (P1): what enters the bridge is certain to be finalized.

Entered by `run`'s own task before anything can fail. It says which end each way out is: returning, an error of the
model, of a toolset or of ours, an interrupt, a cancellation. It lets pass only what belongs to the task or the process
(a cancellation, a KeyboardInterrupt where nobody owns the signal); whatever else left the run, SystemExit included,
would end the loop and with it the kernel.
"""

from __future__ import annotations

import logging
from types import TracebackType

from nbagent import boundary
from nbagent.errors import Interrupted, ModelError, NbagentError, ToolsUnavailable
from nbagent.runtime.life import Life

logger = logging.getLogger("nbagent")


class Lifetime:
    """Enters the bridge, and finalizes whatever ends the block: the two ends of a stream in one place."""

    def __init__(self, run: Life) -> None:
        self._run = run

    def __enter__(self) -> None:
        run = self._run
        if run.stopped is None:
            run.runtime.bridge.enter(run)
            run.record_start()
        run.started.set()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        run = self._run
        match error:
            case None:
                run.finalize("completed")
            case ModelError():
                run.fail(error.code, str(error))
                run.finalize("error", str(error))
            case ToolsUnavailable():
                run.fail("tools_unavailable", str(error))
                run.finalize("error", str(error))
            case NbagentError():
                run.fail("config_error", str(error))
                run.finalize("error", str(error))
            case Interrupted():
                run.finalize("interrupted")
                return True
            case KeyboardInterrupt():
                run.finalize("interrupted")
            case BaseException() if boundary.is_failure(error):
                logger.error("stream %s failed", run.id, exc_info=error)
                run.fail("internal_error", boundary.told(error))
                run.finalize("error", boundary.told(error))
            case _:
                run.finalize("cancelled")
        return error is not None and boundary.is_failure(error)

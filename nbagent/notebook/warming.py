"""Heavy imports, made beside the cells as soon as the extension is loaded.

What forms and MCP need is imported where it is first used, and that is in mid-run, on the loop: measured, jsonschema
alone takes a second of processor time where rfc3987-syntax is installed (JupyterLab brings it, and it compiles a
grammar on import), and the libraries that render markdown a fifth of one. For so long no interrupt could be heard and
no text could move. So a daemon thread imports them first, and who is about to put a form awaits the thread.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import Future
from importlib import import_module
from typing import Literal

Stage = Literal["forms", "servers"]

MODULES: dict[Stage, tuple[str, ...]] = {
    "forms": (
        "nbagent.widgets.transcript",
        *("markdown_it", "linkify_it", "nh3", "pygments.lexers"),  # what the first text is rendered by
        *("jsonschema", "nbagent.schema", "nbagent.widgets.forms"),
    ),
    "servers": ("nbagent.toolsets.mcp.connection", "mcp.client.stdio", "mcp.client.streamable_http"),
}
"""What each stage imports, in this order."""

logger = logging.getLogger("nbagent")


class Warming:
    """The imports of one loaded extension; they begin with it, and are not waited for at exit."""

    def __init__(self) -> None:
        self._stages: dict[Stage, Future[None]] = {stage: Future() for stage in MODULES}
        for future in self._stages.values():
            future.set_running_or_notify_cancel()  # an awaiter that is cancelled must not cancel it for the others
        threading.Thread(target=self._import, name="nbagent warming", daemon=True).start()

    async def done(self, stage: Stage) -> None:
        """Wait until the modules of `stage` are there, or could not be imported: then whoever needs them says so."""
        if not self._stages[stage].done():
            await asyncio.shield(asyncio.wrap_future(self._stages[stage]))

    def _import(self) -> None:
        for stage, modules in MODULES.items():
            try:
                for module in modules:
                    import_module(module)
            except Exception:
                logger.debug("could not import %s beforehand", stage, exc_info=True)
            self._stages[stage].set_result(None)

"""The loaded extension: everything that nbagent puts on a shell, in one order, and takes off in the reverse.

`magics` says what the magics are and what the cell transformer calls; this puts them on together with the kernel
part, the completion and the two small changes to IPython's reading and echoing. Closing ends what still runs before
anything is taken off, within bounds: the loop is re-entered for it only where a run or a server has to be waited for.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
from collections.abc import Callable, Coroutine, Generator, Mapping
from typing import TYPE_CHECKING, Any

from nbagent import kernel
from nbagent.errors import UsageError
from nbagent.kernel import reentry
from nbagent.notebook import completion
from nbagent.notebook.backgrounds import show_background_agents
from nbagent.notebook.echo import Echo
from nbagent.notebook.questionmark import AskingPrompt
from nbagent.notebook.workspace import Workspace

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.core.magic import Magics

    from nbagent.agent import Agent

logger = logging.getLogger("nbagent")

UNLOADING = 8.0
"""Seconds that runs and servers have to end when the extension is unloaded."""

EXITING = 1.0
"""The same when a terminal's IPython exits."""


class Extension:
    """nbagent on one shell.

    Parameters
    ----------
    shell
        IPython's.
    entry, awaited
        What the transformer calls in the place of which magics; see `nbagent.kernel.attach`.
    magics
        Makes the magics.
    bundled
        See `Workspace`.

    Raises
    ------
    UnsupportedKernel
        This ipykernel lacks a name that nbagent borrows; the shell is as it was.
    """

    def __init__(
        self,
        shell: InteractiveShell,
        *,
        entry: str,
        awaited: Mapping[str, str],
        magics: Callable[[Extension], Magics],
        bundled: Mapping[str, Callable[[], Agent]],
    ) -> None:
        self.shell = shell
        self.echo = Echo(shell)
        with contextlib.ExitStack() as stack:
            attachment = kernel.attach(shell, entry=entry, magics=awaited)
            stack.callback(attachment.detach)
            has_kernel = getattr(shell, "kernel", None) is not None
            self.workspace = Workspace(shell, attachment, has_kernel, bundled)
            show_background_agents(self.workspace)
            stack.callback(attachment.on_shutdown(self.workspace.aclose))
            stack.enter_context(_entry_of(shell.input_transformer_manager.token_transformers, AskingPrompt))
            stack.callback(completion.install(self.workspace))
            self.echo.attach()
            stack.callback(self.echo.detach)
            stack.enter_context(_registered(shell, magics(self)))
            if not has_kernel:
                atexit.register(self._at_exit)
                stack.callback(atexit.unregister, self._at_exit)
            self._stack = stack.pop_all()

    def close(self) -> None:
        """End what still runs, then take everything off; idempotent."""
        if not self.workspace.idle:
            self._finalize()
        self._stack.close()

    def _finalize(self) -> None:
        """End runs and servers before this returns; where the loop cannot be re-entered, beside the cells."""
        try:
            reentry.run(_bounded(self.workspace.aclose(), UNLOADING))
        except UsageError:
            asyncio.get_running_loop().create_task(_bounded(self.workspace.aclose(), UNLOADING), name="nbagent unloads")

    def _at_exit(self) -> None:
        if not self.workspace.idle:
            reentry.run(_bounded(self.workspace.aclose(), EXITING))


async def _bounded(work: Coroutine[Any, Any, None], seconds: float) -> None:
    try:
        await asyncio.wait_for(work, seconds)
    except TimeoutError:
        logger.warning("not everything ended within %g s", seconds)


@contextlib.contextmanager
def _registered(shell: InteractiveShell, magics: Magics) -> Generator[None]:
    """The magics, for the time of a block; what they shadowed is there again after it."""
    manager: Any = shell.magics_manager
    before = {kind: dict(known) for kind, known in manager.magics.items()}
    shell.register_magics(magics)
    try:
        yield
    finally:
        manager.registry.pop(type(magics).__name__, None)
        kept: list[Any] = (
            shell.configurables
        )  # where IPython keeps every set of magics, and with it all of ours, for ever
        if magics in kept:
            kept.remove(magics)
        for kind, own in magics.magics.items():
            for name in own:
                manager.magics[kind].pop(name, None)
                if name in before[kind]:
                    manager.magics[kind][name] = before[kind][name]


@contextlib.contextmanager
def _entry_of(entries: list[Any], value: Any) -> Generator[None]:
    """An entry of a list, for the time of a block."""
    entries.append(value)
    try:
        yield
    finally:
        if value in entries:
            entries.remove(value)

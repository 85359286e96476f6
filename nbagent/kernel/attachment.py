"""All of the kernel's part on one shell, put on in one order and taken off in the reverse.

`attach` is idempotent: `%load_ext` twice changes nothing. `detach` puts back everything that was found: the display
publisher, the transformer, the hooks, the receiver, the signals. What is attached owns nothing until a run comes to
the foreground. Below: every other module of this package but `reentry`. Above: `reentry`, `notebook`, `magics`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from typing import Any

from nbagent.kernel.cells import Cell, Cells
from nbagent.kernel.displays import Displays
from nbagent.kernel.foreground import Foreground, Foregrounds
from nbagent.kernel.latecomers import Latecomers
from nbagent.kernel.ports import KernelPort, open_port
from nbagent.kernel.replies import StreamReplies
from nbagent.kernel.shutdown import Callback, Shutdown
from nbagent.kernel.subshells import BusyAgain
from nbagent.kernel.superseding import Silencer
from nbagent.kernel.transformer import Transformer

_current: Attachment | None = None


class Attachment:
    """nbagent's hold on one shell; made by `attach`.

    Parameters
    ----------
    shell
        IPython's shell; a terminal's has no kernel, and then there is no gate.
    port
        The way to its kernel, or None.
    entry, magics
        See `nbagent.kernel.transformer.Transformer`.
    """

    def __init__(self, shell: Any, port: KernelPort | None, entry: str, magics: Mapping[str, str]) -> None:
        self.shell = shell
        self.port = port
        self._cells = Cells(shell, port)
        self._foregrounds = Foregrounds(self._cells, port, Silencer(shell))
        self._cells.on_begin(self._foregrounds.begin_cell)
        self._cells.on_end(self._foregrounds.end_cell)
        self._transformer = Transformer(shell, self._cells, entry, magics)
        self._displays = Displays(shell)
        self._latecomers = Latecomers()
        self._shutdown = Shutdown(port) if port is not None else None
        self._replies = StreamReplies(port.kernel) if port is not None else None
        self._busy_again = BusyAgain(port, self._foregrounds.running) if port is not None else None
        self._stack = ExitStack()

    def cell(self) -> Cell | None:
        """The executing cell that the caller is a part of; None in a background task, a callback, a silent request."""
        return self._cells.cell()

    def executing(self) -> Cell | None:
        """The cell that executes on this thread, whoever asks; None between cells."""
        return self._cells.executing_cell()

    def at_next_cell(self, callback: Callable[[], None]) -> None:
        """Call `callback()` once, at the beginning of the next cell."""
        self._cells.on_next(callback)

    def foreground(self) -> AbstractContextManager[Foreground]:
        """Own the comm gate and SIGINT for a run: enter this before anything else of the run is acquired."""
        return self._foregrounds.acquire()

    def request(self) -> AbstractContextManager[None]:
        """Take a widget's callback on an idle kernel for a cell: it keeps the kernel as busy as one."""
        return self._cells.request()

    @property
    def idle(self) -> bool:
        """Whether no run is in the foreground and nothing is owned."""
        return self._foregrounds.idle

    def on_shutdown(self, callback: Callback) -> Callable[[], None]:
        """Await `callback` when the kernel is shut down, all of them within a second; returns how to withdraw it."""
        return self._shutdown.add(callback) if self._shutdown is not None else lambda: None

    def detach(self) -> None:
        """Put everything back, from the outside in; idempotent."""
        global _current
        self._stack.close()
        if _current is self:
            _current = None

    def attach(self) -> None:
        """Put everything on; `attach` of this module calls it once."""
        with ExitStack() as stack:
            stack.callback(self._foregrounds.close)
            self._cells.attach()
            stack.callback(self._cells.detach)
            self.shell.input_transformers_post.append(self._transformer)
            stack.callback(self._remove_transformer)
            self._displays.attach()
            stack.callback(self._displays.detach)
            self._latecomers.attach()
            stack.callback(self._latecomers.detach)
            if self._replies is not None:
                self._replies.attach()
                stack.callback(self._replies.detach)
            if self._busy_again is not None:
                self._busy_again.attach()
                stack.callback(self._busy_again.detach)
            if self._shutdown is not None:
                self._shutdown.attach()
                stack.callback(self._shutdown.detach)
            self._stack = stack.pop_all()

    def _remove_transformer(self) -> None:
        if self._transformer in self.shell.input_transformers_post:
            self.shell.input_transformers_post.remove(self._transformer)


def attach(shell: Any, *, entry: str, magics: Mapping[str, str]) -> Attachment:
    """Attach nbagent to `shell`; where it is attached already, return that attachment.

    Parameters
    ----------
    shell
        ``get_ipython()``.
    entry
        An expression for the function that awaited magics call, such as
        ``"__import__('nbagent.magics', fromlist=['_'])._awaited"``.
    magics
        Which magics are awaited: their names, each with ``line``, ``cell`` or ``line_cell``.

    Raises
    ------
    UnsupportedKernel
        This ipykernel lacks a name that nbagent borrows; nothing was attached.
    """
    global _current
    if _current is not None and _current.shell is shell:
        return _current
    if _current is not None:
        _current.detach()
    attachment = Attachment(shell, open_port(shell), entry, magics)
    attachment.attach()
    _current = attachment
    return attachment


def current() -> Attachment | None:
    """The attachment in force, or None."""
    return _current

"""When a magic's `Result` is not echoed: a transcript stands in the cell, and its text need not be said twice.

A bare `%agent_run …` is no expression for whoever wrote it, but to IPython its value is the cell's. At the top of a
cell the input transformer knows which is which. Elsewhere (`%time %agent_run …`, a cell of `%autoawait off`) the
instruction after the call tells whether the value is used, and where even that does not tell, the value's first echo
in the same execution is left out.
"""

from __future__ import annotations

import dis
from types import FrameType
from typing import TYPE_CHECKING, Any

from nbagent.session import Result

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_DROPPED = ("POP_TOP", "PRINT_EXPR", "CALL_INTRINSIC_1")


def is_bare(frame: FrameType | None) -> bool:
    """Whether the call that `frame` is in the midst of is a statement of its own, whose value nobody takes."""
    if frame is None:
        return False
    following = (i for i in dis.get_instructions(frame.f_code) if i.offset > frame.f_lasti and i.opname != "CACHE")
    return next((i.opname in _DROPPED for i in following), False)


class Echo:
    """Leaves out the first echo of given results in one shell."""

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell
        self._silenced: list[Result] = []
        formatters: Any = shell.display_formatter
        self._formatter = formatters.ipython_display_formatter

    def attach(self) -> None:
        """Begin; a display of a `Result` asks here first."""
        self._formatter.for_type(Result, self._display)
        self._shell.events.register("post_run_cell", self._end_cell)

    def detach(self) -> None:
        """End."""
        self._formatter.pop(Result, None)
        self._shell.events.unregister("post_run_cell", self._end_cell)

    def silence(self, result: Result) -> Result:
        """`result`, whose first echo in this execution is left out."""
        self._silenced.append(result)
        return result

    def _display(self, result: Result) -> bool | None:
        """IPython's question whether an object displays itself; returning says yes, NotImplementedError no."""
        for index, silenced in enumerate(self._silenced):
            if silenced is result:
                del self._silenced[index]
                return
        raise NotImplementedError

    def _end_cell(self, *_: object) -> None:
        self._silenced.clear()

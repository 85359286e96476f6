"""The execute_requests that wait behind the running cell, as the gate has seen them come.

A cell that is executed again five times while its form waits has five requests in the kernel's queue when it ends. The
second of them is superseded by the third before it begins: without this memory its form would wait for an answer,
with the other three behind it. Requests are handled in the order in which they came, so that whatever stands before
one that begins was executed, or aborted, before. Below: nothing of nbagent. Above: `foreground`.
"""

from __future__ import annotations


class Queued:
    """Requests of one kernel's main shell that have come and not begun, oldest first."""

    def __init__(self) -> None:
        self._cells: dict[str, str | None] = {}

    def __bool__(self) -> bool:
        return bool(self._cells)

    def came(self, msg_id: str, cell_id: str | None) -> None:
        """A request arrived, for the cell of that id where it names one."""
        self._cells[msg_id] = cell_id

    def began(self, msg_id: str | None) -> None:
        """A request is executed: it and what came before it wait no more. One that was not seen came before all."""
        if msg_id in self._cells:
            handled = list(self._cells)
            for earlier in handled[: handled.index(msg_id) + 1]:
                del self._cells[earlier]

    def names(self, cell_id: str | None) -> bool:
        """Whether a request for that cell waits."""
        return cell_id is not None and cell_id in self._cells.values()

    def clear(self) -> None:
        """Forget all."""
        self._cells.clear()

"""The one door to IPython's display machinery, typed: show something, and replace it later wherever it stands.

IPython's own functions are untyped; the rest of `notebook` sees only these. A `View` is made in the cell that is
to keep it: its updates find that output by their display id, whatever runs when they come.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Mapping, Sequence
from html import escape
from typing import Any

from nbagent.notebook.ground import Cell
from nbagent.plaintext import plain

Document = Mapping[str, Any]
"""MIME types and data, as a notebook keeps them."""


class View:
    """One output of a cell, which can be replaced.

    Parameters
    ----------
    content
        An object that IPython can display, or a document.
    """

    def __init__(self, content: Any) -> None:
        from IPython import display

        handle: Any = display.display(content, display_id=True, raw=isinstance(content, Mapping))  # pyright: ignore
        assert handle is not None
        self._handle = handle

    def replace(self, document: Document) -> None:
        """Put `document` in the output's place."""
        self._handle.update(document, raw=True)


@contextlib.contextmanager
def within(cell: Cell | None) -> Generator[None]:
    """Display in the output of `cell`, also where it has ended; for a block that does not await.

    Since ipykernel 7 a task displays in the cell that began it anyway; before, in whichever cell came last.
    """
    from IPython.core.getipython import get_ipython

    shell: Any = get_ipython()  # pyright: ignore[reportUnknownVariableType]
    publisher: Any = getattr(shell, "display_pub", None)
    before: Mapping[str, Any] = getattr(publisher, "parent_header", {})
    wanted = cell.msg_id if cell is not None else None
    if cell is None or wanted is None or wanted == before.get("msg_id"):
        yield
        return
    publisher.set_parent(cell.parent)
    try:
        yield
    finally:
        publisher.set_parent({"header": before})


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, empty: str) -> Document:
    """Rows under a head, as text/plain and text/html, made plain; `empty` where there are none."""
    rows = [[plain(cell) for cell in row] for row in rows]
    if not rows:
        return {"text/plain": empty, "text/html": f"<p>{escape(empty)}</p>"}
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (head, *rows))
    cells = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    titles = "".join(f"<th>{cell}</th>" for cell in head)
    return {
        "text/plain": "\n".join(line.rstrip() for line in lines),
        "text/html": f"<table><thead><tr>{titles}</tr></thead><tbody>{cells}</tbody></table>",
    }


def show(document: Document) -> None:
    """Display `document` in the cell that runs now."""
    from IPython import display

    display.display(document, raw=True)  # pyright: ignore

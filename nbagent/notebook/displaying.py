"""The one door to IPython's display machinery, typed: show something, and replace it later wherever it stands.

IPython's own functions are untyped; the rest of `notebook` sees only these. A `View` is made in the cell that is
to keep it: its updates find that output by their display id, whatever runs when they come. While another cell executes
they go out in its name, and what ended between two cells once more in the next one's: nbclient, and with it papermill,
hears nothing else, and finds the output all the same.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Mapping, Sequence
from html import escape
from typing import Any

from nbagent.notebook.ground import Cell, Ground
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
        self._transient = {"display_id": handle.display_id}
        self._publisher = _publisher()

    def replace(self, document: Document, executing: Cell | None) -> None:
        """Put `document` in the output's place, in the name of the cell that executes, where one does.

        It goes where the output went: a `%%capture` in another cell does not get hold of it.
        """
        with within(executing):
            self._publisher.publish(dict(document), {}, transient=self._transient, update=True)


class Views:
    """Every output that shows one run, replaced together."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._views: list[View] = []

    def add(self, content: Any) -> None:
        """Show `content` in the cell that runs now."""
        self._views.append(View(content))

    def replace(self, document: Document) -> None:
        """Put `document` in the place of each."""
        executing = self._ground.executing()
        for view in self._views:
            view.replace(document, executing)

    def conclude(self, document: Document, *, heard: bool) -> None:
        """Put the last document there; `heard` says that a page listens, also between cells."""
        self.replace(document)
        if not heard and self._ground.executing() is None:
            self._ground.at_next_cell(lambda: self.replace(document))


@contextlib.contextmanager
def within(cell: Cell | None) -> Generator[None]:
    """Display in the output of `cell`, also where it has ended; for a block that does not await.

    Since ipykernel 7 a task displays in the cell that began it anyway; before, in whichever cell came last. The
    publisher's own `set_parent` would redirect other tasks and threads too.
    """
    publisher = _publisher()
    if cell is None or cell.msg_id is None or not hasattr(publisher, "register_hook"):
        yield
        return
    header: Mapping[str, Any] = cell.parent["header"]

    def redirect(message: dict[str, Any]) -> dict[str, Any]:
        return {**message, "parent_header": header}

    publisher.register_hook(redirect)
    try:
        yield
    finally:
        publisher.unregister_hook(redirect)


def _publisher() -> Any:
    """What publishes displays now: the kernel's own, or what captures a cell's."""
    from IPython.core.getipython import get_ipython

    shell: Any = get_ipython()  # pyright: ignore[reportUnknownVariableType]
    return shell.display_pub


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

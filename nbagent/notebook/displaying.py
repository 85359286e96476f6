"""The one door to IPython's display machinery, typed: show something, and replace it later wherever it stands.

IPython's own functions are untyped; the rest of `notebook` sees only these two. A `View` is made in the cell that is
to keep it: its updates find that output by their display id, whatever runs when they come.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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


def show(document: Document) -> None:
    """Display `document` in the cell that runs now."""
    from IPython import display

    display.display(document, raw=True)  # pyright: ignore

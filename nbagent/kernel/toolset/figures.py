"""Matplotlib's figures go to the card of the call that drew them.

With the inline backend pyplot keeps a figure until the cell ends, and then displays it in the cell: there it would
look like the user's own. So the figures that a call has opened are displayed and closed at the call's end; those that
were open before stay, for the user's cell. Other backends show their figures themselves. Below: nothing of nbagent;
matplotlib is not imported. Above: `execution`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any


def opened() -> frozenset[int]:
    """The figures that pyplot has open, by identity."""
    return frozenset(id(manager) for manager in _managers())


def flush(before: frozenset[int], display: Callable[[Any], None]) -> None:
    """Display and close the figures that were not open `before`; user code runs in it."""
    if not _inline():
        return
    for manager in _managers():
        if id(manager) not in before:
            try:
                display(manager.canvas.figure)
            finally:
                sys.modules["matplotlib._pylab_helpers"].Gcf.destroy(manager)


def _managers() -> list[Any]:
    helpers = sys.modules.get("matplotlib._pylab_helpers")
    return list(helpers.Gcf.get_all_fig_managers()) if helpers is not None else []


def _inline() -> bool:
    return "matplotlib.pyplot" in sys.modules and sys.modules["matplotlib"].get_backend().lower().endswith("inline")

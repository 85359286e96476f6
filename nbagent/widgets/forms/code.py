"""Code that a person is asked to approve: shown as code, and open to a change before it runs.

The view is highlighted, and characters that would not show are written as their numbers, so that nothing is approved
unseen; the editor holds the code itself. One of the two is seen at a time. Below: `markdown` (which highlights),
`parts`. Above: `approval`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets

from nbagent.plaintext import visible
from nbagent.widgets.forms.parts import Parts
from nbagent.widgets.markdown import highlight

_MOST = 20_000
_ROWS = range(3, 25)


class CodeEditor:
    """A view of code and an editor in its place.

    Parameters
    ----------
    code
        From anyone.
    parts
        Makes the widgets.
    changed
        Called at each change.

    Attributes
    ----------
    view, input
        The code to read, and the code to change.
    """

    def __init__(self, code: str, parts: Parts, changed: Callable[[], None]) -> None:
        self._offered = code.encode(errors="replace").decode()  # the wire carries no lone surrogate
        rows = min(max(code.count("\n") + 2, _ROWS.start), _ROWS.stop)
        self.view: Any = parts.make(ipywidgets.HTML, "nba-form-code", value=_shown(code))
        self.input: Any = parts.make(
            ipywidgets.Textarea,
            *("nba-field", "nba-json", "nba-form-editor", "nba-hidden"),
            description="Code",
            value=self._offered,
            rows=rows,
        )
        self.input.observe(lambda _: changed(), "value")  # pyright: ignore[reportUnknownLambdaType]

    @property
    def edited(self) -> str | None:
        """The code where it was changed, else None; a front end's line ends are no change."""
        value: str = self.input.value.replace("\r\n", "\n")
        return None if value == self._offered.replace("\r\n", "\n") else value

    def open(self) -> None:
        """Put the editor in the view's place."""
        self.view.add_class("nba-hidden")
        self.input.remove_class("nba-hidden")

    def clear(self) -> None:
        """Forget what was entered, and show again what was asked about."""
        self.view.remove_class("nba-hidden")
        self.input.add_class("nba-hidden")
        self.input.value = ""


def _shown(code: str) -> str:
    cut = f"\n… ({len(code) - _MOST:,} more characters are not shown; Edit shows them)" if len(code) > _MOST else ""
    lines = highlight(visible(code[:_MOST]), "python") + cut
    return f'<pre class="nba-code" dir="ltr" tabindex="0"><code>{lines}</code></pre>'

"""What a tool displays goes to the card of its own call, and to no cell.

IPython's display publisher is one object per shell, and where it publishes differs by kernel version, thread and task.
While `ports.current_call` is set in the context of whoever displays, the MIME bundle goes to that call instead, from
any thread that carries the context. An update of something displayed elsewhere still goes there, and `clear_output` in
a tool clears nothing, or it would wipe the transcript that the tool's card stands in. Below: `ports`. Above:
`attachment`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from nbagent import boundary
from nbagent.ports import current_call

_REMEMBERED = 1000


class Displays:
    """Stands in front of the display publisher of one shell."""

    def __init__(self, shell: Any) -> None:
        self._publisher = shell.display_pub
        self._before: dict[str, Any] = {}
        self._ours: dict[str, Any] = {"publish": self._publish, "clear_output": self._clear_output}
        self._redirected: deque[str] = deque(maxlen=_REMEMBERED)

    def attach(self) -> None:
        """Stand in front."""
        for name, ours in self._ours.items():
            self._before[name] = getattr(self._publisher, name)
            setattr(self._publisher, name, ours)

    def detach(self) -> None:
        """Step aside, unless somebody stands in front of us."""
        for name, ours in self._ours.items():
            before = self._before.pop(name, None)
            if before is not None and self._publisher.__dict__.get(name) is ours:
                delattr(self._publisher, name)
                if getattr(self._publisher, name) != before:
                    setattr(self._publisher, name, before)

    def _publish(self, data: Mapping[str, Any], metadata: Any = None, **options: Any) -> None:
        call = current_call.get()
        transient: Mapping[str, Any] = options.get("transient") or {}
        display_id = transient.get("display_id")
        if call is None or (options.get("update") and display_id not in self._redirected):
            self._before["publish"](data, metadata, **options)
            return
        if display_id is not None and display_id not in self._redirected:
            self._redirected.append(display_id)
        call.emit_output("", dict(data))
        boundary.checkpoint()

    def _clear_output(self, wait: bool = False) -> None:
        if current_call.get() is None:
            self._before["clear_output"](wait)

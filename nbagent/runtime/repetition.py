"""Notices an agent that goes round in circles: the same tool call, with the same arguments, over and over.

Asked by `loop` before it makes the calls of a message. A call counts as repeated as long as each message makes it
again; one that is left out once begins anew. Tools that are made to be called again and again, such as those that look
after background agents, say so by a true attribute `repeatable`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

from nbagent.runtime.toolbox import Toolbox
from nbagent.session import ToolCall

MOST = 5
"""How often a call may be made in a row before the user is asked."""


class Repetition:
    """The calls of one turn, as far as they repeat."""

    def __init__(self) -> None:
        self._times: Counter[str] = Counter()

    def of(self, calls: Sequence[ToolCall], tools: Toolbox) -> ToolCall | None:
        """The first of `calls` that is now to be made for the fifth time in a row, or None; then it counts anew."""
        made = Counter(_key(call) for call in calls if not getattr(tools.get(call.name), "repeatable", False))
        self._times = Counter({key: self._times[key] + times for key, times in made.items()})
        found = next((call for call in calls if self._times[_key(call)] >= MOST), None)
        if found is not None:
            self._times.clear()
        return found


def _key(call: ToolCall) -> str:
    return json.dumps([call.name, call.arguments], sort_keys=True, default=str)

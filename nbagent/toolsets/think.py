"""`ThinkToolset`: a place to think, for models that do not reason by themselves.

The thought stands in the history, as the argument of a call; nothing else happens. Below: `builtin`.
"""

from __future__ import annotations

from collections.abc import Sequence

from nbagent.ports import Tool, ToolContext, ToolResult
from nbagent.toolsets.builtin import WORDS, Arguments, BuiltinTool, BuiltinToolset, spec, told


class ThinkToolset(BuiltinToolset):
    """The tool ``think``.

    Examples
    --------
    >>> ThinkToolset().name
    'think'
    """

    name = "think"

    def __repr__(self) -> str:
        return "ThinkToolset()"

    def _tools(self) -> Sequence[Tool]:
        return (BuiltinTool(_THINK, self.name, _noted),)


async def _noted(arguments: Arguments, context: ToolContext) -> ToolResult:
    return ToolResult("Noted. Go on.")


_THINK = spec(
    "think",
    "Think something through before you act: what is known, what is missing, what the rules say, what follows. It gets "
    "no new information and changes nothing; the thought stays in this conversation.",
    {"thought": told(WORDS, "The thought.")},
)

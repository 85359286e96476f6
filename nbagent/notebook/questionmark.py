"""A prompt may end in a question mark.

IPython reads any line that ends in `?` as a request for help, so that `%agent_run helper what is it?` would show the
help of `it`. This transformer of tokens, placed before IPython's own, turns such a line into the call that it would
have been without the mark. `%agent_run?` and `%agent_run helper?` still ask for help.
"""

from __future__ import annotations

import re
import tokenize
from typing import Any

from IPython.core import inputtransformer2 as ipython

_HEAD = re.compile(r"([^%]*=\s*)?%agent_run\s+\S+\s+\S")
_CALL = re.compile(r"(?P<target>[^%]*=\s*)?%agent_run\s+(?P<line>.*\?)\s*$", re.DOTALL)


class AskingPrompt(ipython.TokenTransformBase):
    """`%agent_run AGENT …?`, alone or assigned, as a call of the magic."""

    priority = ipython.HelpEnd.priority - 1

    def __init__(self, start: tuple[int, int], end_line: int) -> None:
        super().__init__(start)
        self._first, self._column, self._last = start[0] - 1, start[1], end_line

    @classmethod
    def find(cls, tokens_by_line: list[list[Any]]) -> AskingPrompt | None:
        """The first such line, or None."""
        for tokens in tokens_by_line:
            spoken = [token for token in tokens if token.type not in (tokenize.INDENT, tokenize.DEDENT)]
            if len(spoken) > 2 and spoken[-2].string == "?" and _HEAD.match(spoken[0].line[spoken[0].start[1] :]):
                return cls(spoken[0].start, spoken[-2].start[0] - 1)
        return None

    def transform(self, lines: list[str]) -> list[str]:
        """The lines with the call in place of the magic."""
        text = " ".join(part.rstrip("\n").removesuffix("\\") for part in lines[self._first : self._last + 1])
        before, said = text[: self._column], _CALL.match(text[self._column :])
        assert said is not None
        call = f"{before}{said['target'] or ''}get_ipython().run_line_magic('agent_run', {said['line']!r})\n"
        return [*lines[: self._first], call, *lines[self._last + 1 :]]

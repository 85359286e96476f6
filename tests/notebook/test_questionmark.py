"""A prompt that ends in a question mark reaches the agent; asking for help still asks for help."""

from __future__ import annotations

from typing import Any

import pytest
from IPython.core.inputtransformer2 import TransformerManager

from nbagent.notebook.questionmark import AskingPrompt


def transformed(cell: str) -> str:
    manager: Any = TransformerManager()
    manager.token_transformers.append(AskingPrompt)
    return manager.transform_cell(cell)


def called(line: str) -> str:
    return f"get_ipython().run_line_magic('agent_run', {line!r})\n"


@pytest.mark.parametrize(
    "line", ["helper what is it?", "helper it's what?", "helper (what?", "-n helper really??", 'helper "x" is what?']
)
def test_a_prompt_may_end_in_a_question_mark(line: str) -> None:
    assert transformed(f"%agent_run {line}") == called(line)
    assert transformed(f"x = %agent_run {line}") == f"x = {called(line)}"


def test_in_a_block_and_over_a_continued_line() -> None:
    cell = "for i in range(2):\n    %agent_run helper tell \\\n  me more?\n    print(i)\n"
    expected = f"for i in range(2):\n    {called('helper tell    me more?')}    print(i)\n"
    assert transformed(cell) == expected


@pytest.mark.parametrize("cell", ["%agent_run?", "?%agent_run", "%agent_run helper?", "helper?", "%timeit x?"])
def test_help_is_still_help(cell: str) -> None:
    assert transformed(cell) == TransformerManager().transform_cell(cell)
    assert "pinfo" in transformed(cell)


def test_a_line_inside_a_string_stays() -> None:
    cell = 'x = """\n%agent_run helper what?\n"""\n'
    assert transformed(cell) == cell

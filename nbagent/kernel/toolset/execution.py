"""run_python: a piece of code in the user's namespace, as a cell would run it, but for the cell's own history.

It is transformed (magics, `!`), parsed and compiled as IPython does, and evaluated on the loop's thread: in a notebook
the kernel's main thread. Not by `run_cell`: that counts, writes In, Out and `_`, fires the events of a cell and
publishes to the cell that runs. Code that awaits at its top is awaited; between its steps other cells may run.

It guarantees: whatever the code raises, SystemExit included, is the call's error and nobody else's, but for an
interrupt, which ends the run; the user's namespace changes by what the code does, and by nothing else; what the code
shows goes to its card. Below: `steps`, `printed`, `tracebacks`, `figures`. Above: `toolset`.
"""

from __future__ import annotations
import __future__

import ast
import io
import itertools
import linecache
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, replace
from types import CodeType
from typing import Any

from nbagent import boundary
from nbagent.kernel.toolset import figures, tracebacks
from nbagent.kernel.toolset.printed import Printed
from nbagent.kernel.toolset.steps import Steps, awaits
from nbagent.ports import ToolContext, ToolResult, current_call
from nbagent.toolsets.capture import captured

_numbers = itertools.count(1)
_FUTURES = sum({getattr(__future__, name).compiler_flag for name in __future__.all_feature_names})
"""The flags of `from __future__ import …`, which a cell hands on to those after it."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """Code ready to run: its statements, and the expression at its end whose value is shown."""

    statements: CodeType | None
    value: CodeType | None

    def __iter__(self) -> Iterator[CodeType]:
        return (code for code in (self.statements, self.value) if code is not None)


async def run(code: str, shell: Any, context: ToolContext) -> ToolResult:
    """Run `code` in the namespace of `shell`, its output on the card of `context`.

    Raises
    ------
    Interrupted
        An interrupt stopped it.
    """
    printed = Printed(context.emit_output)
    steps = Steps(shell, printed)
    token = current_call.set(replace(context, emit_output=printed.write))
    try:
        with captured(printed.write):
            failed = await _tried(code, shell, steps, printed)
    finally:
        current_call.reset(token)
    text = printed.text.rstrip("\n")
    return ToolResult(text or "done, and it showed nothing", is_error=failed or steps.failed)


async def _tried(code: str, shell: Any, steps: Steps, printed: Printed) -> bool:
    """Run the code; whether it failed, which is then said on the card."""
    before = figures.opened()
    try:
        await _evaluated(steps.call(compiled, code, shell), shell, steps)
        steps.call(figures.flush, before, steps.display)
    except BaseException as error:  # the code's
        if not boundary.is_failure(error):
            raise
        if isinstance(error, SystemExit):
            printed.line("SystemExit: the code asked to exit; the kernel goes on.")
        else:
            printed.line(steps.call(tracebacks.formatted, error, shell))
        return True
    finally:
        steps.restore()
    return False


async def _evaluated(parts: Compiled, shell: Any, steps: Steps) -> None:
    value: Any = None
    for code in parts:
        value = steps.call(eval, code, shell.user_global_ns, shell.user_ns)
        if awaits(code):
            value = await steps.drive(value)
    if parts.value is not None:
        steps.call(steps.display, value)


def compiled(code: str, shell: Any) -> Compiled:
    """The code as IPython reads a cell, under a name of its own in tracebacks.

    Raises
    ------
    SyntaxError
        It is no Python, nor what IPython makes Python of.
    """
    source: str = shell.transform_cell(code)
    name = f"<agent code {next(_numbers)}>"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    tree: ast.Module = shell.transform_ast(ast.parse(source, name))
    # compiled by Python and not by the shell, which would remember a `from __future__` for the user's next cells
    flags: int = shell.compile.flags & _FUTURES | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    last = tree.body[-1] if tree.body else None
    value: CodeType | None = None
    statements: CodeType | None = None
    if isinstance(last, ast.Expr) and not _silenced(source):
        tree.body.pop()
        value = compile(ast.Expression(last.value), name, "eval", flags, dont_inherit=True)
    if tree.body:
        statements = compile(tree, name, "exec", flags, dont_inherit=True)
    return Compiled(statements, value)


def _silenced(source: str) -> bool:
    """Whether the last expression ends with a semicolon, which says that nobody wants to see it."""
    skipped = {tokenize.ENDMARKER, tokenize.NL, tokenize.NEWLINE, tokenize.COMMENT, tokenize.DEDENT}
    last = [token for token in tokenize.generate_tokens(io.StringIO(source).readline) if token.type not in skipped]
    return bool(last) and last[-1].string == ";"

"""Magics at the top of a cell become awaited calls, so that their streams run on the kernel's loop as part of the cell.

IPython turns `%agent_run …` into a call of `get_ipython().run_line_magic`, which is synchronous. Whether a cell is
asynchronous it decides by the transformed source, before any AST transformer sees it: so this is the last of the string
transformers, which reads the AST and replaces just those calls in the text, line for line.

It rewrites nothing unless all of this holds: autoawait is on, with asyncio; nothing executes on this thread (else it
is the body of `%%time`, `%%timeit`, `%%capture`, `%%prun`, which compile it as plain code); whoever asked can await
the result; await is legal at the place of the call; and the whole still compiles. Every other call stays what it was,
and runs by re-entry. Below: `cells`. Above: `attachment`.
"""

from __future__ import annotations

import ast
import inspect
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from types import FrameType
from typing import Any, cast

from nbagent.kernel.cells import Cells, current_task

_NO_AWAIT = (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


@dataclass(frozen=True, slots=True)
class _Call:
    """A magic's call in the transformed source."""

    node: ast.Call
    arguments: str
    bare: bool


class Transformer:
    """An entry of IPython's `input_transformers_post`.

    Parameters
    ----------
    entry
        An expression for the function that is called instead: ``entry(magic, line, body or None, bare)`` returns an
        awaitable. It is called in the frame of the cell's own code. `bare` says that the call is a statement by
        itself, whose value nobody reads.
    magics
        The names of the magics, each with its kind: ``line``, ``cell`` or ``line_cell``.
    """

    def __init__(self, shell: Any, cells: Cells, entry: str, magics: Mapping[str, str]) -> None:
        self._shell = shell
        self._cells = cells
        self._entry = entry
        self._magics = dict(magics)

    def __call__(self, lines: list[str]) -> list[str]:
        """The lines of a cell that IPython has transformed, with the magics' calls awaited."""
        source = "".join(lines)
        if not any(name in source for name in self._magics) or not self._may_await():
            return lines
        if _caller_cannot_await(inspect.currentframe()):
            return lines
        rewritten = self.rewrite(source)
        return lines if rewritten is None else rewritten.splitlines(keepends=True)

    def rewrite(self, source: str) -> str | None:
        """The source with its calls awaited, or None where there is none, or it would not compile."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the cell's own compilation reports them
            try:
                calls = list(self._calls(ast.parse(source)))
                if not calls:
                    return None
                rewritten = self._replace(source, calls)
                compile(rewritten, "<cell>", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
            except (SyntaxError, ValueError, RecursionError):
                return None
        return rewritten

    def _may_await(self) -> bool:
        from IPython.core import interactiveshell

        shell = self._shell
        asyncio_runner = getattr(interactiveshell, "_asyncio_runner", None)
        return bool(shell.autoawait) and shell.loop_runner is asyncio_runner and not self._cells.executing()

    def _calls(self, tree: ast.AST) -> list[_Call]:
        found: list[_Call] = []

        def visit(node: ast.AST, legal: bool, bare: bool = False) -> None:
            if legal and isinstance(node, ast.Call) and (arguments := self._match(node)) is not None:
                found.append(_Call(node, arguments, bare))
                return
            for name, value in ast.iter_fields(node):
                inner = _legal(node, name, legal)
                children: list[Any] = cast("list[Any]", value) if isinstance(value, list) else [value]
                for child in children:
                    if isinstance(child, ast.AST):
                        visit(child, inner, isinstance(node, ast.Expr))

        visit(tree, legal=True)
        return found

    def _match(self, call: ast.Call) -> str | None:
        """The arguments of the entry, as source, where `call` is one that IPython made of a magic of ours."""
        match call:
            case ast.Call(
                func=ast.Attribute(
                    value=ast.Call(func=ast.Name(id="get_ipython"), args=[], keywords=[]),
                    attr="run_line_magic" | "run_cell_magic" as how,
                ),
                keywords=[],
            ):
                pass
            case _:
                return None
        values = [a.value for a in call.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
        count = 2 if how == "run_line_magic" else 3
        if len(values) != count or len(call.args) != count:
            return None
        kind = self._magics.get(values[0], "")
        if ("line" if count == 2 else "cell") not in kind.split("_"):
            return None
        body = repr(values[2]) if count == 3 else "None"
        return f"{values[0]!r}, {values[1]!r}, {body}"

    def _replace(self, source: str, calls: list[_Call]) -> str:
        """Replace the calls from the last to the first; a call keeps its number of lines."""
        lines = [line.encode() for line in source.splitlines(keepends=True)]
        for call in sorted(calls, key=lambda c: (c.node.lineno, c.node.col_offset), reverse=True):
            node = call.node
            first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
            after = lines[last][node.end_col_offset or 0 :]
            text = f"(await {self._entry}({call.arguments}, {call.bare})" + "\n" * (last - first) + ")"
            lines[first : last + 1] = [lines[first][: node.col_offset] + text.encode() + after]
            lines = b"".join(lines).splitlines(keepends=True)
        return b"".join(lines).decode()


def _legal(node: ast.AST, name: str, legal: bool) -> bool:
    """Whether await is legal in the field `name` of `node`."""
    if isinstance(node, ast.AsyncFunctionDef):
        return True if name == "body" else legal
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return False if name == "body" else legal
    return False if isinstance(node, _NO_AWAIT) else legal


def _caller_cannot_await(frame: FrameType | None) -> bool:
    """Whether `transform_cell` was called by plain code while the loop runs, which could not await the cell."""
    if current_task() is None:
        return False
    transform_cell = frame.f_back if frame is not None else None
    caller = transform_cell.f_back if transform_cell is not None else None
    return caller is not None and not caller.f_code.co_flags & inspect.CO_COROUTINE

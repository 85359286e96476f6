"""The tools by which an agent works in the notebook that it runs in.

`execution`, `variables`, `inspection` and `next_cell` do the work; here stand what the model is told of them, which of
them ask the user (P11), and on which thread they run. Above: whoever declares an agent.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

from nbagent.errors import ConfigError, ToolsUnavailable
from nbagent.events import Event, ToolCallConfirmation
from nbagent.kernel.toolset import execution, inspection, next_cell, variables
from nbagent.kernel.toolset.beside import beside
from nbagent.permissions import exactly
from nbagent.ports import Asker, ElicitationResult, Tool, ToolContext, ToolResult, ToolSpec
from nbagent.runtime.run import current_run

Work = Callable[[Mapping[str, Any], ToolContext], Awaitable[ToolResult]]


@dataclass(frozen=True, slots=True)
class KernelTool:
    """One of the tools; implements `nbagent.ports.Tool`.

    Parameters
    ----------
    spec
        What the model is told.
    work
        Does it.
    asks_approval
        Whether the user is asked first.
    code_argument
        The argument that holds code, which an approval shows as such; "" for none.
    """

    spec: ToolSpec
    work: Work
    asks_approval: bool = False
    code_argument: str = ""
    toolset: str = "kernel"

    async def call(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Do it, with arguments that fit the schema."""
        return await self.work(arguments, context)


class KernelToolset:
    """The notebook's own tools: run_python, list_variables, inspect_variable and add_cell.

    Parameters
    ----------
    approval
        ``ask``: the user approves each piece of code before run_python runs it, and may change it, and approves
        inspect_variable once in a session, since it sends values to the provider of the model. ``never``: neither asks.
        list_variables (which tells no values) and add_cell (which runs nothing) never ask.

    Raises
    ------
    ConfigError
        `approval` is neither.

    Examples
    --------
    ::

        from nbagent.kernel import KernelToolset

        analyst = nbagent.Agent("analyst", model=…, toolsets=[KernelToolset()])

    Notes
    -----
    run_python runs on the kernel's main thread, as a cell does, and while it computes nothing else does; the stop
    button ends it and its run. In a background run it takes its turn between two awaits of a cell that runs meanwhile.
    What a child process writes by itself, past Python, goes where it does in a cell.
    """

    name = "kernel"

    def __init__(self, approval: Literal["ask", "never"] = "ask") -> None:
        if approval not in ("ask", "never"):
            raise ConfigError(f"KernelToolset(approval={approval!r}): choose 'ask' or 'never'")
        self._asks = approval == "ask"

    def __repr__(self) -> str:
        return f"KernelToolset(approval={'ask' if self._asks else 'never'!r})"

    def open(self, asker: Asker) -> AbstractAsyncContextManager[Sequence[Tool]]:
        """Lend the tools to one stream.

        Raises
        ------
        ToolsUnavailable
            Here is no IPython.
        """
        return self._opened()

    async def aclose(self) -> None:
        """Nothing is kept."""

    @asynccontextmanager
    async def _opened(self) -> AsyncGenerator[Sequence[Tool]]:
        yield self._tools(_shell())

    def _tools(self, shell: Any) -> Sequence[Tool]:
        one_at_a_time = asyncio.Lock()

        async def run_python(arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
            async with one_at_a_time:  # several calls of one message, in order, as cells are
                return await execution.run(arguments["code"], shell, context)

        async def list_variables(arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
            return await beside(lambda: variables.listed(shell), context)

        async def inspect_variable(arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
            _approve_for_session(context)
            return await beside(lambda: inspection.inspected(arguments["name"], shell), context)

        async def add_cell(arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
            return ToolResult(next_cell.add(arguments["code"], shell))

        return (
            KernelTool(_RUN_PYTHON, run_python, asks_approval=self._asks, code_argument="code"),
            KernelTool(_LIST_VARIABLES, list_variables),
            KernelTool(_INSPECT_VARIABLE, inspect_variable, asks_approval=self._asks),
            KernelTool(_ADD_CELL, add_cell, code_argument="code"),
        )


def _shell() -> Any:
    try:
        from IPython import get_ipython  # pyright: ignore[reportPrivateImportUsage, reportUnknownVariableType]
    except ImportError:
        shell = None
    else:
        shell = get_ipython()
    if shell is None:
        raise ToolsUnavailable("the kernel's tools work in a notebook or an IPython terminal; here is neither")
    return shell


def _approve_for_session(context: ToolContext) -> None:
    """The call was approved: with that every later one of its session is, and those that wait at this moment."""
    context.session.approved.add(exactly(context.tool_name))
    run = current_run.get()

    def alike(event: Event) -> bool:
        return isinstance(event, ToolCallConfirmation) and event.name == context.tool_name

    if run is not None:
        run.questions.resolve_alike(alike, ElicitationResult("accept", {"scope": "session"}))


def _spec(name: str, description: str, /, **properties: str) -> ToolSpec:
    """A tool all of whose arguments are required strings."""
    described = {key: {"type": "string", "description": text} for key, text in properties.items()}
    schema = {"type": "object", "properties": described, "required": [*properties], "additionalProperties": False}
    return ToolSpec(name, description, schema)


_RUN_PYTHON = _spec(
    "run_python",
    "Run Python code in the user's notebook, in the user's namespace, as a cell would run it: it sees and changes the "
    "user's variables; magics, ! and top-level await work. What it prints and displays, and the value of a last "
    "expression, is shown to the user and returned; long output is cut in the middle for you.",
    code="Python source.",
)
_LIST_VARIABLES = _spec(
    "list_variables",
    "List the variables of the user's notebook: name, type, shape or length. No values.",
)
_INSPECT_VARIABLE = _spec(
    "inspect_variable",
    "Show one variable of the user's notebook, shortened: a table's columns, types and first rows, an array's dtype "
    "and statistics, a container's first items, else its repr.",
    name="The variable's name; no expressions.",
)
_ADD_CELL = _spec(
    "add_cell",
    "Add a new code cell to the user's notebook, below the one that runs, for the user to read and to run. It is not "
    "executed. Code of several calls in one run is joined in one cell.",
    code="Python source.",
)

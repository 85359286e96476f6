"""A Python function as a tool that a model can call.

`tool` (also a decorator) and `as_tool` make a `FunctionTool`, which implements `nbagent.ports.Tool` and stays
callable as the function that it was. `signature` reads name, schema and arguments from the function, `results` turns
what it returned into what the model reads, `threads` runs it where it cannot block the loop, `capture` catches what
it prints.

It guarantees (P12): a synchronous function never blocks the loop nor the exit of the process; a cancelled call ends at
once; whatever the function raises, SystemExit included, ends its call and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, cast, overload

from nbagent import boundary
from nbagent.errors import ConfigError, ToolError
from nbagent.ports import Tool, ToolContext, ToolResult, ToolSpec, current_call
from nbagent.toolsets.capture import captured
from nbagent.toolsets.results import to_result
from nbagent.toolsets.threads import run_tool

if TYPE_CHECKING:
    from nbagent.toolsets.signature import Parameters

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")  # what every provider takes

P = ParamSpec("P")
T = TypeVar("T")


class FunctionTool(Generic[P, T]):
    """A function that a model can call; implements `nbagent.ports.Tool`.

    Parameters
    ----------
    function
        Synchronous or asynchronous.
    name, description
        What the model is told; from the function's name and docstring where None.
    approve
        Whether the user is asked before each call.
    main_thread
        Run on the loop's thread (an interrupt stops it as it would any cell) and not on a thread of its own.
    localns
        Names beside the function's globals in which its annotations may be found.
    """

    toolset = ""
    __name__: str

    def __init__(
        self,
        function: Callable[P, T],
        *,
        name: str | None = None,
        description: str | None = None,
        approve: bool = False,
        main_thread: bool = False,
        localns: Mapping[str, Any] | None = None,
    ) -> None:
        from nbagent.toolsets.signature import Parameters, described, named

        self.function = function
        self.asks_approval = approve
        self.main_thread = main_thread
        self.name = name or named(function)
        if not _NAME.fullmatch(self.name):
            raise ConfigError(f"tool {self.name!r}: a name has letters, digits, _ and - alone, at most 64")
        self.description = described(function) if description is None else description
        self._localns = localns
        self._parameters: Parameters | None = None
        functools.update_wrapper(cast("Callable[..., Any]", self), function)
        with contextlib.suppress(NameError):  # an annotation names what is defined further down: read at the first use
            self._parameters = Parameters(self.name, function, localns)

    @boundary.transparent
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.function(*args, **kwargs)

    def __get__(self, instance: object, owner: type | None = None) -> FunctionTool[..., T]:
        if instance is None:
            return self
        return FunctionTool(
            cast("Callable[..., T]", self.function.__get__(instance, owner)),  # type: ignore[attr-defined]
            name=self.name,
            description=self.description,
            approve=self.asks_approval,
            main_thread=self.main_thread,
            localns=self._localns,
        )

    def __repr__(self) -> str:
        return f"FunctionTool({self.name!r})"

    @property
    def parameters(self) -> Parameters:
        """The function's parameters: their schema, and the check of arguments.

        Raises
        ------
        ConfigError
            An annotation names something that does not exist.
        """
        from nbagent.toolsets.signature import Parameters

        if self._parameters is None:
            try:
                self._parameters = Parameters(self.name, self.function, self._localns)
            except NameError as error:
                raise ConfigError(f"tool {self.name}: an annotation cannot be read: {error}") from error
        return self._parameters

    @property
    def spec(self) -> ToolSpec:
        """Name, description and the JSON schema of the arguments."""
        return ToolSpec(self.name, self.description, self.parameters.schema)

    def meant(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """The arguments as the function will get them, as JSON's types; as they are, where they do not fit."""
        return self.parameters.converted(arguments)

    async def call(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Check and convert the arguments, run the function, and turn what it returns into a result.

        Raises
        ------
        ToolError
            The arguments do not fit; the message tells the model which, and why.
        """
        args, kwargs = self.parameters.bind(arguments)
        run = functools.partial(self.function, *args, **kwargs)
        token = current_call.set(context)
        try:
            if self.main_thread or _is_async(self.function):
                return await self._on_loop(run, context)
            made = await run_tool(functools.partial(_finished, run, context), context)
            return made if isinstance(made, ToolResult) else await self._on_loop(lambda: made, context)
        except SystemExit as error:
            raise ToolError(f"the tool ended with SystemExit({error.code!r})") from error
        finally:
            with contextlib.suppress(ValueError):  # ended by the garbage collector, in another context
                current_call.reset(token)

    async def _on_loop(self, run: Callable[[], Any], context: ToolContext) -> ToolResult:
        with captured(context.emit_output):
            try:
                value = boundary.call(run)
                if inspect.isawaitable(value):
                    value = await boundary.drive(value)
                return boundary.call(to_result, value, context)
            except asyncio.CancelledError as error:
                task = asyncio.current_task()
                if task is not None and not task.cancelling():  # its own: not to pass for a cancellation of the call
                    raise ToolError("the tool's own work was cancelled") from error
                context.stop.set()
                raise


def _is_async(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(type(function), "__call__", None)  # noqa: B004  (the method itself is what is looked at)
    )


def _finished(run: Callable[[], Any], context: ToolContext) -> ToolResult | Awaitable[Any]:
    """On the tool's thread: its result, or the awaitable that a plain function returned."""
    value = run()
    return value if inspect.isawaitable(value) else to_result(value, context)


@overload
def tool(function: Callable[P, T], /) -> FunctionTool[P, T]: ...
@overload
def tool(
    *, name: str | None = None, description: str | None = None, approve: bool = False, main_thread: bool = False
) -> Callable[[Callable[P, T]], FunctionTool[P, T]]: ...
@overload
def tool(
    function: Callable[P, T],
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    approve: bool = False,
    main_thread: bool = False,
) -> FunctionTool[P, T]: ...
def tool(
    function: Callable[P, T] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    approve: bool = False,
    main_thread: bool = False,
) -> FunctionTool[P, T] | Callable[[Callable[P, T]], FunctionTool[P, T]]:
    """Make a function a tool; with or without arguments, as a decorator or called.

    Parameters
    ----------
    function
        Its signature and docstring (numpy, Google or Sphinx style) give the schema that the model sees. A synchronous
        function runs on a thread of its own, an asynchronous one on the loop.
    name, description
        In place of the function's own.
    approve
        Ask the user before each call.
    main_thread
        Run a synchronous function on the kernel's thread, where an interrupt stops it.

    Returns
    -------
    FunctionTool
        Callable as the function was.

    Raises
    ------
    ConfigError
        No model can call it: it takes ``*args``, or a type has no JSON schema.

    Examples
    --------
    >>> @tool
    ... def add(a: int, b: int = 1) -> int:
    ...     "Add two numbers."
    ...     return a + b
    >>> add(2, 3)
    5
    >>> add.spec.description
    'Add two numbers.'
    """
    caller = inspect.currentframe()
    localns = dict(caller.f_back.f_locals) if caller is not None and caller.f_back is not None else None

    def wrap(function: Callable[P, T]) -> FunctionTool[P, T]:
        return FunctionTool(
            function, name=name, description=description, approve=approve, main_thread=main_thread, localns=localns
        )

    return wrap if function is None else wrap(function)


def as_tool(candidate: object) -> Tool:
    """The tool that `candidate` is, or that a plain function becomes.

    Raises
    ------
    ConfigError
        It is neither a tool nor a function.
    """
    if isinstance(candidate, FunctionTool):
        return cast("Tool", candidate)
    if isinstance(candidate, Tool) and not isinstance(candidate, type):
        return candidate
    if callable(candidate) and not isinstance(candidate, type):
        return cast("Tool", FunctionTool(cast("Callable[..., Any]", candidate)))
    raise ConfigError(f"not a tool: {candidate!r}; give a function, or what @tool made of one")

"""Hooks: the user's functions at fixed points of a stream, which may block it, change its input or add context.

A hook takes one `HookContext` and returns None or a `HookResult`; it may be sync or async, and it runs on the loop's
thread inside a boundary (`nbagent.boundary`), so that an interrupt stops it. The runtime decides when to call
which; this package says what a hook is, checks the declaration, and calls one.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from nbagent import boundary
from nbagent.errors import ConfigError
from nbagent.events import Event
from nbagent.session import Session

Point = Literal[
    "session_start",
    "user_prompt_submit",
    "before_llm_call",
    "after_llm_call",
    "pre_tool_use",
    "permission_request",
    "post_tool_use",
    "on_user_input",
    "pre_compact",
    "stop",
    "on_error",
    "session_end",
]
POINTS: tuple[str, ...] = get_args(Point)


@dataclass(frozen=True, slots=True)
class HookContext:
    """What a hook is told.

    Parameters
    ----------
    point
        The hook point, such as ``pre_tool_use``.
    session, agent_name, stream_id
        Where it happens.
    prompt
        The user's words.
    tool_name, tool_call_id, arguments
        For the tool points: the call.
    response, is_error
        For ``post_tool_use``: what the tool said. For ``after_llm_call`` and ``stop``: what the agent said.
    source
        For ``session_start``: ``startup`` in a session's first turn, else ``resume``. For ``pre_compact``: ``limit``
        where the context is nearly full, ``error`` where the provider refused it.
    question
        For ``on_user_input``: the event that asks the user.
    error, code
        For ``on_error``: what failed, and its code.
    reason
        For ``session_end``: how the stream ended.
    """

    point: str
    session: Session
    agent_name: str
    stream_id: str
    prompt: str = ""
    tool_name: str = ""
    tool_call_id: str = ""
    arguments: Mapping[str, Any] | None = None
    response: str = ""
    is_error: bool = False
    source: str = ""
    question: Event | None = None
    error: str = ""
    code: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class HookResult:
    """What a hook wants.

    Parameters
    ----------
    block
        Stop: the run for ``session_start``, ``user_prompt_submit``, ``before_llm_call`` and ``after_llm_call``; the
        call for ``pre_tool_use`` and ``permission_request``; the compaction for ``pre_compact``. For ``post_tool_use``
        the model reads `reason` instead of the tool's response; for ``stop`` it reads `reason` and goes on.
    reason
        Why, for the user and the model.
    context
        Text that the model reads beside the prompt or the tool's response.
    updated_input
        A new prompt (``user_prompt_submit``) or new arguments (``pre_tool_use``).
    permission
        For ``pre_tool_use`` and ``permission_request``: ``allow`` the call without asking the user (a rule that denies
        it still holds), ``deny`` it, or ``ask``.
    message
        What the user is told, as a warning in the transcript.
    stop
        End the whole run, for `reason`.
    suppress
        Leave this hook's `hook_finished` out of what the user sees.
    """

    block: bool = False
    reason: str = ""
    context: str = ""
    updated_input: Any = None
    permission: Literal["allow", "deny", "ask"] | None = None
    message: str = ""
    stop: bool = False
    suppress: bool = False


Hook = Callable[[HookContext], HookResult | Awaitable[HookResult | None] | None]


def check(hooks: Mapping[str, Hook | Sequence[Hook]]) -> dict[str, tuple[Hook, ...]]:
    """The hooks by point, each a tuple of functions.

    Raises
    ------
    ConfigError
        A point does not exist, or a hook cannot be called.
    """
    checked: dict[str, tuple[Hook, ...]] = {}
    for point, given in hooks.items():
        if point not in POINTS:
            raise ConfigError(f"there is no hook point {point!r}; there are: {', '.join(POINTS)}")
        try:
            functions = (given,) if callable(given) else tuple(given)
        except TypeError:
            raise ConfigError(f"hooks of {point}: {given!r} is neither a function nor several") from None
        for function in functions:
            if not callable(function):
                raise ConfigError(f"hook of {point}: {function!r} is not a function")
        checked[point] = functions
    return checked


def name_of(hook: Hook) -> str:
    """The name under which events speak of a hook."""
    return getattr(hook, "__name__", type(hook).__name__)


async def call(hook: Hook, context: HookContext) -> HookResult:
    """Call one hook inside the boundary.

    Raises
    ------
    ConfigError
        It returned something that is neither None nor a `HookResult`, or one whose words are no text.
    """
    result: Any = boundary.call(hook, context)
    if inspect.isawaitable(result):
        result = await boundary.drive(result)
    if result is None:
        return HookResult()
    if not isinstance(result, HookResult):
        raise ConfigError(f"hook {name_of(hook)} returned {type(result).__name__}; return None or a HookResult")
    for words in ("reason", "context"):
        if not isinstance(getattr(result, words), str):
            raise ConfigError(f"hook {name_of(hook)} returned a HookResult whose {words} is no text")
    return result

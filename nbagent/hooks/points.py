"""The points at which hooks are called, what a hook is told there, and what it may want.

The lowest module of the package: `declaring` and `calling` check and call hooks, `command` runs one that is a program.
The runtime decides when to call which, and does what they want.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

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
TOOL_POINTS = ("pre_tool_use", "permission_request", "post_tool_use")
"""Those at which there is a tool, so that a matcher may choose by its name."""


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
        For ``post_tool_use``: what the tool said, also where it failed. For ``after_llm_call`` and ``stop``: what the
        agent said.
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
        the model reads `reason` instead of the tool's response; for ``stop`` it reads `reason` and goes on. At
        ``on_user_input``, ``on_error`` and ``session_end`` there is nothing to stop.
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
        End the whole run as ``hook_blocked``, for `reason`; at ``on_error`` and ``session_end`` it is ending already.
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

"""Every event of a stream: a frozen dataclass each, one `type` literal each, JSON both ways.

Events are facts about a run, in the order in which they became true. `stream_started` is the first and `stream_stopped`
the last, exactly once each, on every path. Wire names are docker-agent's, so that its users and tools recognise them.
The runtime emits events; observers, stores and widgets read them.

It guarantees: `seq` counts 1, 2, 3 … within a stream without a gap; every class stands in `EVENTS` by its wire name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal

from nbagent.events import encoding

StopReason = Literal["completed", "error", "cancelled", "interrupted", "hook_blocked", "max_iterations", "superseded"]
Action = Literal["accept", "decline", "cancel"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What every event carries.

    Parameters
    ----------
    session_id, agent_name, stream_id
        Where it happened.
    seq
        1, 2, 3 … within its stream.
    timestamp
        Seconds since the epoch.
    """

    type: ClassVar[str] = ""

    session_id: str
    agent_name: str
    stream_id: str
    seq: int
    timestamp: float

    def to_dict(self) -> dict[str, Any]:
        """The event as JSON's types, its `type` first."""
        return {"type": self.type} | {f.name: getattr(self, f.name) for f in fields(self)}

    def to_json(self) -> str:
        """The event as one line of JSON; a value that JSON has no word for is described."""
        return encoding.text(self.to_dict())


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamStarted(Event):
    """First of all; `parent_id` is the stream that this one is nested in."""

    type = "stream_started"
    parent_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamStopped(Event):
    """Last of all; `message` says more about the reason, for a person."""

    type = "stream_stopped"
    reason: StopReason
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserMessage(Event):
    """The user's words.

    Parameters
    ----------
    attachments
        What is attached to them: of each its ``name``, its ``mime`` type and its ``size`` in bytes.
    """

    type = "user_message"
    content: str
    attachments: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentInfo(Event):
    """Who answers, and with which model; at the beginning of a conversation, with words of welcome."""

    type = "agent_info"
    model: str
    description: str = ""
    welcome: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamInfo(Event):
    """The agents of the team, by name."""

    type = "team_info"
    agents: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolsetInfo(Event):
    """A toolset is open; the names of its tools as the model sees them."""

    type = "toolset_info"
    toolset: str
    tools: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MCPInitStarted(Event):
    """An MCP server is being reached."""

    type = "mcp_init_started"
    server: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MCPInitFinished(Event):
    """An MCP server was reached after `duration` seconds, or not, and then `error` says why."""

    type = "mcp_init_finished"
    server: str
    duration: float
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentChoice(Event):
    """A piece of the agent's text."""

    type = "agent_choice"
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentChoiceReasoning(Event):
    """A piece of the agent's reasoning."""

    type = "agent_choice_reasoning"
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialToolCall(Event):
    """A piece of a tool call that the model is still writing; `arguments` is a fragment of JSON."""

    type = "partial_tool_call"
    tool_call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallStarted(Event):
    """The model called a tool. `toolset` names where the tool comes from ("" for a function of the user's)."""

    type = "tool_call"
    tool_call_id: str
    name: str
    arguments: Mapping[str, Any] | str
    toolset: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallConfirmation(Event):
    """The user is asked whether the call may run; answer `id` by `Runtime.answer`.

    Accept with ``{"scope": "once" | "session" | "always" | "all"}``, where always comes with the ``"pattern"`` of what
    may run from now on, and with ``"arguments"`` where the user changed them; decline with ``{"reason": "…"}``, which
    the model reads.

    Parameters
    ----------
    code_argument
        The argument that holds Python code, to be shown as such and changed; "" where none does.
    pattern
        What to allow for good by ``always``, as a suggestion; "" where that is not offered.
    preview
        What the call would change, as a unified diff; "" where the arguments say it all.
    """

    type = "tool_call_confirmation"
    id: str
    tool_call_id: str
    name: str
    arguments: Mapping[str, Any]
    toolset: str = ""
    code_argument: str = ""
    pattern: str = ""
    preview: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallOutput(Event):
    """A running tool's output: a piece of text, or a display's MIME bundle in `data`."""

    type = "tool_call_output"
    tool_call_id: str
    content: str = ""
    data: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallResponse(Event):
    """A tool call ended, exactly once for each `tool_call`.

    Parameters
    ----------
    response
        The text that the model reads.
    is_error
        The tool failed, was refused, or was cut short.
    state
        ``ok``, ``failed``, ``refused`` (not approved, or a hook), ``cancelled`` (cut short) or ``abandoned`` (a thread
        that could not be stopped still runs; its late result is dropped).
    duration
        Seconds.
    content
        MCP content blocks beside the text (images, resources), each as JSON.
    """

    type = "tool_call_response"
    tool_call_id: str
    name: str
    response: str
    is_error: bool = False
    state: Literal["ok", "failed", "refused", "cancelled", "abandoned"] = "ok"
    duration: float = 0.0
    content: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HookStarted(Event):
    """A hook was called."""

    type = "hook_started"
    point: str
    hook: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HookFinished(Event):
    """A hook returned after `duration` seconds, or failed: `error` says how, and `told` that a warning did before."""

    type = "hook_finished"
    point: str
    hook: str
    duration: float
    error: str = ""
    told: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HookBlocked(Event):
    """A hook blocked what it was asked about, for `reason`."""

    type = "hook_blocked"
    point: str
    hook: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ElicitationRequest(Event):
    """A tool, a server or a hook asks the user; answer `id` by `Runtime.answer`.

    Parameters
    ----------
    message
        What is asked.
    schema
        The JSON schema of the answer (MCP's flat subset, or any); None where free text or nothing is expected.
    mode
        ``form`` or ``url``.
    url
        In url mode: where the user is to go.
    source
        Who asks: a server's name, or "" for a tool of the user's own.
    tool_call_id
        The call that asks, where it is known.
    deadline
        Until when an answer counts, in seconds since 1970; None: until the stream ends.
    """

    type = "elicitation_request"
    id: str
    message: str
    schema: Mapping[str, Any] | None = None
    mode: Literal["form", "url"] = "form"
    url: str = ""
    source: str = ""
    tool_call_id: str | None = None
    deadline: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ElicitationResolved(Event):
    """A question (elicitation, approval or limit) is settled, exactly once; `note` says why where nobody answered."""

    type = "elicitation_resolved"
    id: str
    action: Action
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSwitching(Event):
    """The conversation goes over to another agent."""

    type = "agent_switching"
    to_agent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SubSessionStarted(Event):
    """A nested stream begins; one in the `background` outlives this stream and has a transcript of its own.

    `background_id` is the name by which agents and people speak of it then.
    """

    type = "sub_session_started"
    child_stream_id: str
    child_session_id: str
    child_agent: str
    tool_call_id: str | None = None
    background: bool = False
    background_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubSessionCompleted(Event):
    """A nested stream has stopped."""

    type = "sub_session_completed"
    child_stream_id: str
    child_session_id: str
    child_agent: str
    reason: StopReason


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFallback(Event):
    """The model failed and another takes over."""

    type = "model_fallback"
    from_model: str
    to_model: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCompaction(Event):
    """The history was summarised to fit the model's context."""

    type = "session_compaction"
    messages_before: int
    messages_after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenUsage(Event):
    """Tokens and US dollars of the turn so far."""

    type = "token_usage"
    input_tokens: int
    output_tokens: int
    cost: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxIterationsReached(Event):
    """A limit is reached; where `id` is set, the user is asked whether to go on.

    The limit is of model calls, or, where `message` says so, of the same tool call made over and over.
    """

    type = "max_iterations_reached"
    max_iterations: int
    id: str | None = None
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Warning(Event):
    """Something the user should know; the stream goes on. `hook` names the hook whose message it is, if it is one's."""

    type = "warning"
    message: str
    hook: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Error(Event):
    """Something failed; `code` is a stable word for it, such as ``model_error`` or ``tools_unavailable``."""

    type = "error"
    code: str
    message: str


EVENTS: dict[str, type[Event]] = {
    cls.type: cls
    for cls in (
        StreamStarted, UserMessage, AgentInfo, TeamInfo, ToolsetInfo, MCPInitStarted, MCPInitFinished,
        AgentChoice, AgentChoiceReasoning, PartialToolCall, ToolCallStarted, ToolCallConfirmation, ToolCallOutput,
        ToolCallResponse, HookStarted, HookFinished, HookBlocked, ElicitationRequest, ElicitationResolved,
        AgentSwitching, SubSessionStarted, SubSessionCompleted, ModelFallback, SessionCompaction, TokenUsage,
        MaxIterationsReached, Warning, Error, StreamStopped,
    )
}  # fmt: skip
"""Every event class by its wire name."""

"""Telemetry: OpenTelemetry spans, and log records with fields; both silent unless the program asks for them.

    trace       one stream, its model and tool calls, as spans and records   ── what the runtime uses
    ├── otel        the door to OpenTelemetry
    │   └── ending      ends spans on a thread of its own
    ├── contents    what was said, where the user asked for it on spans
    └── logs        the loggers and their fields

Spans, where a tracer provider is configured: ``invoke_agent {agent}`` for a stream, in it ``chat {model}`` for each
model call and ``execute_tool {tool}`` for each tool call, by https://opentelemetry.io/docs/specs/semconv/gen-ai/. They
are current while what they tell of happens, also on a tool's thread, so that a tool's own spans and a nested stream's
are below the call's. What failed has an ``error.type``; so has what was cancelled. Prompts, answers, arguments and
results are on them only with ``OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=true``.

Records: ``nbagent.runtime.stream`` at INFO (started, stopped), ``nbagent.runtime.model`` and ``nbagent.runtime.tool``
at DEBUG (each call, when it is over), ``nbagent`` for failures. Fields, none of them what was said:

    all         nbagent_stream_id, nbagent_session_id, nbagent_agent, nbagent_parent_id
    stream      nbagent_reason, nbagent_duration, nbagent_error_code, nbagent_input_tokens, nbagent_output_tokens
    model       nbagent_model, nbagent_duration, nbagent_error_type, nbagent_input_tokens, nbagent_output_tokens
    tool        nbagent_tool, nbagent_tool_call_id, nbagent_toolset, nbagent_state, nbagent_duration, nbagent_error_type

Durations are seconds. The parent logger has a NullHandler: nothing is printed by default.
"""

from __future__ import annotations

from nbagent.telemetry import logs
from nbagent.telemetry.trace import Chat, ToolWork, Trace

__all__ = ["Chat", "ToolWork", "Trace"]

logs.install()

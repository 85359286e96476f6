"""One stream, its model calls and its tool calls, as spans and log records.

Used by the runtime: a `Trace` belongs to a run, and a `Work` is one of its model or tool calls. Names and attributes
are those of OpenTelemetry's conventions for generative AI. It guarantees: no method raises or waits; whatever has begun
is ended by `Trace.end`, also what a cancellation, an interrupt or the garbage collector left under way.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from nbagent.agent import Agent
from nbagent.errors import Interrupted, ModelError
from nbagent.events import Error
from nbagent.ports import Model, ModelRequest, Tool
from nbagent.session import Session, ToolCall, Usage
from nbagent.telemetry import contents, ending, logs, otel
from nbagent.telemetry.otel import Span, attributes

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

SETTLE = 0.2
"""Seconds that a stream's end waits for its spans to be exported."""
PROVIDERS = {
    "openai": "openai", "anthropic": "anthropic", "mistral": "mistral_ai", "groq": "groq", "cohere": "cohere",
    "deepseek": "deepseek", "bedrock": "aws.bedrock", "azure": "azure.ai.openai", "xai": "x_ai", "grok": "x_ai",
    "google": "gcp.gemini", "google-gla": "gcp.gemini", "google-vertex": "gcp.vertex_ai", "gemini": "gcp.gemini",
}  # fmt: skip
"""What the conventions call the provider that a model's name begins with (``openai:gpt-5-mini``)."""
LONGEST_NAME = 100
"""Characters of a tool's name in a span's: where there is no such tool, a model made it up."""


class Trace:
    """One stream's telemetry.

    Parameters
    ----------
    stream_id, session
        Which stream.
    why
        How it ended, or would end now: a stop reason.
    """

    def __init__(self, stream_id: str, session: Session, why: Callable[[], str]) -> None:
        self.why = why
        self._session = session
        self._stream_id = stream_id
        self._tracer: Tracer | None = None
        self._span: Span | None = None
        self._open: set[Work] = set()
        self._fields: dict[str, str] = {}
        self._begun: float | None = None

    # ------------------------------------------------------------ the stream

    def begin(self, agent: Agent, model: Model, parent_id: str) -> None:
        """The stream begins; its span is a child of the current one."""
        self._begun = time.monotonic()
        self._tracer = otel.tracer()
        values = (self._stream_id, self._session.id, agent.name, parent_id)
        self._fields = dict(zip(logs.FIELDS, values, strict=True))
        if self._tracer is not None:
            known = attributes(gen_ai__agent__description=agent.description, nbagent__stream__id=self._stream_id)
            self._span = Span(
                self._tracer,
                f"invoke_agent {agent.name}",
                self._about("invoke_agent", agent.name) | _of_model(model) | known,
            )

    def enter(self) -> None:
        """In the stream's own task, first of all: what happens there from now on is part of it."""
        logs.here.set(self._fields)
        if self._span is not None:
            self._span.enter()
        self._tell(logging.INFO, "stream %s of %s started", self._stream_id, self._fields["nbagent_agent"])

    def end(self, usage: Usage, error: Error | None) -> None:
        """The stream is over, and with it whatever is still open; once.

        Parameters
        ----------
        usage
            Tokens of the stream.
        error
            What it ended with, where that was an error.
        """
        if self._begun is None:
            return
        seconds, self._begun = time.monotonic() - self._begun, None
        for work in tuple(self._open):
            work.finish(self.why())
        reason, failure = self.why(), error.code if error is not None else ""
        if self._span is not None:
            self._span.set(_of_usage(usage) | attributes(nbagent__stream__reason=reason))
            if reason != "completed":
                self._span.fail(failure or reason, error.message if error is not None and contents.wanted() else "")
            self._span.end()
        self._tell(
            logging.INFO, "stream %s stopped: %s, after %.3f s", self._stream_id, failure or reason, seconds,
            reason=reason, duration=seconds, error_code=failure or None, **_counted(usage),
        )  # fmt: skip

    async def settle(self) -> None:
        """Wait, boundedly, until the spans that have ended are with their exporter."""
        if self._span is not None:
            await ending.settled(SETTLE)

    # ------------------------------------------------------------ what the stream does

    def chat(self, agent: str, model: Model, request: ModelRequest) -> Chat:
        """A model call, to be entered as a context."""
        return Chat(self, agent, model, request)

    def tool(self, agent: str, call: ToolCall, tool: Tool | None) -> ToolWork:
        """A tool call, to be entered as a context in its own task."""
        return ToolWork(self, agent, call, tool)

    def span(self, work: Work, operation: str, subject: str, agent: str, **known: Any) -> Span | None:
        """The span of `work`, which ends with the stream at the latest."""
        self._open.add(work)
        if self._tracer is None:
            return None
        about = self._about(operation, agent) | attributes(**known)
        return Span(self._tracer, f"{operation} {subject}", about, client=operation == "chat")

    def finished(self, work: Work) -> None:
        """The work is over."""
        self._open.discard(work)

    def tell(self, logger: logging.Logger, message: str, *args: object, **fields: Any) -> None:
        """Log what one of its works came to."""
        if logger.isEnabledFor(logging.DEBUG):
            logs.tell(logger, logging.DEBUG, message, *args, fields=self._named(fields))

    def _tell(self, level: int, message: str, *args: object, **fields: Any) -> None:
        logs.tell(logs.stream, level, message, *args, fields=self._named(fields))

    def _named(self, fields: dict[str, Any]) -> dict[str, Any]:
        return {name.removeprefix("nbagent_"): value for name, value in self._fields.items()} | fields

    def _about(self, operation: str, agent: str) -> dict[str, otel.Value]:
        return attributes(
            gen_ai__operation__name=operation, gen_ai__agent__name=agent, gen_ai__conversation__id=self._session.id
        )


class Work:
    """One model or tool call; entered and left in the context where it happens."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.failure = ""
        self.begun = time.monotonic()
        self.finished = False
        self.span: Span | None = None

    def __enter__(self) -> Self:
        if self.span is not None:
            self.span.enter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.span is not None:
            self.span.leave()
        self.finish(_failure(error, self.trace.why()) if error is not None else "")

    def finish(self, failure: str = "") -> None:
        """It is over, by what `failure` says where nothing was said before; once."""
        if self.finished:
            return
        self.finished = True
        self.failure = self.failure or failure
        self.trace.finished(self)
        self.tell(time.monotonic() - self.begun)
        if self.span is not None:
            if self.failure:
                self.span.fail(self.failure)
            self.span.end()

    def tell(self, seconds: float) -> None:
        """Log it, and say the last of it on its span."""
        raise NotImplementedError


class Chat(Work):
    """A model call; `usage`, `words` and `calls` are set by whoever hears them."""

    def __init__(self, trace: Trace, agent: str, model: Model, request: ModelRequest) -> None:
        super().__init__(trace)
        self.heard = False
        self.usage = Usage()
        self._agent = agent
        self._model = model.name
        output = "json" if request.output_schema is not None else "text"
        known = {"gen_ai__request__stream": True, "gen_ai__output__type": output}
        self.span = trace.span(self, "chat", model.name, agent, **known)
        if self.span is not None:
            self.span.set(_of_model(model))
            if contents.wanted() and self.span.recording:
                self.span.set(contents.asked(request))

    def first(self) -> None:
        """The first piece of the answer is here."""
        self.heard = True
        if self.span is not None:
            self.span.set({"gen_ai.response.time_to_first_chunk": time.monotonic() - self.begun})

    def said(self, usage: Usage, words: Sequence[str], calls: Sequence[ToolCall]) -> None:
        """The answer is here, as far as it goes."""
        self.usage = usage
        if self.span is not None:
            self.span.set(_of_usage(usage))
            if contents.wanted() and self.span.recording:
                self.span.set(contents.answered("".join(words), calls))

    def tell(self, seconds: float) -> None:
        """Log it."""
        self.trace.tell(
            logs.model, "model %s: %s in %.3f s", self._model, self.failure or "answered", seconds,
            agent=self._agent, model=self._model, duration=seconds, error_type=self.failure or None,
            **_counted(self.usage),
        )  # fmt: skip


class ToolWork(Work):
    """A tool call; `came_to` says how it was answered, by whoever answers it first."""

    def __init__(self, trace: Trace, agent: str, call: ToolCall, tool: Tool | None) -> None:
        super().__init__(trace)
        self.state = ""
        self._agent = agent
        self._call = call
        self._toolset = tool.toolset if tool is not None else ""
        self.span = trace.span(
            self, "execute_tool", call.name[:LONGEST_NAME], agent,
            gen_ai__tool__name=call.name, gen_ai__tool__call__id=call.id,
            gen_ai__tool__type="extension" if self._toolset else "function",
            gen_ai__tool__description=tool.spec.description if tool is not None else "",
        )  # fmt: skip
        if self.span is not None and contents.wanted() and self.span.recording:
            self.span.set(contents.called(call))

    def came_to(self, state: str, words: str, failure: str = "") -> None:
        """Its response, which may come before its end."""
        self.state = state
        if state not in ("ok", "cancelled"):
            self.failure = (failure or "tool_error") if state == "failed" else state
        if self.span is not None and contents.wanted() and self.span.recording:
            self.span.set(contents.returned(words))

    def finish(self, failure: str = "") -> None:
        """It is over; one that was cut short, by what ended the stream."""
        super().finish(failure or (self.trace.why() if self.state == "cancelled" else ""))

    def tell(self, seconds: float) -> None:
        """Log it."""
        call, state = self._call, self.state or "cancelled"
        self.trace.tell(
            logs.tool, "tool %r: %s in %.3f s", call.name[:LONGEST_NAME], state, seconds,
            agent=self._agent, tool=call.name, tool_call_id=call.id, toolset=self._toolset, state=state,
            duration=seconds, error_type=self.failure or None,
        )  # fmt: skip


def _failure(error: BaseException, why: str) -> str:
    """A stable word for what ended a call."""
    match error:
        case ModelError():
            return error.code
        case Interrupted() | KeyboardInterrupt():
            return "interrupted"
        case Exception():
            return type(error).__qualname__
        case _:
            return why  # the run's end, which cancelled it


def _of_model(model: Model) -> dict[str, otel.Value]:
    prefix = model.name.partition(":")[0] if ":" in model.name else ""
    provider = getattr(model, "provider", None)
    known = provider if isinstance(provider, str) else PROVIDERS.get(prefix)
    return attributes(gen_ai__request__model=model.name, gen_ai__provider__name=known)


def _of_usage(usage: Usage) -> dict[str, otel.Value]:
    if not usage.input_tokens and not usage.output_tokens:
        return {}
    return {"gen_ai.usage.input_tokens": usage.input_tokens, "gen_ai.usage.output_tokens": usage.output_tokens}


def _counted(usage: Usage) -> dict[str, int]:
    return {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}

"""The one module that knows OpenTelemetry: spans that cannot harm the stream which they tell of.

Below `trace`, which says what the spans are; `ending` ends them. It guarantees: a tracer, sampler or span processor
that raises costs spans, never a stream, and is logged once; where no provider is configured, nothing is made; ending
a span, which is where a processor may export and wait, does not happen on the caller's thread.

Nothing is imported that the program did not bring: whoever configured a provider has imported the API.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from collections.abc import Generator, Mapping
from contextvars import Token
from types import ModuleType
from typing import TYPE_CHECKING, Any

from nbagent import boundary
from nbagent._version import __version__
from nbagent.telemetry import ending

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span as ForeignSpan
    from opentelemetry.trace import Tracer

logger = logging.getLogger("nbagent")

Value = str | bool | int | float

_broken: set[str] = set()


def tracer() -> Tracer | None:
    """Makes spans; None where nobody wants them."""
    api = _api()
    if api is None:
        return None
    with _harmless("get_tracer"):
        provider = api.get_tracer_provider()
        if not isinstance(provider, api.ProxyTracerProvider | api.NoOpTracerProvider):
            return provider.get_tracer("nbagent", __version__)
    return None


def _api() -> ModuleType | None:
    api = sys.modules.get("opentelemetry.trace")
    if api is None and "OTEL_PYTHON_TRACER_PROVIDER" in os.environ:
        with contextlib.suppress(ImportError):
            from opentelemetry import trace

            return trace
    return api


class Span:
    """A span under way, a child of the one that is current where it begins.

    Parameters
    ----------
    tracer
        Who makes it.
    name, attributes
        What it is.
    client
        Whether it is a request to another system.
    """

    __slots__ = ("_entered", "_span")

    def __init__(self, tracer: Tracer, name: str, attributes: Mapping[str, Value], *, client: bool = False) -> None:
        self._span: ForeignSpan | None = None
        self._entered: Token[Context] | None = None
        with _harmless("start_span"):
            from opentelemetry.trace import SpanKind

            kind = SpanKind.CLIENT if client else SpanKind.INTERNAL
            self._span = tracer.start_span(name, kind=kind, attributes=dict(attributes))

    @property
    def recording(self) -> bool:
        """Whether anybody will read what is set."""
        with _harmless("is_recording"):
            return self._span is not None and self._span.is_recording()
        return False

    def enter(self) -> None:
        """Be the current span of this context."""
        with _harmless("attach"):
            if self._span is not None:
                from opentelemetry import context, trace

                self._entered = context.attach(trace.set_span_in_context(self._span))

    def leave(self) -> None:
        """Let the span before be the current one again; nothing in a context where this one is not."""
        entered, self._entered = self._entered, None
        with _harmless("detach"):
            if entered is not None:
                from opentelemetry import context, trace

                if trace.get_current_span() is self._span:  # else the garbage collector closes a coroutine somewhere
                    context.detach(entered)

    def set(self, attributes: Mapping[str, Value]) -> None:
        """Say more of it."""
        with _harmless("set_attributes"):
            if self._span is not None:
                self._span.set_attributes(dict(attributes))

    def fail(self, error_type: str, message: str = "") -> None:
        """It failed; `error_type` is a stable word for how."""
        with _harmless("set_status"):
            if self._span is not None:
                from opentelemetry.trace import StatusCode

                self._span.set_attribute("error.type", error_type)
                self._span.set_status(StatusCode.ERROR, message or None)

    def end(self) -> None:
        """It is over now; its processors hear of it on another thread. Once."""
        span, self._span = self._span, None
        if span is not None:
            at = time.time_ns()
            ending.soon(lambda: _end(span, at))


def _end(span: ForeignSpan, at: int) -> None:
    with _harmless("end"):
        span.end(at)


@contextlib.contextmanager
def _harmless(step: str) -> Generator[None]:
    try:
        yield
    except BaseException as error:  # another's code
        if not boundary.is_failure(error):
            raise
        if step not in _broken:
            _broken.add(step)
            _complain(step, error)


def _complain(step: str, error: BaseException) -> None:
    with contextlib.suppress(Exception):  # a log handler, too, is another's
        logger.warning("tracing failed in %s and goes on without; told once: %s", step, boundary.told(error))


def attributes(**values: Any) -> dict[str, Value]:
    """The values that are known, by OpenTelemetry's names: ``gen_ai__agent__name`` is ``gen_ai.agent.name``."""
    return {name.replace("__", "."): value for name, value in values.items() if value not in (None, "")}

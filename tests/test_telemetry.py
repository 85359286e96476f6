"""Spans and log records: complete, truthful, silent unless asked for, and no harm to the stream."""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Generator
from typing import Any

import anyio
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

import nbagent
from nbagent.agent import Agent
from nbagent.errors import Interrupted, ModelError
from nbagent.events import ElicitationRequest, StreamStopped, ToolCallConfirmation
from nbagent.models import ScriptedModel, ToolCall
from nbagent.ports import TextDelta
from nbagent.runtime import Runtime, Stream
from nbagent.session import Attachment, Session
from nbagent.telemetry import contents, ending, logs, otel
from nbagent.toolsets import MCPToolset
from tests import servers
from tests.runtime.support import (
    NAME_SCHEMA,
    StalledModel,
    assert_nothing_left,
    calling,
    events_of,
    inside,
    scripted,
    until,
)

pytestmark = pytest.mark.anyio


class Exported(InMemorySpanExporter):
    """What was exported, by name."""

    def one(self, name: str) -> ReadableSpan:
        """The only span of this name."""
        (span,) = [span for span in self.get_finished_spans() if span.name == name]
        return span

    def names(self) -> list[str]:
        """The names, in the order in which they ended."""
        return [span.name for span in self.get_finished_spans()]


class Open(SpanProcessor):
    """Counts the spans that have begun and not ended."""

    def __init__(self) -> None:
        self.count = 0

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        self.count += 1

    def on_end(self, span: ReadableSpan) -> None:
        self.count -= 1


Configure = Callable[..., TracerProvider]


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch) -> Configure:
    """Configures a tracer provider with these processors, as a program does at its start."""

    def configured(*processors: SpanProcessor) -> TracerProvider:
        provider = TracerProvider(shutdown_on_exit=False)
        for processor in processors:
            provider.add_span_processor(processor)
        monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
        return provider

    return configured


@pytest.fixture
def spans(configure: Configure) -> Generator[Exported]:
    """What is exported; at the test's end, no span may be open."""
    exported, opened = Exported(), Open()
    configure(SimpleSpanProcessor(exported), opened)
    yield exported
    assert opened.count == 0, "a span is left open"


def about(span: ReadableSpan) -> dict[str, Any]:
    """A span's attributes."""
    return dict(span.attributes or {})


def parent(span: ReadableSpan) -> int:
    """The identifier of the span that this one is in."""
    return span.parent.span_id if span.parent is not None else 0


def own(span: ReadableSpan) -> int:
    """The span's identifier."""
    assert span.context is not None
    return span.context.span_id


def add(a: int, b: int) -> int:
    """Add."""
    return a + b


# ---------------------------------------------------------------- what the spans say


async def test_a_turn_is_a_span_with_its_model_and_tool_calls_in_it(spans: Exported) -> None:
    agent = calling(add, {"a": 1, "b": 2}, description="Sums up.")
    session = Session()
    result = await Runtime(agent).run(session, "1 + 2?")
    assert spans.names() == ["chat scripted", "execute_tool add", "chat scripted", "invoke_agent helper"]
    first, tool, second, root = spans.get_finished_spans()
    assert {parent(span) for span in (first, tool, second)} == {own(root)}
    assert {span.status.status_code for span in spans.get_finished_spans()} == {StatusCode.UNSET}
    assert about(root) == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "helper",
        "gen_ai.agent.description": "Sums up.",
        "gen_ai.conversation.id": session.id,
        "gen_ai.request.model": "scripted",
        "gen_ai.usage.input_tokens": result.usage.input_tokens,
        "gen_ai.usage.output_tokens": result.usage.output_tokens,
        "nbagent.stream.id": result.stream_id,
        "nbagent.stream.reason": "completed",
    }
    (call,) = session.messages[1].tool_calls
    assert about(tool) == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.agent.name": "helper",
        "gen_ai.conversation.id": session.id,
        "gen_ai.tool.name": "add",
        "gen_ai.tool.call.id": call.id,
        "gen_ai.tool.type": "function",
        "gen_ai.tool.description": "Add.",
    }
    told = about(first)
    assert 0 < told.pop("gen_ai.response.time_to_first_chunk") < 5
    assert told == {
        "gen_ai.operation.name": "chat",
        "gen_ai.agent.name": "helper",
        "gen_ai.conversation.id": session.id,
        "gen_ai.request.model": "scripted",
        "gen_ai.request.stream": True,
        "gen_ai.output.type": "text",
        "gen_ai.usage.input_tokens": 3,
        "gen_ai.usage.output_tokens": 1,
    }
    assert first.kind is trace.SpanKind.CLIENT and root.kind is trace.SpanKind.INTERNAL
    assert (root.start_time or 0) <= (first.start_time or 0) < (first.end_time or 0) <= (tool.end_time or 0)


@pytest.mark.parametrize(
    ("name", "provider"),
    [("openai:gpt-5-mini", "openai"), ("google-gla:g", "gcp.gemini"), ("mine", None), ("x:y", None)],
)
async def test_the_provider_is_named_where_the_models_name_tells_it(
    spans: Exported, name: str, provider: str | None
) -> None:
    await Runtime(Agent("helper", model=ScriptedModel(["hi"], name=name))).run(Session(), "hi")
    assert about(spans.one(f"chat {name}")).get("gen_ai.provider.name") == provider


async def test_what_was_said_is_on_no_span_unless_the_environment_wants_it(
    spans: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    def secret_tool(word: str) -> str:
        """Look up."""
        raise RuntimeError(f"{word}-failure")

    agent = calling(secret_tool, {"word": "argument"}, instructions="standing orders")
    failing = scripted(name="failing")  # its error's message holds the prompt
    failing.model.stream = lambda request: refuse(request.messages[-1].content)  # type: ignore[method-assign]
    for wanted in (False, True):
        spans.clear()
        if wanted:
            monkeypatch.setenv(contents.VARIABLE, "true")
        await Runtime(agent).run(Session(), "a private prompt")
        with pytest.raises(nbagent.RunError):
            await Runtime(failing).run(Session(), "a private prompt")
        told = " ".join(span.to_json() for span in spans.get_finished_spans())
        words = ["a private prompt", "argument", "argument-failure", "standing orders", "done"]
        assert [word in told for word in words] == [wanted] * len(words)
    chat, tool, _, _ = spans.get_finished_spans()[:4]
    assert json.loads(about(chat)["gen_ai.input.messages"]) == [
        {"role": "user", "parts": [{"type": "text", "content": "a private prompt"}]}
    ]
    assert json.loads(about(chat)["gen_ai.output.messages"])[0]["parts"][0]["name"] == "secret_tool"
    assert json.loads(about(chat)["gen_ai.tool.definitions"])[0]["name"] == "secret_tool"
    assert json.loads(about(tool)["gen_ai.tool.call.arguments"]) == {"word": "argument"}


async def test_of_a_picture_a_span_tells_what_it_is_and_never_its_bytes(
    spans: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(contents.VARIABLE, "true")
    data = base64.b64encode(b"\x89PNG\r\n\x1a\n and pixels").decode()

    def draw() -> tuple[bytes, str]:
        """Draw."""
        return base64.b64decode(data), "image/png"

    picture = Attachment("image/png", data, "dot.png")
    await Runtime(calling(draw, {})).run(Session(), "look", attachments=[picture])
    assert data not in " ".join(span.to_json() for span in spans.get_finished_spans())
    last = [span for span in spans.get_finished_spans() if span.name.startswith("chat")][-1]
    asked, _, drawn = json.loads(about(last)["gen_ai.input.messages"])
    attachment = {"type": "attachment", "mime_type": "image/png", "name": "dot.png", "size": picture.size}
    assert asked["parts"][1] == attachment
    assert drawn["parts"][1] == {**attachment, "name": ""}


async def refuse(words: str) -> Any:
    """A model that fails."""
    raise ModelError(f"refused: {words}", "rate_limited")
    yield TextDelta("")


# ---------------------------------------------------------------- the context


async def test_a_tools_own_span_is_in_the_calls_also_on_its_thread(spans: Exported) -> None:
    tracer = trace.get_tracer("theirs")

    async def on_the_loop() -> str:
        """Here."""
        with tracer.start_as_current_span("own, on the loop"):
            return "a"

    def on_a_thread() -> str:
        """There."""
        assert threading.current_thread() is not threading.main_thread()
        with tracer.start_as_current_span("own, on a thread"):
            return "b"

    calls = [ToolCall("on_the_loop"), ToolCall("on_a_thread")]
    with tracer.start_as_current_span("the program's"):
        await Runtime(scripted(calls, "done", tools=[on_the_loop, on_a_thread])).run(Session(), "go")
        after = trace.get_current_span().get_span_context().span_id
        assert parent(spans.one("invoke_agent helper")) == after, "the program's span is current again"
    assert parent(spans.one("own, on the loop")) == own(spans.one("execute_tool on_the_loop"))
    assert parent(spans.one("own, on a thread")) == own(spans.one("execute_tool on_a_thread"))
    assert parent(spans.one("invoke_agent helper")) == own(spans.one("the program's"))


async def test_a_models_own_span_is_in_the_chat_span(spans: Exported) -> None:
    def turn(messages: Any) -> str:
        trace.get_tracer("theirs").start_span("request").end()
        return "hi"

    await Runtime(scripted(turn)).run(Session(), "hi")
    assert parent(spans.one("request")) == own(spans.one("chat scripted"))


async def test_a_nested_stream_is_in_the_call_that_started_it(spans: Exported) -> None:
    child = scripted("from the child", name="child")
    lead = scripted(ToolCall("transfer_task", {"agent": "child", "task": "t"}), "done", name="lead", sub_agents=[child])
    await Runtime(lead).run(Session(), "go")
    assert parent(spans.one("invoke_agent child")) == own(spans.one("execute_tool transfer_task"))
    assert parent(spans.one("execute_tool transfer_task")) == own(spans.one("invoke_agent lead"))


async def test_an_mcp_clients_own_span_is_in_the_call(spans: Exported) -> None:
    command, args = servers.second_era()
    toolset = MCPToolset(command, args, name="second")
    agent = scripted(ToolCall("add", {"a": 1, "b": 2}), "done", toolsets=[toolset])
    runtime = Runtime(agent)
    result = await runtime.run(Session(), "go", approve="all")
    await runtime.aclose()
    call = spans.one("execute_tool add")
    assert about(call)["gen_ai.tool.type"] == "extension" and result.messages[2].content == "3"
    theirs = [span for span in spans.get_finished_spans() if "mcp.method.name" in about(span)]
    assert own(call) in {parent(span) for span in theirs}


async def test_parallel_calls_are_beside_one_another(spans: Exported) -> None:
    calls = [ToolCall("add", {"a": n, "b": n}) for n in range(3)]
    await Runtime(scripted(calls, "done", tools=[add])).run(Session(), "go")
    root = own(spans.one("invoke_agent helper"))
    tools = [span for span in spans.get_finished_spans() if span.name == "execute_tool add"]
    assert [parent(span) for span in tools] == [root] * 3


# ---------------------------------------------------------------- what fails or is cut short


def failure(span: ReadableSpan) -> tuple[Any, StatusCode]:
    """How a span failed."""
    return about(span).get("error.type"), span.status.status_code


async def test_what_failed_says_how(spans: Exported) -> None:
    def broken() -> None:
        """Break."""
        raise LookupError("nothing there")

    calls = [ToolCall("broken"), ToolCall("missing"), ToolCall("risky")]
    agent = scripted(calls, tools=[broken, nbagent.tool(approve=True)(risky)])
    with pytest.raises(nbagent.RunError):
        await Runtime(agent).run(Session(), "go", approve="none")
    assert failure(spans.one("execute_tool broken")) == ("LookupError", StatusCode.ERROR)
    assert failure(spans.one("execute_tool missing")) == ("ToolError", StatusCode.ERROR)
    assert failure(spans.one("execute_tool risky")) == ("refused", StatusCode.ERROR)
    assert failure(spans.get_finished_spans()[-2]) == ("model_error", StatusCode.ERROR), "the script has no second turn"
    assert failure(spans.one("invoke_agent helper")) == ("model_error", StatusCode.ERROR)


def risky() -> str:
    """Never called."""
    raise AssertionError


@pytest.mark.parametrize("reason", ["cancelled", "interrupted", "superseded"])
async def test_a_model_call_that_was_cut_short_says_by_what(spans: Exported, reason: Any) -> None:
    model = StalledModel()
    async with Runtime(Agent("helper", model=model)).run_stream(Session(), "hi") as stream:
        await inside(model.inside.wait)
        stream.cancel(reason)
        await stream.join()
    assert failure(spans.one("chat stalled")) == (reason, StatusCode.ERROR)
    assert failure(spans.one("invoke_agent helper")) == (reason, StatusCode.ERROR)
    assert "gen_ai.response.time_to_first_chunk" in about(spans.one("chat stalled"))


async def test_tools_that_were_cut_short_say_so(spans: Exported) -> None:
    began, release = anyio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    async def waits() -> None:
        """Wait."""
        await anyio.sleep_forever()

    def hangs() -> None:
        """Hang."""
        loop.call_soon_threadsafe(began.set)
        release.wait(10)

    agent = scripted([ToolCall("waits"), ToolCall("hangs")], tools=[waits, hangs])
    async with Runtime(agent).run_stream(Session(), "hi") as stream:
        await inside(began.wait)
        stream.cancel("interrupted")
        await stream.join()
    release.set()
    assert failure(spans.one("execute_tool waits")) == ("interrupted", StatusCode.ERROR)
    assert failure(spans.one("execute_tool hangs")) == ("abandoned", StatusCode.ERROR)


async def test_an_interrupt_in_a_tools_code_ends_its_span_too(spans: Exported) -> None:
    async def interrupted() -> None:
        """Be interrupted."""
        raise Interrupted

    events = await events_of(Runtime(calling(interrupted)))
    assert isinstance(events[-1], StreamStopped) and events[-1].reason == "interrupted"
    assert failure(spans.one("execute_tool interrupted")) == ("interrupted", StatusCode.ERROR)
    assert failure(spans.one("invoke_agent helper")) == ("interrupted", StatusCode.ERROR)


async def test_a_stream_that_is_dropped_leaves_no_span_open(spans: Exported) -> None:
    model = StalledModel()
    stream = Runtime(Agent("helper", model=model)).run_stream(Session(), "hi")
    events = stream.__aiter__()
    await inside(model.inside.wait)
    del stream, events
    gc.collect()
    with anyio.fail_after(5):
        while "invoke_agent helper" not in spans.names():
            await anyio.lowlevel.checkpoint()
    assert failure(spans.one("chat stalled"))[0] == "cancelled"


async def test_a_stream_that_ends_before_its_first_step_leaves_no_span_open(spans: Exported) -> None:
    stream = Runtime(scripted("never")).run_stream(Session(), "hi")
    stream.__aiter__()
    stream.cancel()
    await stream.join()
    await ending.settled(5)
    assert failure(spans.one("invoke_agent helper"))[0] == "cancelled"


def test_a_stream_whose_loop_is_closed_over_it_leaves_no_span_open(
    spans: Exported, caplog: pytest.LogCaptureFixture
) -> None:
    async def begin() -> Stream:
        stream = await Runtime(calling(asks)).run_stream(Session(), "hi").__aenter__()
        await until(stream, ElicitationRequest)
        return stream

    loop = asyncio.new_event_loop()
    stream = loop.run_until_complete(begin())
    pending = asyncio.all_tasks(loop)
    loop.close()
    try:
        nbagent.run_sync(scripted("the next run buries it", name="next"), "hi")
        assert stream.stopped is not None
        asyncio.run(ending.settled(5))
        assert failure(spans.one("execute_tool asks"))[0] == "cancelled"
        assert failure(spans.one("invoke_agent helper"))[0] == "cancelled"
    finally:
        for task in pending:
            task._log_destroy_pending = False  # pyright: ignore[reportAttributeAccessIssue]
    assert "detach" not in caplog.text


async def asks() -> str:
    """Ask."""
    return (await nbagent.ask("Who?", NAME_SCHEMA)).action


# ---------------------------------------------------------------- broken tracing


class Broken(SpanProcessor):
    """Fails wherever it can."""

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        raise RuntimeError("broken at the start")

    def on_end(self, span: ReadableSpan) -> None:
        raise RuntimeError("broken at the end")


class BrokenAtTheEnd(SpanProcessor):
    """Fails where a span ends."""

    def on_end(self, span: ReadableSpan) -> None:
        raise SystemExit("broken at the end")


@pytest.mark.parametrize("processor", [Broken(), BrokenAtTheEnd()], ids=["start", "end"])
async def test_a_broken_processor_costs_spans_and_no_stream(
    configure: Configure, processor: SpanProcessor, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(otel, "_broken", set())
    configure(processor)
    runtime, session = Runtime(calling(add, {"a": 1, "b": 2})), Session()
    result = await runtime.run(session, "hi")
    assert result.text == "done"
    assert_nothing_left(runtime, session)
    assert len([record for record in caplog.records if "tracing failed" in record.message]) == 1, "told once"


class BrokenProvider(trace.TracerProvider):
    """Makes no tracer."""

    def get_tracer(self, *args: Any, **kwargs: Any) -> trace.Tracer:
        raise OSError("broken provider")


async def test_a_broken_provider_costs_no_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", BrokenProvider())
    assert (await Runtime(scripted("fine")).run(Session(), "hi")).text == "fine"


class Stuck(SpanProcessor):
    """Waits for a network that never answers."""

    def __init__(self) -> None:
        self.answer = threading.Event()

    def on_end(self, span: ReadableSpan) -> None:
        self.answer.wait(20)


@pytest.mark.parametrize("how", ["completes", "is cancelled"])
async def test_an_exporter_that_hangs_delays_neither_the_stream_nor_its_finalizer(
    configure: Configure, how: str
) -> None:
    stuck, model = Stuck(), StalledModel()
    configure(stuck)
    try:
        if how == "completes":
            with anyio.fail_after(2):
                assert (await Runtime(calling(add, {"a": 1, "b": 2})).run(Session(), "hi")).text == "done"
        else:
            async with Runtime(Agent("helper", model=model)).run_stream(Session(), "hi") as stream:
                await inside(model.inside.wait)
                stream.cancel()
                assert stream.stopped is not None
                with anyio.fail_after(2):
                    await stream.join()
    finally:
        stuck.answer.set()
        await ending.settled(5)


# ---------------------------------------------------------------- off


async def test_nothing_is_made_where_no_provider_is_configured() -> None:
    threads = set(threading.enumerate())
    assert otel.tracer() is None
    assert not trace.get_current_span().is_recording()
    await Runtime(scripted("quiet")).run(Session(), "hi")
    assert set(threading.enumerate()) <= threads


WITHOUT_OTEL = """
import sys, nbagent
from nbagent.models import ScriptedModel
for name in ("opentelemetry", "opentelemetry.trace", "opentelemetry.context"):
    if {blocked}:
        sys.modules[name] = None
print(nbagent.run_sync(nbagent.Agent("a", model=ScriptedModel(["fine"])), "hi").text)
print("opentelemetry.trace" in sys.modules and sys.modules["opentelemetry.trace"] is not None)
"""


@pytest.mark.parametrize("blocked", [True, False])
def test_a_program_without_opentelemetry_runs_and_never_imports_it(blocked: bool) -> None:
    code = WITHOUT_OTEL.format(blocked=blocked)
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout.split(), done.stderr) == (["fine", "False"], "")


AT_EXIT = """
import os, nbagent
from nbagent.models import ScriptedModel
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter(formatter=lambda span: span.name + os.linesep)))
trace.set_tracer_provider(provider)
nbagent.run_sync(nbagent.Agent("a", model=ScriptedModel(["fine"])), "hi")
"""


def test_a_script_that_ends_at_once_has_exported_all() -> None:
    done = subprocess.run([sys.executable, "-c", AT_EXIT], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines() == ["chat scripted", "invoke_agent a"]


# ---------------------------------------------------------------- the log


def fields(record: logging.LogRecord) -> dict[str, Any]:
    """What nbagent adds to a record."""
    return {name.removeprefix("nbagent_"): value for name, value in vars(record).items() if name.startswith("nbagent_")}


async def test_the_log_tells_of_streams_model_calls_and_tool_calls(caplog: pytest.LogCaptureFixture) -> None:
    session = Session()
    with caplog.at_level(logging.DEBUG, "nbagent"):
        result = await Runtime(calling(add, {"a": 1, "b": 2})).run(session, "a private prompt")
    told = [(record.name, record.levelname, fields(record)) for record in caplog.records]
    assert [(name, level) for name, level, _ in told] == [
        ("nbagent.runtime.stream", "INFO"),
        ("nbagent.runtime.model", "DEBUG"),
        ("nbagent.runtime.tool", "DEBUG"),
        ("nbagent.runtime.model", "DEBUG"),
        ("nbagent.runtime.stream", "INFO"),
    ]
    where = {"stream_id": result.stream_id, "session_id": session.id, "agent": "helper", "parent_id": ""}
    for _, _, found in told:
        assert {name: found.pop(name) for name in where} == where
        assert found.pop("duration", 0.0) >= 0.0
    assert [found for _, _, found in told] == [
        {},
        {"model": "scripted", "input_tokens": 3, "output_tokens": 1},
        {"tool": "add", "tool_call_id": session.messages[1].tool_calls[0].id, "toolset": "", "state": "ok"},
        {"model": "scripted", "input_tokens": 4, "output_tokens": 1},
        {"reason": "completed", "input_tokens": 7, "output_tokens": 2},
    ]
    assert "private" not in caplog.text + str([vars(record) for record in caplog.records])


async def test_the_log_says_what_failed(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "nbagent"), pytest.raises(nbagent.RunError):
        await Runtime(scripted(ToolCall("forged\nname"))).run(Session(), "hi")
    tool, model, stream = caplog.records[-3:]
    assert fields(tool)["state"] == "failed" and "\n" not in tool.getMessage()
    assert fields(model)["error_type"] == fields(stream)["error_code"] == "model_error"
    assert fields(stream)["reason"] == "error"


async def test_a_nested_stream_names_its_parent(caplog: pytest.LogCaptureFixture) -> None:
    child = scripted("from the child", name="child")
    lead = scripted(ToolCall("transfer_task", {"agent": "child", "task": "t"}), "done", name="lead", sub_agents=[child])
    with caplog.at_level(logging.INFO, "nbagent"):
        result = await Runtime(lead).run(Session(), "go")
    (began,) = [record for record in caplog.records if record.getMessage().endswith("of child started")]
    assert fields(began)["parent_id"] == result.stream_id


async def test_a_failures_record_says_where_it_happened(caplog: pytest.LogCaptureFixture) -> None:
    def broken(context: Any) -> None:
        raise RuntimeError("hook broken")

    session = Session()
    result = await Runtime(scripted("hi", hooks={"stop": broken})).run(session, "hi")
    (record,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert record.name == "nbagent"
    assert fields(record) == {
        "stream_id": result.stream_id, "session_id": session.id, "agent": "helper", "parent_id": "",
    }  # fmt: skip
    logs.parent.warning("outside of any stream")
    assert fields(caplog.records[-1]) == dict.fromkeys(("stream_id", "session_id", "agent", "parent_id"), "")


class BrokenHandler(logging.Handler):
    """A log handler that fails."""

    def emit(self, record: logging.LogRecord) -> None:
        raise RuntimeError("the log is broken")


async def test_a_broken_log_handler_harms_no_stream() -> None:
    handler, runtime, session = BrokenHandler(), Runtime(calling(add, {"a": 1, "b": 2})), Session()
    logs.stream.addHandler(handler)
    level = logs.stream.level
    logs.stream.setLevel(logging.INFO)
    try:
        assert (await runtime.run(session, "hi")).text == "done"
    finally:
        logs.stream.removeHandler(handler)
        logs.stream.setLevel(level)
    assert_nothing_left(runtime, session)


SILENT = """
import logging, nbagent
from nbagent.models import ScriptedModel
class Failing:
    lossless = True
    async def on_event(self, event): raise RuntimeError("observer broken")
nbagent.run_sync(nbagent.Agent("a", model=ScriptedModel(["fine"])), "hi", observers=[Failing()])
"""


def test_nothing_is_printed_by_default() -> None:
    done = subprocess.run([sys.executable, "-c", SILENT], capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == ("", "")


async def test_a_question_is_part_of_its_tools_span(spans: Exported) -> None:
    runtime = Runtime(scripted(ToolCall("risky_but_fine"), "done", tools=[nbagent.tool(approve=True)(risky_but_fine)]))
    async with runtime.run_stream(Session(), "go") as stream:
        event = await until(stream, ToolCallConfirmation)
        assert spans.names() == ["chat scripted"]
        runtime.answer(event.id, "accept")  # type: ignore[attr-defined]
        async for _ in stream:
            pass
        await stream.join()
    assert spans.names()[1] == "execute_tool risky_but_fine"


def risky_but_fine() -> str:
    """Called once it is approved."""
    return "fine"

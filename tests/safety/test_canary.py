"""Secrets that a kernel knows, and what is typed into a form, are nowhere that a notebook or a log keeps.

Not promised, and so not tested: what the user's own tool reads and returns goes to the model and into the transcript.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.frontend import VIEW, Execution, FrontEnd

KEY = "sk-canary-8d41f6a2c07b"
"""In the environment, as a provider's key."""
TYPED = "typed-canary-3e9b5d"
"""Typed into a form."""

SETUP = """
import logging
logging.basicConfig(filename="log.txt", level=logging.INFO, force=True)
logging.getLogger("nbagent").setLevel(logging.DEBUG)  # at the root, the library comm logs its messages whole
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(out=open("spans.txt", "w", buffering=1))))
trace.set_tracer_provider(provider)

import nbagent
from nbagent import Agent, Runtime
from nbagent.events import JsonlRecorder
from nbagent.models import ScriptedModel, ToolCall
from nbagent.store import SQLiteStore
%load_ext nbagent

async def ask_name() -> str:
    fields = {"name": {"type": "string", "title": "Name"}}
    answer = await nbagent.ask("Who is it?", {"type": "object", "properties": fields})
    if "fail" in str(answer.note) or mode == "fail":
        raise RuntimeError("the tool failed after the form")
    return answer.action

mode = "ok"
turns = ["I **ask**.", ToolCall("ask_name", {})], "Thank you."
clerk = Runtime(
    Agent("clerk", model=ScriptedModel(turns), tools=[ask_name]), SQLiteStore("sessions.db"),
    observers=[JsonlRecorder("events.jsonl")],
)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("canary")


@pytest.fixture(scope="module")
def front(folder: Path) -> Iterator[FrontEnd]:
    env = {"OPENAI_API_KEY": KEY, "ANTHROPIC_API_KEY": KEY, "OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
    with FrontEnd(cwd=str(folder), env=env) as front:
        assert front.run(SETUP).status == "ok"
        yield front


def told(front: FrontEnd) -> str:
    """All that the kernel has published but the widgets' own state, which no notebook keeps."""
    messages = [m for execution in front.executions.values() for m in execution.messages]
    own = ("comm_open", "comm_msg")
    kept = [m for m in messages if m["msg_type"] not in own or m["content"]["data"].get("method") == "custom"]
    return json.dumps([m["content"] for m in kept], default=str) + json.dumps(list(front.displays.values()))


def answered(front: FrontEnd, code: str) -> Execution:
    cell = front.execute(code, code)
    name = front.widget(description="Name", name="TextModel")
    front.type(name, TYPED)
    front.settle(name)
    front.click(front.widget(description="Submit", name="ButtonModel"))
    return front.finish(cell)


def test_neither_a_key_nor_what_was_typed_is_kept_anywhere(front: FrontEnd, folder: Path) -> None:
    assert answered(front, "%agent_run clerk Who is it?").status == "ok"
    front.run("mode = 'fail'")
    answered(front, "%agent_run --new clerk Once more?")
    refused = front.run("await Runtime(Agent('away', model='openai:gpt-5-mini')).run(nbagent.Session(), 'Hi')")
    front.run("%agent_list\n%agent_show\n%agent_pending")
    front.run("1 / 0  # a traceback")
    front.run("%xmode Verbose")  # shows the values of every frame's variables
    front.run("await Runtime(Agent('away', model='openai:gpt-5-mini')).run(nbagent.Session(), 'Hi')\n%tb")
    front.run("nbagent.run_sync(Runtime(Agent('away', model='anthropic:claude-sonnet-4-5')), 'Hi')")
    front.run("def keys():\n    import os\n    return dict(os.environ)")
    wrong = front.run("nbagent.toolsets.MCPToolset('ledger', env=keys(), args=5)")
    front.run("%xmode Context")
    front.run("clerk, nbagent, %agent_list")
    front.drain()
    everything = told(front)
    assert refused.error == "RunError" and wrong.error == "ConfigError"
    assert "the connection failed" in everything
    assert "Who is it?" in everything and "the tool failed after the form" in everything
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert {"log.txt", "spans.txt", "sessions.db", "events.jsonl"} <= set(files)
    assert all(files[name] for name in ("spans.txt", "sessions.db", "events.jsonl"))
    for secret in (KEY, TYPED):
        assert secret not in everything
        assert [name for name, data in files.items() if secret.encode() in data] == []


def test_text_comes_beside_a_live_view_in_a_pause_and_goes_with_it(front: FrontEnd) -> None:
    front.run("mode = 'ok'")
    cell = front.execute("%agent_run --new clerk Who is it?", "beside")
    front.wait_for(lambda: front.widgets(name="AnyModel"))
    (view,) = front.widgets(name="AnyModel")
    front.send(view, {"type": "steady"})
    name = front.widget(description="Name", name="TextModel")
    front.type(name, TYPED)
    kinds = {"text/html", "text/markdown", "text/plain", VIEW}
    front.wait_for(lambda: any(set(shown) == kinds and "Who is it?" in str(shown) for shown in front.displays.values()))
    assert front.widgets(name="AnyModel") == [view]
    front.click(front.widget(description="Submit", name="ButtonModel"))
    front.finish(cell)
    assert [shown for shown in front.displays.values() if VIEW in shown] == []
    assert TYPED not in told(front)

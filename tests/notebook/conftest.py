"""A notebook with nbagent loaded and a few agents, on a real kernel: one kernel a module, since each takes a second."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kernel.environments import kernels
from tests.kernel.frontend import Execution, FrontEnd

SETUP = """
import asyncio, signal, threading, time
import nbagent
from nbagent import Agent, Runtime, Session
from nbagent.models import ScriptedModel, ToolCall
%load_ext nbagent

CITY = {
    "type": "object",
    "properties": {"city": {"type": "string", "title": "City", "minLength": 2}},
    "required": ["city"],
}

async def ask_city() -> str:
    answer = await nbagent.ask("Which city?", CITY)
    return f"{answer.action} {answer.content} {answer.note}"

async def ask_two() -> str:
    one, two = await asyncio.gather(nbagent.ask("First?", CITY), nbagent.ask("Second?", CITY))
    return f"{one.content} {two.content}"

async def sleep_async() -> str:
    await asyncio.sleep(60)
    return "slept"

def sleep_sync() -> str:
    while not nbagent.cancelled():
        time.sleep(0.01)
    return "slept"

@nbagent.tool(approve=True)
def danger(what: str) -> str:
    return f"did {what}"

TOOLS = [ask_city, ask_two, sleep_async, sleep_sync, danger]

def agent(name, *turns, **options):
    delay = options.pop("delay", 0.0)
    return Agent(name, model=ScriptedModel(list(turns), delay=delay), tools=TOOLS, **options)

helper = agent("helper", *["Hello **you**."] * 50)
echo = agent("echo", *[lambda messages: f"heard: {messages[-1].content}"] * 50)
asking = agent("asking", *[ToolCall("ask_city", {}), lambda messages: messages[-1].content] * 50)
sleeper = agent("sleeper", *[["Let me see. ", ToolCall("sleep_async", {})]] * 50)
sync_sleeper = agent("sync_sleeper", *[["Let me see. ", ToolCall("sleep_sync", {})]] * 50)
writer = agent("writer", *["word " * 3000] * 50, delay=0.01)
failing = agent("failing")
harmful = agent("harmful", *[ToolCall("danger", {"what": "harm"}), lambda messages: messages[-1].content] * 50)

def owned():
    from nbagent import magics
    from nbagent.kernel import current
    from nbagent.runtime import live_runs
    tasks = [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("nbagent")]
    handler = getattr(signal.getsignal(signal.SIGINT), "__qualname__", "")
    return current().idle, live_runs(), tasks, handler
"""

WARM = "import jsonschema, nbagent.schema, nbagent.widgets.forms; nbagent.schema.warm()"
"""Waits for what the extension imports beside the cells, so that no test measures that."""

NOTHING = "(True, (), [], 'default_int_handler')"
"""What ``owned()`` shows where no run is left: no gate, no stream, no task, Python's own handler of SIGINT."""


@pytest.fixture(scope="module", params=kernels())
def notebook(request: pytest.FixtureRequest) -> Iterator[FrontEnd]:
    """A notebook with `SETUP` run in it."""
    with FrontEnd(request.param) as front:
        assert front.run(SETUP).status == front.run(WARM).status == "ok"
        yield front


@pytest.fixture
def front(notebook: FrontEnd) -> Iterator[FrontEnd]:
    """The module's notebook; what a failed test left running in it is interrupted, so that it fails no other."""
    yield notebook
    while waiting := [execution for execution in notebook.executions.values() if not execution.done]:
        notebook.interrupt()
        notebook.finish(waiting[0])


@pytest.fixture(params=kernels())
def fresh(request: pytest.FixtureRequest) -> Iterator[FrontEnd]:
    """The same, for a test that leaves its kernel in no state for others."""
    with FrontEnd(request.param) as front:
        assert front.run(SETUP).status == front.run(WARM).status == "ok"
        yield front


def value(front: FrontEnd, expression: str) -> str:
    """The repr of an expression in the kernel: what the cell returned, not a display that stands under it."""
    execution = front.run(expression)
    assert execution.status == "ok", execution.reply
    return result(execution)[-1]


def kept(execution: Execution) -> dict[str, str]:
    """What the cell's last display keeps, as a saved notebook does: its final update."""
    updates = [m["content"]["data"] for m in execution.outputs if m["msg_type"] == "update_display_data"]
    return updates[-1]


def kept_later(front: FrontEnd, execution: Execution) -> dict[str, str]:
    """The same for a background run, waited for: a run has ended a moment before its cell says so.

    Front ends find the output by its display id alone: the update may stand under whatever cell ran when it came. The
    final one has no view in it any more.
    """
    (shown,) = {m["content"]["transient"]["display_id"] for m in execution.outputs if m["msg_type"] == "display_data"}

    def final() -> list[dict[str, str]]:
        messages = [m for other in front.executions.values() for m in other.outputs]
        updates = [m["content"] for m in messages if m["msg_type"] == "update_display_data"]
        mine = [content["data"] for content in updates if content["transient"]["display_id"] == shown]
        return [data for data in mine if "application/vnd.jupyter.widget-view+json" not in data]

    front.wait_for(final)
    return final()[-1]


def result(execution: Execution) -> list[str]:
    """What was echoed as the cell's value."""
    return [m["content"]["data"]["text/plain"] for m in execution.outputs if m["msg_type"] == "execute_result"]

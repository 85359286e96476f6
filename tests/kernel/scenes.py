"""What the kernel tests of whole runs play: agents on the reference server, and what they leave in the kernel.

`SETUP` is executed once in a fresh kernel. Every agent stands in a `Runtime` whose observer keeps the events, so that
a test can ask the kernel afterwards what happened when.
"""

from __future__ import annotations

import ast
from typing import Any

from tests.kernel.frontend import FrontEnd
from tests.servers import everything

SETUP = """
%load_ext nbagent
import asyncio, gc, json, os, signal, threading, time
import nbagent
from nbagent import Agent, Runtime
from nbagent.models import ScriptedModel, ToolCall
from nbagent.runtime import live_runs
from nbagent.toolsets import MCPToolset

class Recorder:
    lossless = True
    def __init__(self):
        self.events = []
    async def on_event(self, event):
        self.events.append(event)

recorder = Recorder()

def runtime(*turns, delay=0.0, **options):
    return Runtime(Agent("helper", model=ScriptedModel(turns, delay=delay), **options), observers=[recorder])

def left():
    "What a run must not leave behind."
    bridges = [value.bridge for value in globals().values() if isinstance(value, Runtime)]
    return {
        "current": [bridge.current for bridge in bridges if bridge.current is not None],
        "pending": [question for bridge in bridges for question in bridge.pending],
        "live": list(live_runs()),
        "tasks": [task.get_name() for task in asyncio.all_tasks() if "nbagent stream" in task.get_name()],
        "handler": signal.getsignal(signal.SIGINT) is handler_before,
        "gate": nbagent.kernel.current().idle,
    }

handler_before = signal.getsignal(signal.SIGINT)
"""

CLEAN = {"current": [], "pending": [], "live": [], "tasks": [], "handler": True, "gate": True}


def everything_setup() -> str | None:
    """Code that makes ``server``, the reference server's toolset; None where the server is not here."""
    found = everything()
    if found is None:
        return None
    command, arguments = found
    return f"server = MCPToolset({command!r}, {arguments!r}, name='everything')\n"


def value(front: FrontEnd, expression: str) -> Any:
    """A Python literal from the kernel."""
    execution = front.run(f"print({expression})")
    assert execution.status == "ok", execution.error
    return ast.literal_eval(execution.text)


def transcript(execution: Any) -> str:
    """The finished transcript of a cell, as plain text."""
    updates = [m for m in execution.outputs if m["msg_type"] in ("display_data", "update_display_data")]
    return str(updates[-1]["content"]["data"]["text/plain"])

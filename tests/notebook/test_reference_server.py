"""The main job, end to end: the form of the MCP reference server, filled in a running cell, echoed by the server."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests import servers
from tests.kernel.environments import kernels
from tests.kernel.frontend import FrontEnd
from tests.notebook.conftest import NOTHING, SETUP, kept, value

FILLED: dict[str, tuple[dict[str, Any], str, Any]] = {
    "String": ({"value": "Ada Lovelace"}, "name", "Ada Lovelace"),
    "Boolean": ({"value": True}, "check", True),
    "String with default": ({"value": "Call me Ishmael."}, "firstLine", "Call me Ishmael."),
    "String with email format": ({"value": "ada@example.org"}, "email", "ada@example.org"),
    "String with uri format": ({"value": "https://example.org/ada"}, "homepage", "https://example.org/ada"),
    "String with date format": ({"value": {"year": 1815, "month": 11, "date": 10}}, "birthdate", "1815-12-10"),
    "Integer": ({"value": "7"}, "integer", 7),
    "Number in range 1-1000": ({"value": "2.5"}, "number", 2.5),
    "Untitled Single Select Enum": ({"index": 5}, "untitledSingleSelectEnum", "Ross"),
    "Untitled Multiple Select Enum": ({"index": [1, 3]}, "untitledMultipleSelectEnum", ["Piano", "Drums"]),
    "Titled Single Select Enum": ({"index": 3}, "titledSingleSelectEnum", "hero-3"),
    "Titled Multiple Select Enum": ({"index": [0, 2]}, "titledMultipleSelectEnum", ["fish-1", "fish-3"]),
    "Legacy Titled Single Select Enum": ({"index": 4}, "legacyTitledEnum", "pet-4"),
}
"""By the title of each of the 13 fields: the state that a person's hand makes, the field's name, what is to arrive."""

SERVED = """
from nbagent.toolsets import MCPToolset
answered = []

class Watch:
    lossless = True

    async def on_event(self, event):
        if event.type == "tool_call_response":
            answered.append(event.timestamp)

turns = [ToolCall("trigger-elicitation-request", {{}}), lambda messages: messages[-1].content]
every = Agent("every", model=ScriptedModel(turns * 99), toolsets=[MCPToolset({command!r}, args={args!r})])
every = Runtime(every, observers=[Watch()])
"""

AWAITED = "x = %agent_run --approve all -n every go"
REENTERED = f"def f():\n    {AWAITED}\n    return x\nx = f()"


@pytest.fixture(scope="module", params=kernels())
def front(request: pytest.FixtureRequest) -> Iterator[FrontEnd]:
    """A notebook with an agent whose server is the reference server."""
    found = servers.everything()
    if found is None:
        pytest.skip(servers.REMEDY)
    with FrontEnd(request.param) as front:
        assert front.run(SETUP).status == "ok"
        assert front.run(SERVED.format(command=found[0], args=found[1])).status == "ok"
        yield front


def fill(front: FrontEnd) -> None:
    """Fill every field of the form that is open, as a person does: one after the other, the first by typing."""
    front.widget(description="Submit")
    for title, (state, _, _) in FILLED.items():
        model = front.widget(description=title)
        if title == "String":
            front.type(model, state["value"])
        else:
            front.set_state(model, state)
    for title in FILLED:
        front.settle(front.widget(description=title))
    front.wait_for(lambda: not front.widget(description="Submit").state["disabled"])


@pytest.mark.parametrize("subshell", [False, True], ids=["main shell", "subshell"])
@pytest.mark.parametrize("code", [AWAITED, REENTERED], ids=["awaited", "re-entered"])
def test_the_reference_servers_form_is_filled_and_echoed(front: FrontEnd, code: str, subshell: bool) -> None:
    over_subshell = subshell and front.has_subshells  # where there are none, this is the main shell once more
    front.subshell_for_comms = front.create_subshell() if over_subshell else None
    try:
        cell = front.execute(code, "reference")
        behind = [front.execute(f"print({number})") for number in (1, 2)]
        fill(front)
        front.click(front.widget(description="Submit"))
        front.finish(cell)
    finally:
        front.subshell_for_comms = None
    assert [front.finish(execution).text for execution in behind] == ["1\n", "2\n"]
    front.run("print(x.text)")
    said = front.run("print(x.text)").text
    raw = json.loads(said[said.index("Raw result:") + len("Raw result:") :])
    assert raw == {"action": "accept", "content": {name: wanted for _, name, wanted in FILLED.values()}}
    assert "Ada Lovelace" in kept(cell)["text/html"]
    assert front.widgets() == []
    assert value(front, "owned()") == NOTHING


def test_an_out_of_bounds_value_is_not_sent(front: FrontEnd) -> None:
    cell = front.execute(AWAITED)
    fill(front)
    front.set_state(front.widget(description="Integer"), {"value": "101"})
    front.wait_for(lambda: front.widget(description="Submit").state["disabled"])
    front.click(front.widget(description="Submit"))
    front.settle(front.widget(description="Integer"))
    assert not cell.done
    front.set_state(front.widget(description="Integer"), {"value": "100"})
    front.wait_for(lambda: not front.widget(description="Submit").state["disabled"])
    front.click(front.widget(description="Submit"))
    front.finish(cell)
    assert '"integer": 100' in front.run("print(x.text)").text


def test_each_click_brings_its_tool_result_and_the_median_time_is_printed(front: FrontEnd) -> None:
    took: list[float] = []
    for _ in range(5):
        cell = front.execute(AWAITED)
        fill(front)
        clicked = time.time()
        front.click(front.widget(description="Submit"))
        front.finish(cell)
        took.append(float(value(front, "answered[-1]")) - clicked)
    median = statistics.median(took)
    print(f"click to tool result: median {median * 1000:.0f} ms of {[round(t * 1000) for t in took]}")
    assert min(took) > 0, "each result came after its click"

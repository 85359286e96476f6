"""The reference server's form of 13 fields, answered while the cell runs (K1, K2), on each kernel and in each way."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest

from tests.kernel.environments import kernels
from tests.kernel.frontend import FrontEnd, Model
from tests.kernel.scenes import CLEAN, SETUP, everything_setup, transcript, value
from tests.servers import REMEDY

pytestmark = [pytest.mark.slow, pytest.mark.skipif(everything_setup() is None, reason=REMEDY)]

AGENT = """
asker = runtime(ToolCall("trigger-elicitation-request"), "Thank you.", toolsets=[server])
def plain():
    return get_ipython().run_line_magic("agent_run", "--new --approve all asker Ask me.")
"""
CELLS = {"awaited": "r = %agent_run --new --approve all asker Ask me.", "re-entered": "r = plain()"}


@pytest.fixture(scope="module", params=kernels())
def front(request: pytest.FixtureRequest) -> Iterator[FrontEnd]:
    with FrontEnd(request.param) as front:
        execution = front.run(SETUP + (everything_setup() or "") + AGENT)
        assert execution.status == "ok", execution.error
        yield front


@pytest.fixture(params=["main shell", "subshell"])
def shell(request: pytest.FixtureRequest, front: FrontEnd) -> Iterator[str]:
    """Where the comm messages go; subshells exist since ipykernel 7."""
    if request.param == "subshell":
        if value(front, "__import__('ipykernel').version_info[0]") < 7:
            pytest.xfail("ipykernel 6 has no subshells")
        front.subshell_for_comms = front.create_subshell()
    yield request.param
    front.subshell_for_comms = None


def _field(front: FrontEnd, title: str) -> Model:
    return front.widget(description=title)


def _choose(model: Model, label: str) -> dict[str, Any]:
    return {"index": list(model.state["_options_labels"]).index(label)}


def _fill(front: FrontEnd) -> dict[str, Any]:
    """Fill the whole form, two fields key by key under the throttle, and return what was meant."""
    front.type(_field(front, "String"), "Ada Lovelace")
    front.type(_field(front, "String with email format"), "ada@example.org")
    front.set_state(_field(front, "Boolean"), {"value": True})
    front.set_state(_field(front, "String with uri format"), {"value": "https://example.org/ada"})
    born = date(1815, 12, 10)
    front.set_state(
        _field(front, "String with date format"),
        {"value": {"year": born.year, "month": born.month - 1, "date": born.day}},
    )
    front.set_state(_field(front, "Integer"), {"value": "7"})
    front.set_state(_field(front, "Number in range 1-1000"), {"value": "2.5"})
    for title, label in (
        ("Untitled Single Select Enum", "Joey"),
        ("Titled Single Select Enum", "Wonder Woman"),
        ("Legacy Titled Single Select Enum", "Birds"),
    ):
        front.set_state(_field(front, title), _choose(_field(front, title), label))
    for model in list(front.models.values()):
        front.settle(model)
    return {
        "name": "Ada Lovelace",
        "check": True,
        "email": "ada@example.org",
        "homepage": "https://example.org/ada",
        "birthdate": "1815-12-10",
        "integer": 7,
        "number": 2.5,
        "untitledSingleSelectEnum": "Joey",
        "titledSingleSelectEnum": "hero-3",
        "legacyTitledEnum": "pet-3",
        "firstLine": "It was a dark and stormy night.",
        "untitledMultipleSelectEnum": ["Guitar"],
        "titledMultipleSelectEnum": ["fish-1"],
    }


def _echo(front: FrontEnd) -> dict[str, Any]:
    """The values that the server says it got."""
    text = value(front, "repr(next(m.content for m in r.messages if m.role == 'tool'))")
    assert "provided the requested information" in text
    return dict(json.loads(text.split("Raw result:", 1)[1])["content"])


@pytest.mark.parametrize("way", CELLS)
def test_k2_the_form_is_answered_while_the_cell_runs(front: FrontEnd, shell: str, way: str) -> None:
    cell = front.execute(CELLS[way], cell_id=f"{way} {shell}")
    front.widget(description="Submit", timeout=30)
    meant = _fill(front)
    assert not cell.done
    submit = front.widget(description="Submit")
    front.wait_for(lambda: not submit.state["disabled"])
    front.click(submit)
    front.finish(cell)
    assert cell.status == "ok", cell.error
    assert "Ada Lovelace" in transcript(cell) and "Thank you." in transcript(cell)
    assert _echo(front) == meant
    assert value(front, "left()") == CLEAN


@pytest.mark.parametrize("way", CELLS)
def test_k2_cells_queued_behind_the_form_run_afterwards_in_order(front: FrontEnd, shell: str, way: str) -> None:
    front.run("order = []")
    cell = front.execute(f"{CELLS[way]}\norder.append(0)")
    behind = [front.execute(f"order.append({n})") for n in range(1, 6)]
    front.type(front.widget(description="String", timeout=30), "Ada")
    submit = front.widget(description="Submit")
    front.wait_for(lambda: not submit.state["disabled"])
    assert not any(execution.done for execution in (cell, *behind))
    front.click(submit)
    for execution in (cell, *behind):
        assert front.finish(execution).status == "ok", execution.error
    assert value(front, "order") == [0, 1, 2, 3, 4, 5]


def test_k2_from_click_to_tool_result_takes_under_100_ms_at_the_median(
    front: FrontEnd, capsys: pytest.CaptureFixture[str]
) -> None:
    seconds: list[float] = []
    for n in range(10):
        cell = front.execute(CELLS["awaited"], cell_id=f"latency {n}")
        front.type(front.widget(description="String", timeout=30), "Ada")
        submit = front.widget(description="Submit")
        front.wait_for(lambda submit=submit: not submit.state["disabled"])
        clicked = time.time()
        front.click(submit)
        assert front.finish(cell).status == "ok", cell.error
        responded = value(front, "[e.timestamp for e in recorder.events if e.type == 'tool_call_response'][-1]")
        seconds.append(responded - clicked)
    version = value(front, "repr(__import__('ipykernel').__version__)")
    with capsys.disabled():
        print(f"\nipykernel {version}: click to tool result {statistics.median(seconds) * 1000:.0f} ms at the median")
    assert statistics.median(seconds) < 0.1

"""P10 under nbclient, which runs no JavaScript and allows no stdin: notebooks end by themselves and read well."""

from __future__ import annotations

import time
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from tests.notebook.conftest import SETUP

WIDGET = "application/vnd.jupyter.widget-view+json"


def executed(*sources: str, **options: Any) -> list[Any]:
    """The outputs of each cell after the first, of a notebook that nbclient has run in a real kernel."""
    notebook = new_notebook(cells=[new_code_cell(source) for source in (SETUP, *sources)])
    NotebookClient(notebook, timeout=60, kernel_name="python3", **options).execute()
    nbformat.validate(notebook)
    return [cell.outputs for cell in notebook.cells[1:]]


def test_p10_a_notebook_without_a_reader_ends_by_itself_with_its_forms_declined() -> None:
    began = time.monotonic()
    first, second = executed("%agent_run asking go", "%agent_run harmful go")
    assert time.monotonic() - began < 60
    for outputs in (first, second):
        (output,) = outputs
        assert set(output.data) == {"text/html", "text/markdown", "text/plain"}
        assert WIDGET not in output.data
        assert "no page showed the transcript within 3 s" in output.data["text/plain"]
    assert "Which city?" in first[0].data["text/markdown"]


def test_answers_given_beforehand_are_used() -> None:
    (outputs,) = executed("form = {'city': 'Quito'}\n%agent_run --answers form asking go")
    assert "Quito" in outputs[0].data["text/markdown"]


def test_a_failing_run_stops_the_notebook_unless_errors_are_allowed() -> None:
    failed, after = executed("%agent_run failing hi", "%agent_run helper hi", allow_errors=True)
    assert [output.output_type for output in failed] == ["display_data", "error"]
    assert len(failed[1].traceback) == 1
    assert "Hello" in after[0].data["text/markdown"]


WAITING = """
go_on = asyncio.Event()
async def wait() -> str:
    await go_on.wait()
    return "waited"
waiting = Agent("waiting", model=ScriptedModel([ToolCall("wait", {}), "Hello **you**."]), tools=[wait])
one = %agent_run -n -b waiting hi
two = %agent_run -n -b sleeper go
three = %agent_run -n -b --plain sleeper go
"""


def test_a_background_run_that_ends_while_another_cell_runs_is_whole_in_its_own() -> None:
    begun, waited = executed(
        WAITING, "go_on.set()\ntwo.cancel()\nthree.cancel()\n[(await run).reason for run in (one, two, three)]"
    )
    assert [set(output.data) for output in begun] == [{"text/html", "text/markdown", "text/plain"}] * 3
    assert "Hello" in begun[0].data["text/markdown"]
    assert ["Stopped after" in output.data["text/plain"] for output in begun] == [False, True, True]
    assert [output.output_type for output in waited] == ["execute_result"]

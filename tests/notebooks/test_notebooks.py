"""Every notebook runs where nobody can answer, by discovery, and reads well afterwards without kernel or widgets."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter, MarkdownExporter
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook

from nbagent.__main__ import main
from tests.notebooks.reader import executed

pytestmark = pytest.mark.slow

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
WIDGET = "application/vnd.jupyter.widget-view+json"


@pytest.fixture(scope="module")
def quickstart() -> NotebookNode:
    """The quickstart after a run without answers, and its exercise after it."""
    began = time.monotonic()
    notebook = executed(NOTEBOOKS / "00_quickstart.ipynb", answer=False, solve=True)
    assert time.monotonic() - began < 120
    return notebook


def outputs(notebook: NotebookNode, part: str) -> list[NotebookNode]:
    """The outputs of the cell whose source contains `part`."""
    return next(cell.outputs for cell in notebook.cells if cell.cell_type == "code" and part in cell.source)


def text(notebook: NotebookNode, part: str) -> str:
    """The same as plain text, all white space alike."""
    shown = (output.get("text") or output.data["text/plain"] for output in outputs(notebook, part))
    return " ".join(" ".join(shown).split())


TUTORIALS = sorted(path for path in NOTEBOOKS.glob("*.ipynb") if path.stem != "00_quickstart")
"""Those that end with assertions; the quickstart has tests of its own below."""


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_keeps_what_it_promises_within_two_minutes(path: Path, tmp_path: Path) -> None:
    began = time.monotonic()
    notebook = executed(Path(shutil.copy(path, tmp_path)), solve=True)  # its exercise's solution runs too
    assert time.monotonic() - began < 120
    assert "assert " in notebook.cells[-1].source
    assert [file.name for file in tmp_path.iterdir()] == [path.name]  # it tidies up what it wrote


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_opens_with_what_you_learn_and_ends_with_an_exercise(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    assert texts[0].startswith("# ")
    assert "you will" in texts[0] or path.stem == "00_quickstart"
    assert texts[-1].startswith("## Exercise")
    assert "<summary>A solution</summary>" in texts[-1]
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)


def test_headless_the_quickstart_ends_by_itself_and_declines_its_form(quickstart: NotebookNode) -> None:
    shown = text(quickstart, "picnic for Saturday")
    assert "scripted demo" in shown
    assert "No table this time: the form was declined" in shown


def test_answers_handed_over_beforehand_reach_the_form(quickstart: NotebookNode) -> None:
    shown = text(quickstart, "picnic for Sunday")
    assert "The night shift" in shown
    assert "by the lake" in shown


def test_a_result_is_echoed_only_where_it_is_asked_for(quickstart: NotebookNode) -> None:
    assert text(quickstart, "result.text") == repr("Nineteen and twenty-three make **42**.")
    assert [output.output_type for output in outputs(quickstart, "storyteller")] == ["display_data"]


def test_a_saved_transcript_needs_no_widget(quickstart: NotebookNode) -> None:
    runs = [cell for cell in quickstart.cells if cell.cell_type == "code" and "%agent_run" in cell.source]
    assert len(runs) == 6  # the last is the exercise's
    for cell in runs:
        assert [output.output_type for output in cell.outputs] == ["display_data"]
        assert {"text/plain", "text/markdown", "text/html"} <= cell.outputs[0].data.keys()
        assert WIDGET not in cell.outputs[0].data


@pytest.mark.parametrize("exporter", [HTMLExporter, MarkdownExporter])
def test_an_exported_page_shows_prompt_text_call_and_answer(
    quickstart: NotebookNode, exporter: type[HTMLExporter | MarkdownExporter]
) -> None:
    bare = nbformat.from_dict(quickstart)
    bare.metadata.pop("widgets", None)
    page, _ = exporter().from_notebook_node(bare)
    for part in ("Plan a picnic for Saturday", "no language model is asked", "find_table", "No table this time"):
        assert part in page
    for part in ("How much is 19 + 23?", "Nineteen and twenty-three make", "add", "42"):
        assert part in page


@pytest.mark.timed
def test_the_demo_command_answers_the_form_tells_it_and_keeps_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    began = time.monotonic()
    assert main(["demo", "--output", str(tmp_path)]) == 0
    assert time.monotonic() - began < 60
    told = capsys.readouterr().out
    assert "Ada and friends" in told
    assert "make lab" in told.splitlines()[-1]
    assert "\x1b" not in told
    assert "Ada and friends" in (tmp_path / "00_quickstart.html").read_text(encoding="utf-8")
    kept = nbformat.read(tmp_path / "00_quickstart.ipynb", as_version=4)
    assert "Ada and friends" in text(kept, "picnic for Saturday")


def test_the_readmes_ten_lines_run_as_they_stand() -> None:
    readme = (NOTEBOOKS.parent / "README.md").read_text(encoding="utf-8")
    example = readme.split("```python\n")[1].split("```")[0]
    assert len(example.strip().splitlines()) == 10
    notebook = new_notebook(cells=[new_code_cell(example)])
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    assert "You said: None" in text(notebook, "load_ext")

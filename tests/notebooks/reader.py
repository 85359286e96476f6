"""A reader of the notebooks: answers their forms, as the metadata of each cell says a person would.

A cell that asks carries ``{"reader": {"answers": {…}, "options": "…"}}``; its `%agent_run` gets these before a
notebook is executed where nobody can see a form. People who open the notebook see none of it.

    python -m tests.notebooks.reader FOLDER     # a copy of notebooks/ whose tutorials are executed, for the site
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
RUN = "%agent_run "
SOLUTION = "<summary>A solution</summary>"


def answered(notebook: NotebookNode) -> NotebookNode:
    """`notebook` with the answers handed over; changed in place."""
    for cell in notebook.cells:
        reader = cell.metadata.get("reader")
        if reader is None:
            continue
        assert RUN in cell.source, f"there is nothing to answer in {cell.source!r}"
        options = reader.get("options", "")
        if "answers" in reader:
            cell.source = f"_answers = {dict(reader['answers'])!r}\n{cell.source}"
            options = f"{options} --answers _answers".strip()
        cell.source = cell.source.replace(RUN, f"{RUN}{options} ", 1)
    return notebook


def solved(notebook: NotebookNode) -> NotebookNode:
    """`notebook` with the solution of its exercise in cells of its own, below the exercise; changed in place.

    Nobody is there to interrupt the egg that boils for minutes, so that it is done at once.
    """
    place = max(place for place, cell in enumerate(notebook.cells) if SOLUTION in cell.source)
    source = notebook.cells[place].source.replace('"minutes": 5', '"minutes": 0')
    blocks = re.findall(r"^```python\n(.*?)^```", source, re.DOTALL | re.MULTILINE)
    assert blocks, "a solution is code that runs"
    notebook.cells[place + 1 : place + 1] = [new_code_cell(block, metadata={"tags": ["solution"]}) for block in blocks]
    return notebook


def executed(path: Path, *, answer: bool = True, solve: bool = False) -> NotebookNode:
    """The notebook at `path`, executed in a new kernel by nbclient, in its own folder."""
    notebook = nbformat.read(path, as_version=4)
    if answer:
        answered(notebook)
    if solve:
        solved(notebook)
    client = NotebookClient(notebook, timeout=60, kernel_name="python3", resources={"metadata": {"path": path.parent}})
    return client.execute()


def main(folder: Path) -> None:
    """Copy the notebooks and the pages beside them into `folder`, the notebooks executed, their sources as written."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(NOTEBOOKS, folder / NOTEBOOKS.name)
    for page in NOTEBOOKS.parent.glob("*.md"):  # some pages quote these
        shutil.copy(page, folder)
    for path in sorted((folder / NOTEBOOKS.name).glob("*.ipynb")):
        written = nbformat.read(path, as_version=4)
        notebook = executed(path)
        sources = [cell.source for cell in written.cells]
        for cell, source in zip(notebook.cells, sources, strict=True):
            cell.source = source
        notebook.metadata.pop("widgets", None)
        nbformat.write(notebook, path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

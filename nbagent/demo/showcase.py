"""``python -m nbagent demo``: the quickstart, executed in a real kernel and told in the terminal.

The notebook is the one that people open; it runs under nbclient, which shows no forms, so the answers to its form are
handed over beforehand through ``--answers``, visibly, in a cell of their own. It leaves the executed notebook and an
HTML copy in a folder. nbclient, nbconvert and nbformat are imported here alone, and where they are missing one line
says what to install.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (the notebook libraries carry no types)

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbagent._install import install_hint

if TYPE_CHECKING:
    from nbformat import NotebookNode

ANSWERS: dict[str, Any] = {
    "name": "Ada and friends",
    "guests": 6,
    "place": "under the lime trees",
    "arrival": "13:00",
    "extras": ["shade", "drinking water"],
    "dog": True,
}
"""What the demo fills in; the fields are those of `nbagent.demo.server.Wishes`."""

ASKS = "asks"
"""The tag of the cells whose form is to be answered."""


def quickstart() -> Path:
    """Where the quickstart is: beside this file in an installed package, in ``notebooks/`` in a working copy."""
    packaged = Path(__file__).with_name("00_quickstart.ipynb")
    return packaged if packaged.exists() else Path(__file__).parents[2] / "notebooks" / packaged.name


def hand_over(notebook: NotebookNode, answers: dict[str, Any]) -> None:
    """Give each cell tagged `ASKS` the option ``--answers``, and define them in a new cell before the first of these.

    Parameters
    ----------
    notebook
        Changed in place.
    answers
        Values by the form's field names.
    """
    from nbformat.v4 import new_code_cell

    asking = [cell for cell in notebook.cells if ASKS in cell.metadata.get("tags", ())]
    for cell in asking:
        cell.source = cell.source.replace("%agent_run ", "%agent_run --answers form_answers ")
    why = "# Put here by `python -m nbagent demo`: nobody can fill a form in here."
    lines = [f"    {name!r}: {value!r}," for name, value in answers.items()]
    source = "\n".join([why, "form_answers = {", *lines, "}"])
    cell = new_code_cell(source, metadata={"tags": ["injected-parameters"]})
    notebook.cells.insert(notebook.cells.index(asking[0]), cell)


def told(cell: NotebookNode) -> str:
    """A code cell and its outputs as text for a terminal."""
    prompt = "\n".join(f"  {line}" for line in cell.source.splitlines())
    parts = [f"In [{cell.execution_count}]:\n{prompt}"]
    for output in cell.outputs:
        if output.output_type == "stream":
            parts.append(output.text.rstrip())
        elif output.output_type == "error":
            parts.append("\n".join(output.traceback))
        else:
            parts.append(str(output.data.get("text/plain", "")).rstrip())
    return "\n\n".join(part for part in parts if part)


def execute(notebook: NotebookNode) -> None:
    """Execute `notebook` in a new kernel, telling each code cell as soon as it has ended.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        A cell failed.
    """
    from nbclient import NotebookClient

    def tell(cell: NotebookNode, cell_index: int, **_: Any) -> None:
        if cell.cell_type == "code":
            print(told(cell), end="\n\n", flush=True)

    client = NotebookClient(
        notebook, timeout=60, kernel_name="python3", extra_arguments=["--log-level=ERROR"], on_cell_executed=tell
    )
    client.execute()


def save(notebook: NotebookNode, folder: Path) -> list[Path]:
    """Write `notebook` and its HTML copy into `folder`, and say where they are."""
    import nbformat
    from nbconvert import HTMLExporter

    folder.mkdir(parents=True, exist_ok=True)
    copy, page = folder / "00_quickstart.ipynb", folder / "00_quickstart.html"
    nbformat.write(notebook, copy)
    html, _ = HTMLExporter().from_notebook_node(notebook)
    page.write_text(html, encoding="utf-8")
    return [copy, page]


def main(folder: Path) -> int:
    """Execute the quickstart, tell it, and keep the result.

    Parameters
    ----------
    folder
        Where the executed notebook and its HTML copy go; made where it is missing.

    Returns
    -------
    int
        The exit status: 1 where something is missing or a cell failed.
    """
    try:
        import nbclient.exceptions
        import nbconvert  # noqa: F401  # pyright: ignore[reportUnusedImport]
        import nbformat
    except ImportError as missing:
        library = (missing.name or "nbclient").partition(".")[0]
        print(f"The demo needs {library}: {install_hint('demo')}", file=sys.stderr)
        return 1
    began = time.monotonic()
    notebook = nbformat.read(quickstart(), as_version=4)
    hand_over(notebook, ANSWERS)
    status = 0
    try:
        execute(notebook)
    except nbclient.exceptions.CellExecutionError as failed:
        print(failed, file=sys.stderr)
        status = 1
    written = save(notebook, folder)
    print(f"Executed in {time.monotonic() - began:.0f} s. Written: {', '.join(str(path) for path in written)}")
    print("`make lab` opens the same notebook in JupyterLab, where you fill in the form yourself.")
    return status

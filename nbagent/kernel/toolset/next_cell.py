"""add_cell: a new cell with the agent's code below the cell that runs, for the user to read and to run.

It rides on the cell's execute_reply, as the payload ``set_next_input``: nothing else that a kernel may send makes a
cell. A reply carries one such payload (the kernel keeps the last, JupyterLab takes the first), so what several calls
give is joined. A front end makes the cell when the reply comes, which is when the cell ends well. Where no cell runs
that the run is a part of, a payload would ride on some later reply, and is refused. Below: `attachment`. Above:
`toolset`.
"""

from __future__ import annotations

from typing import Any

from nbagent.errors import ToolError
from nbagent.kernel.attachment import current

NO_CELL = "No cell can be added: "


def add(code: str, shell: Any) -> str:
    """Have the front end add the cell; what the model is told.

    Raises
    ------
    ToolError
        None can be added from here.
    """
    if not code.strip():
        raise ToolError("The code is empty.")
    _check_cell(shell)
    given = next((p for p in shell.payload_manager.read_payload() if p.get("source") == "set_next_input"), None)
    if given is None:
        shell.set_next_input(code, replace=False)
        return "A new cell with this code appears below the running cell when that ends; the user may run it."
    if given.get("replace"):
        raise ToolError(f"{NO_CELL}the running cell asked to be replaced by other code.")
    shell.set_next_input(f"{given['text'].rstrip()}\n\n{code}", replace=False)
    return "The code was added to the new cell that appears below the running cell when that ends."


def _check_cell(shell: Any) -> None:
    if getattr(shell, "kernel", None) is None:
        raise ToolError(f"{NO_CELL}this is a terminal, and no notebook.")
    attachment = current()
    if attachment is None:
        raise ToolError(f"{NO_CELL}that takes `%load_ext nbagent`.")
    cell = attachment.cell()
    if cell is None or cell.parent.get("header", {}).get("msg_type") != "execute_request":
        raise ToolError(f"{NO_CELL}this run is in the background, and its cell has ended. Show the code to the user.")

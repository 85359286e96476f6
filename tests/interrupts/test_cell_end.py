"""K3: an interrupt in the midst of a cell's end, when the handler that was found is back, costs nothing for long."""

from __future__ import annotations

from typing import Any

import pytest

from nbagent.kernel.cells import Cell
from tests.interrupts.ground import Ground

pytestmark = pytest.mark.anyio


async def test_k3_what_an_interrupt_leaves_of_a_cells_end_the_next_cell_ends() -> None:
    ground = Ground(lambda: None)
    ended: list[Cell] = []

    def interrupted_once(cell: Cell, result: Any) -> None:
        ended.append(cell)
        if len(ended) == 1:
            raise KeyboardInterrupt

    ground.cells._on_end.insert(0, interrupted_once)  # before the foreground hears of the end
    gates: list[bool] = []

    async def cell() -> None:
        with ground.foregrounds.acquire():
            gates.append(ground.port.stream._recv_callback is not ground.receiver)

    await ground.execute(cell)
    assert ground.faults and ground.port.stream._recv_callback is not ground.receiver
    await ground.execute(cell)
    assert gates == [True, True]
    assert [cell is ended[0] for cell in ended] == [True, True, False]
    assert ground.foregrounds.idle and ground.port.stream._recv_callback is ground.receiver
    ground.close()

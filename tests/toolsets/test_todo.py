"""The tools of `TodoToolset`: one list a session, bounded."""

from __future__ import annotations

import pytest

from nbagent.errors import ToolError
from nbagent.toolsets import TodoToolset, todo
from tests.toolsets.calling import Bench

pytestmark = pytest.mark.anyio


async def test_steps_are_added_ticked_off_and_listed() -> None:
    bench = Bench(TodoToolset())
    assert await bench.text("list_todos") == "The list is empty."
    await bench.text("create_todos", descriptions=["read", "write"])
    await bench.text("create_todo", description="check\nit")
    updates = [{"id": "todo_1", "status": "completed"}, {"id": "todo_2", "status": "in-progress"}]
    await bench.text("update_todos", updates=updates)
    listed = "[x] todo_1: read\n[>] todo_2: write\n[ ] todo_3: check it\n2 of 3 left."
    assert await bench.text("list_todos") == listed
    assert all(not tool.asks_approval for tool in (await bench.tools()).values())


async def test_an_unknown_step_is_named_and_the_known_ones_are_updated() -> None:
    bench = Bench(TodoToolset())
    await bench.text("create_todo", description="read")
    known, unknown = {"id": "todo_1", "status": "completed"}, {"id": "todo_7", "status": "completed"}
    assert await bench.text("update_todos", updates=[known, unknown]) == (
        "There is no todo_7.\n[x] todo_1: read\nAll done."
    )
    assert (await bench.call("update_todos", updates=[unknown])).is_error


async def test_each_session_has_a_list_of_its_own_and_the_oldest_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(todo, "SESSIONS", 2)
    toolset = TodoToolset()
    first, second, third = Bench(toolset), Bench(toolset), Bench(toolset)
    await first.text("create_todo", description="mine")
    assert await second.text("list_todos") == "The list is empty."
    assert "mine" in await first.text("list_todos")
    await third.text("list_todos")
    await second.text("list_todos")
    assert await first.text("list_todos") == "The list is empty."


async def test_a_list_is_bounded() -> None:
    bench = Bench(TodoToolset())
    await bench.text("create_todos", descriptions=["step"] * todo.MOST)
    with pytest.raises(ToolError, match="200 steps at most"):
        await bench.call("create_todo", description="one more")

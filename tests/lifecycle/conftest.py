"""After each test of the family nothing may be left: no task, no live run, no thread of a tool.

`pytest tests/lifecycle --times 50` (`make lifecycle`) runs the whole folder that often in a row, in one process.
"""

from __future__ import annotations

import asyncio
import threading
import types
from collections.abc import AsyncIterator

import anyio
import pytest

from nbagent.runtime import live_runs
from nbagent.schema import validate
from tests.runtime.support import NAME_SCHEMA


def pytest_addoption(parser: pytest.Parser) -> None:
    """How often the folder runs; known where this folder is named on the command line."""
    parser.addoption("--times", type=int, default=1, help="run the whole folder so many times in a row")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each test once for each time."""
    times = int(metafunc.config.getoption("--times", None) or 1)
    if times > 1:
        metafunc.fixturenames.append("time")
        metafunc.parametrize("time", range(times))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The folder after the folder, and not each test after itself."""
    items.sort(key=lambda item: item.callspec.params.get("time", 0) if hasattr(item, "callspec") else 0)  # pyright: ignore[reportAttributeAccessIssue]


@pytest.fixture(scope="session", autouse=True)
def libraries() -> None:
    """Loading them takes a second or two, which is no part of what a test does."""
    import mcp as mcp

    validate({"name": "Ada"}, NAME_SCHEMA)


def _tasks() -> set[asyncio.Task[object]]:
    """The tasks of the loop, without those that the test runner drives fixtures and tests by."""
    return {task for task in asyncio.all_tasks() if "/anyio/" not in _source(task.get_coro())}


def _source(coroutine: object) -> str:
    return coroutine.cr_code.co_filename if isinstance(coroutine, types.CoroutineType) else ""


def _tool_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("nbagent-")}


@pytest.fixture(autouse=True)
async def nothing_left(anyio_backend: str) -> AsyncIterator[None]:
    """No task, no live run and no tool's thread more than before."""
    tasks, threads = _tasks(), _tool_threads()
    yield
    with anyio.move_on_after(2):
        while live_runs() or _tasks() - tasks or _tool_threads() - threads:
            await anyio.lowlevel.checkpoint()
    assert live_runs() == ()
    assert _tasks() - tasks == set()
    assert _tool_threads() - threads == set()

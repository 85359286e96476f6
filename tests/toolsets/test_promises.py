"""What every toolset promises, shown of each in the same way: a time, an end, bounded results, and no process left.

A file names all of them, so that what a file says of them counts, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest

import nbagent
from nbagent.errors import ToolError
from nbagent.models import ToolCall
from nbagent.ports import Tool
from nbagent.runtime import Runtime
from nbagent.session import Message, Session
from tests.config.support import written
from tests.runtime.support import scripted
from tests.servers import first_era
from tests.toolsets.asking import Card, Person, make_context
from tests.toolsets.processes import below, end_within
from tests.toolsets.test_fetch import Site
from tests.toolsets.test_fetch import site as site

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

TEAM = """
agents:
  root:
    model: openai/a
    toolsets:
      - {{type: filesystem, allow_list: ["{folder}"], timeout: {time}}}
      - {{type: shell, timeout: {time}}}
      - {{type: fetch, timeout: {time}, allow_private_ips: true}}
      - {{type: mcp, command: {command}, args: {args}, timeout: {time}}}
      - {{type: python, functions: ["tests.toolsets.test_promises:hang", "tests.toolsets.test_promises:flood"], timeout: {time}}}
      - {{type: user_prompt}}
"""  # noqa: E501
release = threading.Event()


def hang() -> str:
    """Wait until the test is over."""
    print("inside", flush=True)
    release.wait(30)
    return "late"


def flood() -> str:
    """Say much."""
    return "all of it " * 500_000


@dataclass(frozen=True)
class Case:
    """A toolset by its place in the file, a call that hangs, and one that says much."""

    index: int
    hangs: tuple[str, Mapping[str, Any]]
    floods: tuple[str, Mapping[str, Any]]


CASES = {
    "filesystem": Case(
        0,
        ("search_files_content", {"query": "(a+)+$", "is_regex": True}),
        ("read_file", {"path": "big"}),
    ),
    "shell": Case(
        1,
        ("shell", {"cmd": "echo inside; sleep 600 & setsid sleep 600 & sleep 600"}),
        ("shell", {"cmd": "yes all of it | head -c 5000000"}),
    ),
    "fetch": Case(2, ("fetch", {"url": "{site}/endless"}), ("fetch", {"url": "{site}/big"})),
    "mcp": Case(3, ("wait", {}), ("flood", {})),
    "python": Case(4, ("hang", {}), ("flood", {})),
}
every = pytest.mark.parametrize("kind", CASES)


class House:
    """The toolsets of the file, at work in a folder."""

    def __init__(self, folder: Path, site: Site) -> None:
        self.folder, self.site = folder, site
        (folder / "root").mkdir()
        (folder / "root" / "trap").write_text("a" * 60 + "!")
        (folder / "root" / "big").write_text("all of it\n" * 500_000)

    @contextlib.asynccontextmanager
    async def tools(self, index: int, time: int = 30) -> AsyncGenerator[dict[str, Tool]]:
        command, args = first_era()
        text = TEAM.format(folder=self.folder / "root", time=time, command=command, args=args)
        toolset = nbagent.load(written(self.folder, text)).root.toolsets[index]
        try:
            async with toolset.open(Person()) as tools:
                yield {tool.spec.name: tool for tool in tools}
        finally:
            await toolset.aclose()

    def filled(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        return {key: self._url(value) for key, value in arguments.items()}

    def _url(self, value: Any) -> Any:
        return value.replace("{site}", self.site.url) if isinstance(value, str) else value


@pytest.fixture
def house(tmp_path: Path, site: Site) -> House:
    release.clear()
    return House(tmp_path, site)


@pytest.fixture(autouse=True)
def let_go() -> Any:
    yield
    release.set()


async def is_inside(card: Card, site: Site, before: set[int], kind: str) -> None:
    """Wait, boundedly, until the call is under way: it said so, or a process is there for it."""
    with anyio.fail_after(20):
        while not (card.text or site.inside.is_set() or (kind == "filesystem" and set(below()) - before)):
            await anyio.sleep(0.01)


@every
async def test_a_call_that_hangs_ends_in_its_time_and_leaves_no_process(kind: str, house: House) -> None:
    case, before = CASES[kind], set(below())
    name, arguments = case.hangs
    async with house.tools(case.index, time=1) as tools:
        with anyio.fail_after(20):
            try:
                result = await tools[name].call(house.filled(arguments), make_context())
                words = result.text
            except ToolError as error:
                words = str(error)
        assert "1 s" in words or "too slow" in words, words
    assert end_within(5, list(set(below()) - before))


@every
async def test_a_call_that_is_cancelled_ends_at_once_and_leaves_no_process(kind: str, house: House) -> None:
    case, before, card = CASES[kind], set(below()), Card()
    name, arguments = case.hangs
    async with house.tools(case.index) as tools:
        call = asyncio.ensure_future(tools[name].call(house.filled(arguments), make_context(card=card)))
        await is_inside(card, house.site, before | set(below()) if kind != "filesystem" else before, kind)
        call.cancel()
        with anyio.fail_after(5), pytest.raises(asyncio.CancelledError):
            await call
    assert end_within(5, list(set(below()) - before))


@every
async def test_a_flood_is_bounded_for_the_model_and_whole_in_the_history(kind: str, house: House) -> None:
    case = CASES[kind]
    name, arguments = case.floods
    read: list[str] = []

    def told(messages: list[Message]) -> str:
        read.append(messages[-1].content)
        return "done"

    async with house.tools(case.index) as tools:
        agent = scripted(ToolCall(name, house.filled(arguments)), told, tools=[tools[name]])
        session = Session()
        with anyio.fail_after(25):
            await Runtime(agent).run(session, "go", approve="all")
    assert 1_000 < len(read[0]) < 120_000
    assert "all of it" in read[0]
    kept = next(message.content for message in session.messages if message.role == "tool")
    assert kept == read[0] or (len(kept) >= 5_000_000 and "characters are cut here" in read[0])


async def test_a_question_to_the_user_waits_and_ends_with_the_run(house: House) -> None:
    person = Person()
    text = TEAM.format(folder=house.folder, time=1, command="nothing", args=[])
    toolset = nbagent.load(written(house.folder, text)).root.toolsets[5]
    async with toolset.open(person) as (ask,):
        call = asyncio.ensure_future(ask.call({"message": "Which?"}, make_context(person)))
        with anyio.fail_after(5):
            await person.asked.wait()
        call.cancel()
        with anyio.fail_after(5), pytest.raises(asyncio.CancelledError):
            await call

"""Killed at any instant, a process loses at most its unfinished turn; two that speak at once lose and double none.

The processes are real, the kills SIGKILL; the instants are chosen by what the process says, never by the clock.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path
from typing import IO

import anyio
import pytest

from nbagent.session import Session
from nbagent.store import SQLiteStore
from tests.runtime.support import assert_paired
from tests.store.support import begun, ended, spoken, stand_of

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
SECONDS = 30
AT_RANDOM = {"early": (0, 8), "later": (8, 20), "late": (20, 90)}
Start = Callable[..., "Process"]


class Process:
    """A speaker of its own process; `read` is bounded."""

    def __init__(self, path: Path, session_id: str, manner: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "tests.store.speaker", str(path), session_id, manner],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def tell(self, line: str) -> None:
        """One line to it."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    async def said(self) -> str:
        """The next line that it says."""
        out: IO[str] | None = self._process.stdout
        assert out is not None
        with anyio.fail_after(SECONDS):
            line = await anyio.to_thread.run_sync(out.readline, abandon_on_cancel=True)
        assert line, "it ended before it said anything more"
        return line.strip()

    async def until(self, line: str) -> None:
        """Wait for that line."""
        while await self.said() != line:
            pass

    def kill(self) -> None:
        """At once, and nothing of it is left; idempotent."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(10)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None and not pipe.closed:
                pipe.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessions.db"


@pytest.fixture
def start(path: Path) -> Generator[Start]:
    started: list[Process] = []

    def starting(manner: str, session_id: str = "s") -> Process:
        started.append(Process(path, session_id, manner))
        return started[-1]

    yield starting
    for process in started:
        if process._process.poll() is None:
            process.kill()


async def assert_sound(path: Path) -> Session:
    """The file is whole, the session valid and free for the next turn; the session as it was found."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    async with SQLiteStore(path) as store:
        session = await store.load("s")
        assert session is not None
        assert_paired(session)
        assert all(turn.reason for turn in session.turns)
        found = stand_of(path, "s")
        assert found is not None and found == session
        await spoken(store, session, "after the crash")
        assert await store.load("s") == session
    return found


async def test_killed_after_the_first_tools_result(path: Path, start: Start) -> None:
    process = start("tools")
    await process.until("ready")
    process.tell("turn look twice")
    await process.until("inside")
    async with SQLiteStore(path) as store:
        assert [one.busy for one in await store.list()] == [True]
        process.kill()
        assert [one.busy for one in await store.list()] == [False]
    session = await assert_sound(path)
    assert [m.content for m in session.messages] == ["look twice", "", "seen"]
    assert [(t.reason, t.start) for t in session.turns] == [("interrupted", 0)]
    assert session.messages[1].interrupted


async def test_killed_in_mid_text(path: Path, start: Start) -> None:
    process = start("text")
    await process.until("ready")
    process.tell("turn speak")
    await process.until("inside")
    process.kill()
    session = await assert_sound(path)
    assert [m.content for m in session.messages] == ["speak"]
    assert [turn.reason for turn in session.turns] == ["interrupted"]


@pytest.mark.parametrize("instant", [1, 4, 7, 12, 19, "early", "later", "late"])
async def test_killed_while_it_writes(path: Path, start: Start, instant: int | str) -> None:
    """Under load: when it has told of so many events of one turn, or of so many turns more."""
    lines = 3 + (random.randrange(*AT_RANDOM[instant]) if isinstance(instant, str) else instant)
    process = start("flood")
    await process.until("ready")
    process.tell("flood 3")
    told = [await process.said() for _ in range(lines)]
    process.kill()
    saved = [int(line) for line in told if line != "."]
    session = await assert_sound(path)
    prompts = [m.content for m in session.messages if m.role == "user"]
    assert prompts == [f"turn {number}" for number in range(len(prompts))]
    assert saved == list(range(len(saved)))
    assert len(saved) <= len(prompts)
    reasons = [turn.reason for turn in session.turns]
    assert reasons[: len(saved)] == ["completed"] * len(saved)
    assert set(reasons[:-1]) <= {"completed"}


async def test_a_process_that_was_killed_lets_the_next_one_speak(path: Path, start: Start) -> None:
    hanging, waiting = start("text"), start("talk")
    await hanging.until("ready")
    await waiting.until("ready")
    hanging.tell("turn one")
    await hanging.until("inside")
    waiting.tell("turn two")
    assert (await waiting.said()).startswith("busy session s has a turn under way in another process")
    hanging.kill()
    waiting.tell("turn two")
    assert await waiting.said() == "ok"
    session = await assert_sound(path)
    assert [turn.reason for turn in session.turns] == ["interrupted", "completed"]
    assert [m.content for m in session.messages if m.role == "user"] == ["one", "two"]


async def test_two_processes_at_once_lose_no_turn_and_double_none(path: Path, start: Start) -> None:
    turns = 12
    speakers = {name: start("talk") for name in "ab"}
    done = dict.fromkeys(speakers, 0)
    for process in speakers.values():
        await process.until("ready")
    while set(done.values()) != {turns}:
        asked = [name for name in speakers if done[name] < turns]
        for name in asked:
            speakers[name].tell(f"turn {name}{done[name]}")
        for name in asked:
            answer = await speakers[name].said()
            assert answer == "ok" or answer.startswith("busy session s ")
            done[name] += answer == "ok"
    session = await assert_sound(path)
    prompts = [m.content for m in session.messages if m.role == "user"]
    assert sorted(prompts) == sorted(f"{name}{number}" for name in speakers for number in range(turns))
    for name in speakers:
        assert [p for p in prompts if p[0] == name] == [f"{name}{number}" for number in range(turns)]
    answers = [m.content for m in session.messages if m.role == "assistant"]
    assert answers == [f"half a word to {prompt}" for prompt in prompts]
    assert session.branches == []


ENDING = """
import asyncio, sys, time
from nbagent.session import Message, Session, Turn
from nbagent.store import SQLiteStore
store = SQLiteStore(sys.argv[1])
session = Session(id="s")
store._writer.submit(lambda _: time.sleep(0.3))
store.begin_turn(session)
session.turns.append(Turn("stream", 0, reason="completed"))
session.messages.append(Message("user", "the last words"))
store.end_turn(session)
"""


async def test_a_process_that_ends_writes_what_is_queued(path: Path) -> None:
    def run() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-W", "error", "-c", ENDING, str(path)]
        return subprocess.run(command, cwd=ROOT, timeout=SECONDS, capture_output=True, text=True, check=False)

    done = await anyio.to_thread.run_sync(run)
    assert (done.returncode, done.stderr) == (0, "")
    session = stand_of(path, "s")
    assert session is not None
    assert session.messages[0].content == "the last words"
    assert not list(path.parent.glob("*-wal"))


async def test_a_forked_process_has_no_store(path: Path) -> None:
    """The thread and the locks stay with the parent, whose turn goes on."""
    async with SQLiteStore(path) as store:
        await begun(store, session := Session(id="s"))
        child = os.fork()
        if not child:
            try:
                store.begin_turn(Session(id="t"))
            except Exception as error:
                os._exit(7 if "closed in this process" in str(error) else 1)
            os._exit(2)
        with anyio.fail_after(SECONDS):
            _, status = await anyio.to_thread.run_sync(os.waitpid, child, 0)
        assert os.waitstatus_to_exitcode(status) == 7
        await ended(store, session)
        assert await store.load("s") == session

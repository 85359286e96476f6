"""The tool `shell`: seen live, bounded, asked for first, and gone with all that it started, however it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from nbagent.errors import ConfigError, ToolError, ToolsUnavailable
from nbagent.events import ToolCallConfirmation, ToolCallOutput, ToolCallResponse
from nbagent.models import ToolCall
from nbagent.runtime import Runtime
from nbagent.session import Session
from nbagent.toolsets import ShellToolset, bounded, shell
from tests.runtime.support import assert_nothing_left, drained, scripted, until
from tests.toolsets.calling import Bench
from tests.toolsets.processes import below, end_within

pytestmark = pytest.mark.anyio

LEAVES_ITS_GROUP = "import os, time; os.setsid(); open({note!r}, 'w').write(str(os.getpid())); time.sleep(60)"
STUBBORN = "trap '' TERM; echo $$ > {note}; while :; do sleep 0.05; done"


async def eventually(true: Callable[[], bool]) -> None:
    """Wait, boundedly, for what another process does."""
    with anyio.fail_after(10):
        while not true():
            await anyio.sleep(0.01)


def written(note: Path) -> bool:
    return note.exists() and note.read_text().strip() != ""


def escaping(note: Path) -> str:
    """A command that starts what leaves its process group."""
    code = LEAVES_ITS_GROUP.format(note=str(note))
    return f'{sys.executable} -I -S -c "{code}" & while [ ! -s {note} ]; do sleep 0.02; done; '


async def test_output_of_both_kinds_is_read_and_shown() -> None:
    bench = Bench(ShellToolset())
    assert await bench.text("shell", cmd="echo out; echo err >&2") == "out\nerr"
    assert "".join(bench.emitted) == "out\nerr\n"
    assert await bench.text("shell", cmd="true") == "The command said nothing, and ended well."


async def test_a_failure_says_how_it_ended() -> None:
    bench = Bench(ShellToolset())
    failed = await bench.call("shell", cmd="echo half; exit 3")
    assert (failed.text, failed.is_error) == ("half\n\nThe command ended with exit code 3.", True)
    assert (await bench.call("shell", cmd="kill -KILL $$")).text.endswith("exit code 137 (SIGKILL).")
    for cmd in ("echo \0", "echo \ud800"):
        with pytest.raises(ToolError, match="cannot be started"):
            await bench.call("shell", cmd=cmd)


async def test_stdin_is_empty() -> None:
    assert await Bench(ShellToolset()).text("shell", cmd="cat; echo read all") == "read all"


async def test_output_comes_while_the_command_runs() -> None:
    bench = Bench(ShellToolset())
    task = asyncio.create_task(bench.call("shell", cmd="echo first; sleep 60"))
    await eventually(lambda: "".join(bench.emitted) == "first\n")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_where_it_runs_and_what_it_sees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sub").mkdir()
    monkeypatch.setenv("OF_THE_KERNEL", "1")
    bench = Bench(ShellToolset(cwd=tmp_path, env={"MINE": "2"}))
    assert await bench.text("shell", cmd="pwd; echo $OF_THE_KERNEL$MINE") == f"{tmp_path}\n12"
    assert await bench.text("shell", cmd="pwd", cwd="sub") == f"{tmp_path}/sub"
    with pytest.raises(ToolError, match="no directory"):
        await bench.call("shell", cmd="pwd", cwd="none")


async def test_a_flood_is_bounded_for_the_card_and_for_the_model() -> None:
    bench = Bench(ShellToolset())
    text = await bench.text("shell", cmd=f"yes | head -c {3 * shell.CARD}; echo end")
    assert len(text) < bounded.MOST + 200 and text.endswith("end") and "are cut here" in text
    assert shell.CARD < len("".join(bench.emitted)) < shell.CARD + 100


async def test_what_it_says_is_decoded_across_pieces() -> None:
    cmd = "printf '\\303'; sleep 0.2; printf '\\244 \\377'"
    assert await Bench(ShellToolset()).text("shell", cmd=cmd) == "ä \ufffd"


async def test_one_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    before, note = below(), tmp_path / "pid"
    result = await Bench(ShellToolset(timeout=1.0)).call("shell", cmd=f"echo $$ > {note}; echo half; sleep 60")
    assert result.is_error and result.text == "half\n\nThe command was ended: it took longer than 1 s."
    assert end_within(1, [int(note.read_text())]) and below() == before


async def test_what_it_leaves_in_the_background_ends_with_it(tmp_path: Path) -> None:
    before, note = below(), tmp_path / "pid"
    assert await Bench(ShellToolset()).text("shell", cmd=escaping(note) + "echo done") == "done"
    assert end_within(1, [int(note.read_text())]) and below() == before


@pytest.mark.parametrize("stubborn", [False, True])
async def test_one_that_is_cancelled_is_gone_with_all_that_it_started(tmp_path: Path, stubborn: bool) -> None:
    before, note = below(), tmp_path / "pid"
    cmd = STUBBORN.format(note=note) if stubborn else escaping(note) + "sleep 60"
    task = asyncio.create_task(Bench(ShellToolset()).call("shell", cmd=cmd))
    await eventually(lambda: written(note))
    task.cancel()
    with anyio.fail_after(5), pytest.raises(asyncio.CancelledError):
        await task
    assert end_within(1, [int(note.read_text())]) and below() == before


KERNEL = """
import asyncio, sys
from nbagent.toolsets import ShellToolset
from tests.toolsets.calling import Bench
asyncio.run(Bench(ShellToolset()).call("shell", cmd=sys.argv[1]))
"""


async def test_one_does_not_outlive_a_kernel_that_is_killed(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    root = str(Path(__file__).parents[2])
    command = [sys.executable, "-c", KERNEL, escaping(note) + "sleep 60"]
    kernel = subprocess.Popen(command, cwd=root, env={**os.environ, "PYTHONPATH": root}, start_new_session=True)
    try:
        await eventually(lambda: written(note))
        its = [int(note.read_text()), *below(kernel.pid)]
        os.kill(kernel.pid, signal.SIGKILL)
        assert end_within(10, its)
    finally:
        kernel.kill()
        kernel.wait()


async def test_p11_the_user_is_asked_and_a_cancelled_run_leaves_no_process(tmp_path: Path) -> None:
    before, note, session = below(), tmp_path / "pid", Session()
    call = ToolCall("shell", {"cmd": f"echo $$ > {note}; echo inside; sleep 60"})
    runtime = Runtime(scripted(call, "done", toolsets=[ShellToolset()]))
    async with runtime.run_stream(session, "hi") as stream:
        asked = await until(stream, ToolCallConfirmation)
        assert isinstance(asked, ToolCallConfirmation)
        assert not note.exists() and asked.preview == ""
        runtime.answer(asked.id, "accept")
        output = await until(stream, ToolCallOutput)
        assert isinstance(output, ToolCallOutput) and output.content == "inside\n"
        stream.cancel()
        (response,) = [event for event in await drained(stream) if isinstance(event, ToolCallResponse)]
    assert response.state == "cancelled"
    assert end_within(1, [int(note.read_text())]) and below() == before
    assert_nothing_left(runtime, session)


def test_what_is_declared_is_checked() -> None:
    with pytest.raises(ConfigError, match="timeout=0"):
        ShellToolset(timeout=0)


async def test_a_directory_that_is_not_there_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(ToolsUnavailable, match="no directory"):
        await Bench(ShellToolset(cwd=tmp_path / "none")).tools()

"""Command hooks: the contract as processes live it, and what is left of them (nothing) however they end."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import psutil
import pytest

from nbagent import boundary
from nbagent.hooks import CommandFailed, CommandHook, HookContext, HookResult, call
from nbagent.processes import process
from nbagent.session import Session

pytestmark = pytest.mark.anyio

PYTHON = sys.executable


def context(point: str = "pre_tool_use", **fields: Any) -> HookContext:
    return HookContext(point, Session("session_1"), "helper", "stream_1", **fields)


def script(code: str, **options: Any) -> CommandHook:
    return CommandHook([PYTHON, "-I", "-S", "-c", code], **options)


async def asked(hook: CommandHook, **fields: Any) -> HookResult:
    with anyio.fail_after(10):
        return await hook(context(**fields))


async def eventually(true: Callable[[], bool]) -> None:
    """Wait, boundedly, for what another process does."""
    with anyio.fail_after(10):
        while not true():
            await anyio.sleep(0.01)


def ended(pid: int) -> bool:
    """Whether the process is gone, or a zombie that its new parent has yet to reap."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children()}


def descriptors() -> int:
    return psutil.Process().num_fds()


# ---------------------------------------------------------------- answers


async def test_it_is_told_on_stdin_and_heard_on_stdout() -> None:
    code = (
        "import json, sys; given = json.load(sys.stdin); "
        "print(json.dumps({'hook_specific_output': {'additional_context': given['tool_input']['cmd'].upper()}}))"
    )
    assert await asked(script(code), tool_name="shell", arguments={"cmd": "ls"}) == HookResult(context="LS")


async def test_a_text_runs_in_the_shell_and_a_sequence_without_one() -> None:
    assert (await asked(CommandHook("echo $0 | tr a-z A-Z"))).context.endswith("SH")
    assert (await asked(CommandHook(["echo", "$0 | tr a-z A-Z"]))).context == "$0 | tr a-z A-Z"


async def test_exit_code_2_blocks_and_stderr_says_why() -> None:
    assert await asked(CommandHook("echo out; echo 'not today' >&2; exit 2")) == HookResult(True, "not today")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("echo first >&2; echo 'no such rule' >&2; exit 3", "it ended with exit code 3: no such rule"),
        ("exit 1", "it ended with exit code 1"),
        ("kill -9 $$", "it was ended by signal 9"),
        ('echo \'{"decision": "deny"}\'', "its decision is 'deny'"),
        ("echo '{broken'", "its output is no JSON"),
        ("no-such-command-anywhere", "exit code 127"),
        (["no-such-command-anywhere"], "it cannot be started"),
        (["/"], "it cannot be started"),
        (["a\0b"], "it cannot be started"),
    ],
)
async def test_anything_else_is_a_failure(command: Any, words: str) -> None:
    with pytest.raises(CommandFailed) as failed:
        await asked(CommandHook(command))
    assert words in str(failed.value)


async def test_it_inherits_the_environment_and_gets_its_own_beside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBAGENT_TEST_A", "inherited")
    hook = CommandHook('echo "$NBAGENT_TEST_A $B"', env={"B": "own"})
    assert (await asked(hook)).context == "inherited own"


async def test_no_secret_comes_back_in_words_but_arguments_are_left_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_TOKEN", "hunter2hunter2")
    said = {
        "decision": "block",
        "reason": "hunter2hunter2 and swordfish",
        "system_message": "hunter2hunter2",
        "hook_specific_output": {"additional_context": "swordfish", "updated_input": {"key": "hunter2hunter2"}},
    }
    hook = script(f"print({json.dumps(json.dumps(said))})", env={"PLAIN": "swordfish"})
    result = await asked(hook)
    assert (result.reason, result.message, result.context) == ("*** and ***", "***", "***")
    assert result.updated_input == {"key": "hunter2hunter2"}
    for command in ("echo $SERVICE_TOKEN >&2; exit 2", "echo $SERVICE_TOKEN >&2; exit 3", 'echo {\\"$SERVICE_TOKEN'):
        try:
            words = (await asked(CommandHook(command))).reason
        except CommandFailed as failed:
            words = str(failed)
        assert words and "hunter2" not in words


# ---------------------------------------------------------------- pipes


BIG = {"text": "x" * 1_000_000}


async def test_one_that_never_reads_stdin_is_heard() -> None:
    assert (await asked(CommandHook("echo ok"), arguments=BIG)).context == "ok"


async def test_one_that_closes_stdin_early_is_heard() -> None:
    hook = script("import os; os.read(0, 10); os.close(0); print('ok')")
    assert (await asked(hook, arguments=BIG)).context == "ok"


async def test_one_that_speaks_before_it_has_read_all_is_heard() -> None:
    code = (
        "import os, sys; given = len(os.read(0, 20_000)); sys.stdout.write('y' * 500_000); sys.stdout.flush(); "
        "sys.stdout.write(str(given + len(sys.stdin.read())))"
    )
    assert int((await asked(script(code), arguments=BIG)).context.lstrip("y")) > 1_000_000


async def test_output_is_bounded() -> None:
    with pytest.raises(CommandFailed, match="more than 1 MiB"):
        await asked(CommandHook("yes"))
    assert (await asked(CommandHook("yes 2>/dev/null | head -c 3000000 >&2; echo ok"))).context == "ok"


async def test_one_that_closes_its_stdout_still_says_by_its_code() -> None:
    assert (await asked(script("import os, sys; os.close(1); os.close(2); os._exit(2)"))).block


async def test_what_it_leaves_behind_holds_nobody_up_and_ends_with_it(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    hook = CommandHook(f"sleep 60 & echo $! > {note}; echo ok")
    begun = time.monotonic()
    assert (await asked(hook)).context == "ok"
    assert time.monotonic() - begun < 5
    assert ended(int(note.read_text()))


# ---------------------------------------------------------------- the end

CALM = "sleep 60 & echo $! > {note}.new; mv {note}.new {note}; wait"
STUBBORN = (
    "trap '' TERM; (while :; do sleep 1; done) & echo $! > {note}.new; mv {note}.new {note}; while :; do sleep 1; done"
)


def hanging(note: Path, *, stubborn: bool = False, **options: Any) -> CommandHook:
    """Tells the process identifier of its own child, and hangs."""
    return CommandHook((STUBBORN if stubborn else CALM).format(note=note), **options)


async def test_one_that_takes_too_long_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    before, note = children(), tmp_path / "pid"
    with pytest.raises(CommandFailed, match=r"it took longer than 0\.5 s"):
        await asked(hanging(note, timeout=0.5))
    assert ended(int(note.read_text()))
    assert children() == before


@pytest.mark.parametrize("stubborn", [False, True])
async def test_one_that_is_cancelled_is_ended_with_all_that_it_started(tmp_path: Path, stubborn: bool) -> None:
    before, fds, note = children(), descriptors(), tmp_path / "pid"
    task = asyncio.create_task(hanging(note, stubborn=stubborn)(context()))
    await eventually(note.exists)
    begun = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    took = time.monotonic() - begun
    assert took < (process.GRACE + 1 if stubborn else process.GRACE)
    assert ended(int(note.read_text()))
    assert children() == before
    assert descriptors() <= fds


async def test_one_whose_caller_is_cancelled_twice_is_ended_all_the_same(tmp_path: Path) -> None:
    before, note = children(), tmp_path / "pid"
    task = asyncio.create_task(hanging(note, stubborn=True)(context()))
    await eventually(note.exists)
    task.cancel()
    await anyio.lowlevel.checkpoint()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await eventually(lambda: children() == before)
    await eventually(lambda: ended(int(note.read_text())))


async def test_one_whose_scope_is_cancelled_is_ended_before_the_scope(tmp_path: Path) -> None:
    before, note = children(), tmp_path / "pid"
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(hanging(note), context())
            await eventually(note.exists)
            scope.cancel()
    assert children() == before


async def test_fifty_in_a_row_leave_nothing() -> None:
    await asked(CommandHook("true"))
    gc.collect()
    before, fds, threads = children(), descriptors(), threading.active_count()
    for _ in range(50):
        assert (await asked(CommandHook("echo ok"))).context == "ok"
    await eventually(lambda: threading.active_count() <= threads)
    assert children() == before and descriptors() <= fds


def test_it_runs_on_the_loop_of_another_thread_and_on_a_loop_that_is_closed_over_it(tmp_path: Path) -> None:
    results: list[HookResult] = []
    thread = threading.Thread(target=lambda: results.append(asyncio.run(asked(CommandHook("echo ok")))))
    thread.start()
    thread.join(10)
    assert [result.context for result in results] == ["ok"]

    before, note = children(), tmp_path / "pid"
    loop = asyncio.new_event_loop()
    task = loop.create_task(hanging(note)(context()))
    loop.run_until_complete(eventually(note.exists))
    task.get_coro().close()  # pyright: ignore[reportAttributeAccessIssue, reportOptionalMemberAccess]
    pending = asyncio.all_tasks(loop)
    for one in pending:
        one.cancel()
    loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
    loop.close()
    asyncio.run(eventually(lambda: children() == before and ended(int(note.read_text()))))


KILLED = """
import asyncio, sys
from nbagent.hooks import CommandHook, HookContext
from nbagent.session import Session
asyncio.run(CommandHook(sys.argv[1])(HookContext("stop", Session(), "a", "s")))
"""


async def test_it_does_not_outlive_a_process_that_is_killed(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    kernel = subprocess.Popen([PYTHON, "-c", KILLED, CALM.format(note=note)], start_new_session=True)
    try:
        await eventually(note.exists)
        os.kill(kernel.pid, signal.SIGKILL)
    finally:
        kernel.kill()
        kernel.wait()
    await eventually(lambda: ended(int(note.read_text())))


async def test_an_interrupt_of_the_process_group_does_not_reach_it() -> None:
    hook = script("import os, signal; print(os.getpgrp() == os.getpid() == os.getsid(0))")
    assert (await asked(hook)).context == "True"


async def test_k3_no_interrupt_is_raised_inside_of_its_own_code() -> None:
    """A process that is started and not yet noted must not be cut: the code stands outside of the boundary."""
    active: list[bool] = []

    class Looks:
        def __str__(self) -> str:
            active.append(boundary.active())
            return "seen"

    given = context(arguments={"a": Looks()})
    assert await call(CommandHook("cat > /dev/null"), given) == HookResult()
    await call(lambda told: HookResult(context=str(Looks())), given)
    assert active == [False, True]

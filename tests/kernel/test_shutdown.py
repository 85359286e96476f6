"""K4: at shutdown the loop finalizes before it stops, within a second; no process is left."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from tests.kernel.frontend import FrontEnd

CALLBACK = """
from pathlib import Path
async def finalize():
    await asyncio.sleep(0)
    Path({path!r}).write_text(str(asyncio.get_running_loop() is loop))
loop = asyncio.get_running_loop()
withdraw = rig.attachment().on_shutdown(finalize)
"""


def gone(pid: int, timeout: float = 10.0) -> float:
    """Wait until the process has ended; seconds."""
    begun = time.monotonic()
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(pid).wait(timeout)
    return time.monotonic() - begun


@pytest.mark.parametrize("busy", [False, True])
def test_k4_a_shutdown_request_finalizes_on_the_main_loop(fresh: FrontEnd, tmp_path: Path, busy: bool) -> None:
    said = tmp_path / "said"
    fresh.run(CALLBACK.format(path=str(said)))
    if busy:
        cell = fresh.execute("x = %agent_run form Name", "a")
        fresh.wait_for(lambda: len(cell.data("text/plain")) == 2)
    fresh.shutdown()
    assert said.read_text() == "True"


@pytest.mark.parametrize("how", ["awaited", "re-entered"])
def test_k4_sigterm_finalizes_too(fresh: FrontEnd, tmp_path: Path, how: str) -> None:
    said = tmp_path / "said"
    fresh.run(CALLBACK.format(path=str(said)))
    code = "x = %agent_run form Name" if how == "awaited" else "def f():\n    %agent_run form Name\nf()"
    cell = fresh.execute(code, "a")
    fresh.wait_for(lambda: len(cell.data("text/plain")) == 2)
    pid = fresh.pid
    os.kill(pid, signal.SIGTERM)
    assert gone(pid) < 5
    assert said.read_text() == "True"


def test_k4_a_callback_that_hangs_is_bounded(fresh: FrontEnd) -> None:
    code = "async def hang():\n    await asyncio.Event().wait()\nrig.attachment().on_shutdown(hang)"
    fresh.run(code)
    begun = time.monotonic()
    asked = fresh.request("shutdown_request", {"restart": False}, channel="control")
    fresh.wait_for(lambda: asked in fresh.replies)
    assert time.monotonic() - begun < 3  # the reply, since ipykernel's own exit may take longer


def test_k4_a_blocked_loop_does_not_outlive_sigterm(fresh: FrontEnd) -> None:
    cell = fresh.execute("print('blocks', flush=True)\nwhile True: pass")
    fresh.wait_for(lambda: "blocks" in cell.text)
    pid = fresh.pid
    os.kill(pid, signal.SIGTERM)
    assert gone(pid) < 3


def test_k4_a_withdrawn_callback_is_not_called(fresh: FrontEnd, tmp_path: Path) -> None:
    said = tmp_path / "said"
    fresh.run(CALLBACK.format(path=str(said)) + "withdraw()")
    fresh.shutdown()
    assert not said.exists()


def test_k4_a_forked_child_is_ended_by_sigterm(fresh: FrontEnd) -> None:
    code = """
import os, time, warnings
warnings.simplefilter('ignore')
reader, writer = os.pipe()
pid = os.fork()
if pid == 0:
    os.write(writer, b'.')
    time.sleep(30)
    os._exit(1)
os.read(reader, 1)
begun = time.monotonic()
os.kill(pid, signal.SIGTERM)
status = os.waitpid(pid, 0)[1]
print(os.WTERMSIG(status) == signal.SIGTERM, time.monotonic() - begun < 0.5)
"""
    assert fresh.run(code).text.strip() == "True True"

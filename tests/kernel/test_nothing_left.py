"""K4, K5 and P12: however a kernel ends, and however often nbagent is taken off it, nothing of a run is left behind."""

from __future__ import annotations

import os
import shlex
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.kernel.environments import kernels
from tests.kernel.frontend import FrontEnd
from tests.notebook.conftest import SETUP, WARM, result, value
from tests.notebook.test_cell_interrupt import said
from tests.servers import first_era

pytestmark = pytest.mark.slow

PATIENCE = 40.0
"""Seconds that a process has to end; on an idle machine it takes two at most."""

COMMAND, ARGS = first_era("--stubborn")
"""A server that minds neither the end of its stdin nor SIGTERM, and starts children, in sessions of their own too."""

SERVERS = f"""
from nbagent.toolsets import MCPToolset
SPAWN = [ToolCall("spawn", {{"session": True}}), ToolCall("spawn", {{"session": False}})]
def served(name, *server):
    model = ScriptedModel([[*SPAWN], ToolCall("ask", {{}}), *["Hello."] * 99])
    return Agent(name, model=model, toolsets=[MCPToolset(server[0], args=list(server[1:]), name=name)])
plain = served("plain", {COMMAND!r}, *{ARGS!r})
wrapped = served("wrapped", "sh", "-c", {shlex.join([COMMAND, *ARGS])!r} + "; true")
"""
"""One is started as it is, the other by a wrapper that stays its parent, as npx, uvx and shell scripts do."""

STUCK = """
def blocked() -> str:
    print("in the tool", flush=True)
    threading.Event().wait()

def spinning() -> str:
    print("in the tool", flush=True)
    while True:
        pass

stuck = {name: Agent(name, model=ScriptedModel([ToolCall(name, {})] * 9), tools=[blocked, spinning])
         for name in ("blocked", "spinning")}
blocked_agent, spinning_agent = stuck["blocked"], stuck["spinning"]
"""

CENSUS = """
import collections, gc, logging, os
import comm
from ipywidgets.widgets.widget import _instances
from nbagent.kernel.ports import open_port
from nbagent.runtime import live_runs
shell = get_ipython()
stream = open_port(shell).stream
OURS = ("Extension", "Workspace", "Attachment", "Foregrounds", "ShownRun", "Run", "Stream", "Transcript", "Connection")

def who(function):
    return getattr(function, "__qualname__", type(function).__name__)

async def census():
    "All that nbagent might leave behind."
    await asyncio.sleep(0)
    gc.collect()
    types = [type(o) for o in gc.get_objects()]
    alive = collections.Counter(t.__name__ for t in types if str(t.__module__).startswith("nbagent."))
    return {
        "transformers": [who(t) for t in shell.input_transformers_post],
        "tokens": [who(t) for t in shell.input_transformer_manager.token_transformers],
        "matchers": len(shell.Completer.custom_matchers),
        "hooks": {event: len(callbacks) for event, callbacks in shell.events.callbacks.items()},
        "magics": sorted(name for name in shell.magics_manager.magics["line"] if name.startswith("agent")),
        "signals": [who(signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM)],
        "receiver": who(stream._recv_callback),
        "patched": [who(f) for f in (shell.display_pub.publish, shell.kernel.do_shutdown, shell.CustomTB)],
        "filters": len(logging.getLogger("Comm").filters),
        "tasks": sorted(task.get_coro().__qualname__ for task in asyncio.all_tasks()),
        "threads": sorted(t.name for t in threading.enumerate() if not t.name.startswith(("Thread-", "asyncio_"))),
        "widgets": len(_instances),
        "comms": len(comm.get_comm_manager().comms),
        "files": len(os.listdir("/proc/self/fd")),
        "runs": live_runs(),
        "objects": {name: alive[name] for name in OURS},
    }
"""


@pytest.fixture(params=kernels())
def fresh(request: pytest.FixtureRequest) -> Iterator[FrontEnd]:
    """A notebook that the test itself ends."""
    front = FrontEnd(request.param)
    try:
        assert front.run(SETUP).status == front.run(WARM).status == "ok"
        yield front
    finally:
        front.shutdown(now=True)


def shut_down(front: FrontEnd) -> None:
    front.request("shutdown_request", {"restart": False}, channel="control")


def restart(front: FrontEnd) -> None:
    front.manager.restart_kernel()


def terminate(front: FrontEnd) -> None:
    os.kill(front.pid, signal.SIGTERM)


def kill(front: FrontEnd) -> None:
    os.kill(front.pid, signal.SIGKILL)


EXIT = "import atexit, pathlib\natexit.register(pathlib.Path({path!r}).touch)"
"""Tells that Python has reached its end, all threads joined: from there on, ipykernel itself hangs now and then."""


def exits(kernel: psutil.Process, told: Path) -> bool:
    """Whether the kernel comes to its end: the process has, or has said so by `EXIT`."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if told.exists() or gone_within(0.05, [kernel]):
            return True
    return False


def gone_within(seconds: float, processes: list[psutil.Process]) -> bool:
    """Whether all of them end in that time; a zombie has ended."""
    _, alive = psutil.wait_procs(processes, timeout=seconds)
    return all(process.status() == psutil.STATUS_ZOMBIE for process in alive)


@pytest.mark.parametrize("end", [shut_down, restart, terminate, kill])
def test_k5_no_server_outlives_its_kernel(fresh: FrontEnd, end: Callable[[FrontEnd], None], tmp_path: Path) -> None:
    fresh.run(SERVERS + EXIT.format(path=str(tmp_path / "told")))
    cell = fresh.execute(
        "async def one():\n    %agent_run -n --approve all plain go\n"
        "async def two():\n    %agent_run -n --approve all wrapped go\n"
        "await asyncio.gather(one(), two())"
    )
    fresh.wait_for(lambda: len(fresh.widgets(description="name", name="TextModel")) == 2)
    assert not cell.done
    kernel, below = psutil.Process(fresh.pid), fresh.children()
    names = sorted(process.name() for process in below)
    assert names.count("sleep") == 4  # the servers' children, of which two left their sessions
    assert len(names) >= 9  # and a watcher and a server each, and the wrapper
    end(fresh)
    assert exits(kernel, tmp_path / "told")
    assert gone_within(PATIENCE, below)


@pytest.mark.parametrize("end", [shut_down, terminate])
@pytest.mark.parametrize(("tool", "interrupted"), [("blocked", False), ("blocked", True), ("spinning", True)])
def test_p12_a_tool_that_never_returns_keeps_no_kernel_from_exiting(
    fresh: FrontEnd, tool: str, interrupted: bool, end: Callable[[FrontEnd], None], tmp_path: Path
) -> None:
    fresh.run(STUCK + EXIT.format(path=str(tmp_path / "told")))
    cell = fresh.execute(f"%agent_run -n {tool}_agent go")
    said(fresh, "in the tool")
    if interrupted:  # the run has ended, and its thread is abandoned
        fresh.interrupt()
        assert fresh.finish(cell).error == "KeyboardInterrupt"
    kernel, begun = psutil.Process(fresh.pid), time.monotonic()
    end(fresh)
    assert exits(kernel, tmp_path / "told")
    print(f"{tool}, {end.__name__}: the kernel had ended after {time.monotonic() - begun:.2f} s")


def in_flight(front: FrontEnd, number: int) -> None:
    """Runs that are under way when nbagent is taken off: a tool, a form, a thread, and now and then a server."""
    agents = ["sleeper", "asking", "sync_sleeper", *(["plain"] if number % 10 == 0 else [])]
    for agent in agents:
        front.run(f"handles.append(get_ipython().run_line_magic('agent_run', '-n -b --approve all {agent} go'))")
    said(front, "sleep_async")
    said(front, "sleep_sync")
    front.wait_for(lambda: front.widgets(description="City", name="TextModel"))
    if "plain" in agents:
        front.wait_for(lambda: front.widgets(description="name", name="TextModel"))
        assert front.children()


def own_output(front: FrontEnd, number: int) -> None:
    """A cell shows what it printed and its own run, and nothing of another."""
    cell = front.run(f"print('before {number}')\nx = %agent_run -n helper hi\nprint('after {number}')")
    assert cell.text == f"before {number}\nafter {number}\n"
    shown = [message for message in cell.outputs if message["msg_type"] == "display_data"]
    assert len(shown) == 1


AGAIN: list[tuple[str, ...]] = [
    ("%reload_ext nbagent",),
    ("%unload_ext nbagent", "%load_ext nbagent"),
    ("%unload_ext nbagent\n%load_ext nbagent",),
    ("await asyncio.sleep(0)\n%reload_ext nbagent",),
]


@pytest.mark.timeout(300)
def test_k4_fifty_reloads_in_mid_run_leave_nothing(fresh: FrontEnd, request: pytest.FixtureRequest) -> None:
    newest = request.node.callspec.id == "newest"
    fresh.run(f"{SERVERS}\n{CENSUS}")
    for number in range(50 if newest else 15):
        fresh.run("handles = []")
        in_flight(fresh, number)
        for code in AGAIN[number % len(AGAIN)]:
            assert fresh.run(code).status == "ok"
        assert fresh.children() == []
        assert set(value(fresh, "' '.join(h.result.reason for h in handles)").strip("'").split()) == {"cancelled"}
        own_output(fresh, number)
        if number == len(AGAIN):  # each way was taken once: whatever is made but once is there
            assert fresh.run("del handles, x\nat_first = await census()").status == "ok"
    assert fresh.run("del handles, x\nat_last = await census()").status == "ok"
    assert result(fresh.run("{k: (v, at_last[k]) for k, v in at_first.items() if v != at_last[k]}")) == ["{}"]
    assert value(fresh, "at_last['runs'], at_last['objects']['Extension']") == "((), 1)"  # it counts what it should
    assert fresh.run("%unload_ext nbagent").status == "ok"
    assert value(fresh, "(await census())['objects']['Extension']") == "0"

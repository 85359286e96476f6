"""K4 and K5: loading, unloading, reloading and shutting down leave no run, no server's process and no hook behind."""

from __future__ import annotations

import sys

import psutil
import pytest

from tests.kernel.frontend import FrontEnd
from tests.notebook.conftest import NOTHING, kept_later, result, value
from tests.notebook.test_cell_interrupt import said
from tests.servers import first_era

SERVER = f"""
from nbagent.toolsets import MCPToolset
command, args = {first_era()!r}
served = Agent("served", model=ScriptedModel(["Hello."] * 9), toolsets=[MCPToolset(command, args=args)])
"""

STATE = """
def state():
    shell = get_ipython()
    return (
        len(shell.input_transformers_post), len(shell.input_transformer_manager.token_transformers),
        len(shell.Completer.custom_matchers), [len(c) for c in shell.events.callbacks.values()],
        sorted(n for n in shell.magics_manager.magics["line"] if n.startswith("agent")),
        type(shell.display_pub).__name__, shell.custom_exceptions, signal.getsignal(signal.SIGINT).__qualname__,
    )
"""


def assert_twin(document: dict[str, str]) -> None:
    """What a saved notebook keeps of a run of `sleeper` that was ended from outside."""
    assert set(document) == {"text/html", "text/markdown", "text/plain"}
    assert all("Let me see." in text and "Stopped after" in text for text in document.values())


def test_unloading_puts_everything_back(fresh: FrontEnd) -> None:
    fresh.run(STATE)
    fresh.run("%unload_ext nbagent")
    before = value(fresh, "state()")
    assert "agent_run" not in before
    for _ in range(3):
        fresh.run("%load_ext nbagent")
        assert "agent_run" in value(fresh, "state()")
        fresh.run("%agent_run -n helper hi")
        fresh.run("%unload_ext nbagent")
        assert value(fresh, "state()") == before
    assert fresh.run("%agent_run helper hi").status == "error"


def test_loading_twice_changes_nothing(fresh: FrontEnd) -> None:
    fresh.run(STATE)
    before = value(fresh, "state()")
    fresh.run("%load_ext nbagent\nnbagent.load_ipython_extension(get_ipython())")
    assert value(fresh, "state()") == before


def test_the_very_cell_that_loads_the_extension_can_run_an_agent(fresh: FrontEnd) -> None:
    fresh.run("%unload_ext nbagent")
    cell = fresh.run("%load_ext nbagent\nx = %agent_run -n helper hi\nx.text")
    assert result(cell) == ["'Hello **you**.'"]


@pytest.mark.parametrize("how", ["%reload_ext nbagent", "%unload_ext nbagent"])
def test_k4_reloading_ends_every_run_and_every_server(fresh: FrontEnd, how: str) -> None:
    fresh.run(SERVER)
    assert fresh.run("%agent_run served hi").status == "ok"
    assert len(fresh.children()) >= 1
    cell = fresh.run("handle = %agent_run -b sleeper go")
    said(fresh, "sleep_async")
    assert fresh.run(how).status == "ok"
    assert_twin(kept_later(fresh, cell))
    assert fresh.children() == []
    assert value(fresh, "handle.result.reason") == "'cancelled'"
    assert value(fresh, "nbagent.runtime.live_runs()") == "()"
    if "reload" in how:
        assert fresh.run("%agent_run -n served hi").status == "ok"
        assert fresh.run("%agent_run helper hi").status == "ok"


def test_k5_a_server_stays_warm_between_cells_and_a_redefined_agent_ends_it(fresh: FrontEnd) -> None:
    fresh.run(SERVER)
    fresh.run("%agent_run served hi", "one")
    (first, *_) = fresh.children()
    fresh.run("%agent_run served hi", "two")
    assert fresh.children()[0].pid == first.pid
    assert value(fresh, "owned()[1]") == "()"
    fresh.run(SERVER)
    fresh.run("%agent_run served hi", "three")
    fresh.run("await asyncio.gather(*nbagent.magics._current.workspace.runtimes._retiring)")
    assert not first.is_running() or first.status() == psutil.STATUS_ZOMBIE
    assert len(fresh.children()) >= 1


@pytest.mark.parametrize("now", [False, True], ids=["shutdown", "kill"])
def test_k4_no_process_survives_the_kernel(now: bool) -> None:
    with FrontEnd() as front:
        from tests.notebook.conftest import SETUP

        front.run(SETUP)
        front.run(SERVER)
        front.run("%agent_run served hi")
        front.run("handle = %agent_run -b sleeper go")
        children = front.children()
        assert children
        front.shutdown(now=now)
        _, alive = psutil.wait_procs(children, timeout=10)
        assert alive == []


def test_a_terminal_shell_works_without_a_kernel() -> None:
    code = f"""
import sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_cell({"import nbagent; from nbagent import Agent; from nbagent.models import ScriptedModel"!r})
shell.run_cell("helper = Agent('helper', model=ScriptedModel(['Hello **you**.'] * 9))")
shell.run_cell("%load_ext nbagent")
assert shell.run_cell("%agent_run helper hi").success
assert shell.run_cell("def f():\\n    x = %agent_run helper hi\\n    return x.text\\nf()").result == "Hello **you**."
assert not shell.run_cell("%agent_run nobody hi").success
shell.run_cell("%unload_ext nbagent")
"""
    import subprocess

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Hello **you**.") >= 2
    assert "UsageError: unknown agent nobody" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr + done.stdout


def test_nothing_is_left_after_all_of_it(fresh: FrontEnd) -> None:
    fresh.run("%agent_run helper hi")
    assert value(fresh, "owned()") == NOTHING


def test_reloading_without_servers_re_enters_no_loop(fresh: FrontEnd) -> None:
    fresh.run("%agent_run -n helper hi\n%reload_ext nbagent")
    assert value(fresh, "hasattr(asyncio.get_running_loop(), '_nest_patched')") == "False"
    fresh.run("def f():\n    %agent_run -n helper hi\nf()")
    assert value(fresh, "hasattr(asyncio.get_running_loop(), '_nest_patched')") == "True"
